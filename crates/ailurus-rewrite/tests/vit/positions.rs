//! Positions inside the blocks: tables, biases of scores, rotations.

use super::{
    case::{Bias, Half, Rope, Stream},
    net::{At, D, Net, V},
};
use ailurus_onnx::DataType;

impl Net<'_> {
    /// A table that each block adds anew.
    pub fn block_position(&mut self, x: V) -> V {
        let (t, c) = (self.case.tokens(), self.case.channels());
        let dims = match self.case.graph.stream {
            Stream::Tbc => vec![t, 1, c],
            Stream::Bct => vec![1, c, t],
            Stream::Tc => vec![t, c],
            _ => vec![1, t, c],
        };
        let table = self.noise(&dims, 0.5);
        self.two("Add", x, table)
    }

    /// Numbers of tokens, as floats [T].
    fn counted(&mut self, at: Option<At>) -> V {
        let count = self.measured(D::Tokens, at);
        let count = self.squeeze(count, &[0]);
        let (zero, one) = (self.int(0), self.int(1));
        let range = self.op("Range", &[zero, count, one], &[]);
        self.cast(range, DataType::F32)
    }

    /// Something that broadcasts to scores [.., heads, T, T].
    pub fn bias(&mut self, heads: i64, at: At, rank: i64) -> Option<V> {
        let (t, at) = (self.case.tokens(), Some(at));
        match self.case.scores.bias {
            Bias::Nothing => None,
            Bias::Constant => {
                Some(self.noise(&[&[1, heads, t, t][..], &[]].concat()[(4 - rank.max(3) as usize)..], 1.0))
            }
            Bias::Table | Bias::TableReshaped => {
                let table = self.noise(&[23, heads], 2.0);
                let index: Vec<i64> = (0..t * t).map(|i| (i / t * 5 + i % t * 7) % 23).collect();
                let rows = if self.case.scores.bias == Bias::Table {
                    let index = self.table(&[t, t], &index);
                    self.two("Gather", table, index)
                } else {
                    let index = self.ints(&index);
                    let rows = self.two("Gather", table, index);
                    self.reshape(rows, &[D::Tokens, D::Tokens, D::N(heads)], at)
                };
                let first = self.transpose(rows, &[2, 0, 1]);
                Some(if rank == 4 { self.unsqueeze(first, &[0]) } else { first })
            }
            Bias::Alibi => {
                let numbers = self.counted(at);
                let (rows, columns) = (self.unsqueeze(numbers, &[0]), self.unsqueeze(numbers, &[1]));
                let apart = self.two("Sub", rows, columns);
                let apart = self.op("Abs", &[apart], &[]);
                let slopes = self.noise(&[heads, 1, 1], 0.5);
                Some(self.two("Mul", apart, slopes))
            }
        }
    }

    /// Cosines and sines that broadcast to [B, H, T, d].
    fn angles(&mut self, at: Option<At>) -> (V, V) {
        let (t, n, d) = (self.case.tokens(), self.case.patches(), self.case.sizes.head_dim);
        let dims = match self.case.attention.rope {
            Rope::PerHead => vec![1, self.case.sizes.heads, t, d],
            Rope::Patches => vec![n, d],
            _ => vec![t, d],
        };
        if self.case.attention.rope != Rope::Range {
            return (self.noise(&dims, 2.0), self.noise(&dims, 2.0));
        }
        let numbers = self.counted(at);
        let column = self.unsqueeze(numbers, &[1]);
        let frequencies = self.noise(&[1, d / 2], 1.0);
        let half = self.two("Mul", column, frequencies);
        let both = self.concat(&[half, half], -1);
        (self.op("Cos", &[both], &[]), self.op("Sin", &[both], &[]))
    }

    /// Queries and keys, [B, H, T, d], rotated by the same angles.
    pub fn rotate(&mut self, q: V, k: V) -> (V, V) {
        if self.case.attention.rope == Rope::Nothing {
            return (q, k);
        }
        let (cos, sin) = self.angles(Some(At(q, Some(0), Some(2))));
        let (heads, keys) = (self.case.sizes.heads, self.case.key_heads());
        (self.rotated(q, heads, cos, sin), self.rotated(k, keys, cos, sin))
    }

    fn rotated(&mut self, v: V, heads: i64, cos: V, sin: V) -> V {
        let (p, s) = (self.case.sizes.prefix, self.case.sizes.suffix);
        if self.case.attention.rope != Rope::Patches || p + s == 0 {
            return self.turned(v, heads, D::Tokens, cos, sin);
        }
        let patches = self.slice(v, 2, p, if s == 0 { i64::MAX } else { -s });
        let mut parts = vec![self.turned(patches, heads, D::Patches, cos, sin)];
        if p > 0 {
            parts.insert(0, self.slice(v, 2, 0, p));
        }
        if s > 0 {
            parts.push(self.slice(v, 2, -s, i64::MAX));
        }
        self.concat(&parts, 2)
    }

    fn turned(&mut self, v: V, heads: i64, tokens: D, cos: V, sin: V) -> V {
        let d = self.case.sizes.head_dim;
        let swapped = match self.case.attention.half {
            Half::SliceNegConcat => {
                let (a, b) = (self.slice(v, -1, 0, d / 2), self.slice(v, -1, d / 2, i64::MAX));
                let b = self.op("Neg", &[b], &[]);
                self.concat(&[b, a], -1)
            }
            Half::Interleaved => {
                let at = Some(At(v, Some(0), Some(2))).filter(|_| tokens == D::Tokens);
                let pairs = self.reshape(v, &[D::Batch, D::N(heads), tokens, D::N(d / 2), D::N(2)], at);
                let (a, b) = (self.pick(pairs, -1, 0), self.pick(pairs, -1, 1));
                let b = self.op("Neg", &[b], &[]);
                let (a, b) = (self.unsqueeze(a, &[4]), self.unsqueeze(b, &[4]));
                let both = self.concat(&[b, a], -1);
                self.reshape(both, &[D::Batch, D::N(heads), tokens, D::N(d)], at)
            }
        };
        let (x, y) = (self.two("Mul", v, cos), self.two("Mul", swapped, sin));
        self.two("Add", x, y)
    }
}
