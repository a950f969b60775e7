//! From scores to probabilities.

use super::{
    Seen,
    case::{Mask, Scale, Softmax},
    net::{At, D, Int, Ints, Net, V},
};
use ailurus_onnx::DataType;

impl Net<'_> {
    pub fn scaled_factors(&mut self, q: V, k: V) -> (V, V) {
        let d = self.case.sizes.head_dim as f32;
        let scale = self.case.scores.scale;
        let mut by = |v: V, x: f32| {
            let factor = self.float(x);
            self.two("Mul", v, factor)
        };
        match scale {
            Scale::Query => (by(q, d.powf(-0.5)), k),
            Scale::Key => (q, by(k, d.powf(-0.5))),
            Scale::Both => (by(q, d.powf(-0.25)), by(k, d.powf(-0.25))),
            _ => (q, k),
        }
    }

    /// Notes a value that has an axis of as many elements as attention sees tokens.
    pub fn saw(&mut self, v: V, from_back: usize, extra: usize) -> V {
        let name = format!("core.{}", self.cores.len());
        self.edit.rename_value(v, &name).expect("fresh name");
        self.cores.push(Seen { name, from_back, extra });
        v
    }

    fn scaled(&mut self, scores: V) -> V {
        let d = self.case.sizes.head_dim;
        let by = match self.case.scores.scale {
            Scale::Scores => self.float((d as f32).sqrt()),
            Scale::Computed => {
                // The size of the last axis of queries is not the scores'; that of a constant table says the same.
                let table = self.noise(&[2, d], 1.0);
                let shape = self.op("Shape", &[table], &[]);
                let size = self.slice(shape, 0, -1, i64::MAX);
                let size = self.cast(size, DataType::F32);
                self.op("Sqrt", &[size], &[])
            }
            _ => return scores,
        };
        self.two("Div", scores, by)
    }

    /// Scores are [B, H, T, T], or [B·H, T, T] with `heads` folded into the batch.
    pub fn probabilities(&mut self, scores: V, rank: i64, heads: i64) -> V {
        let case = self.case;
        let scores = self.saw(scores, 1, 0);
        let mut s = self.scaled(scores);
        // One bias for all heads where they are folded into the batch.
        let biased = if rank == 4 { case.sizes.heads } else { 1 };
        if let Some(bias) = self.bias(biased, At(scores, (rank == 4).then_some(0), Some(rank - 1)), rank) {
            s = self.two("Add", s, bias);
        }
        s = self.hide_masked(s, rank, heads);
        if case.scores.talking {
            s = self.talk(s);
        }
        s = self.only_seen(s, rank, heads);
        if case.scores.sink {
            s = self.with_sink(s, rank, heads);
        }
        let mut p = self.softmax(s, rank);
        if case.scores.sink {
            p = self.slice(p, -1, 0, -1);
        }
        if case.scores.talking {
            let h = case.sizes.heads;
            let w = self.noise(&[h, h, 1, 1], 1.0);
            p = self.op("Conv", &[p, w], &[("kernel_shape", Ints(vec![1, 1]))]);
        }
        p
    }

    /// Mixes heads by a product, with heads last.
    fn talk(&mut self, s: V) -> V {
        let h = self.case.sizes.heads;
        let last = self.transpose(s, &[0, 2, 3, 1]);
        let w = self.noise(&[h, h], 1.5);
        let mixed = self.two("MatMul", last, w);
        self.transpose(mixed, &[0, 3, 1, 2])
    }

    /// One more key that everything may attend to, without a value.
    fn with_sink(&mut self, s: V, rank: i64, heads: i64) -> V {
        let sink = self.noise(&[1; 4][..rank as usize], 1.0);
        let shape = if rank == 4 {
            let h = self.case.sizes.heads;
            self.full_shape(&[D::Batch, D::N(h), D::Tokens, D::N(1)], Some(At(s, Some(0), Some(2))))
        } else {
            self.full_shape(&[D::Folded(heads), D::Tokens, D::N(1)], Some(At(s, None, Some(1))))
        };
        let column = self.two("Expand", sink, shape);
        self.concat(&[s, column], -1)
    }

    fn softmax(&mut self, s: V, rank: i64) -> V {
        let axis = |last: i64| ("axis", Int(last));
        match self.case.scores.softmax {
            Softmax::Op => self.op("Softmax", &[s], &[axis(rank - 1)]),
            Softmax::Spelt => {
                let most = self.reduce("ReduceMax", s, -1, true);
                let less = self.two("Sub", s, most);
                let raised = self.op("Exp", &[less], &[]);
                let sum = self.reduce("ReduceSum", raised, -1, true);
                self.two("Div", raised, sum)
            }
            Softmax::Cast => {
                let wide = self.cast(s, DataType::F64);
                let p = self.op("Softmax", &[wide], &[axis(rank - 1)]);
                self.cast(p, DataType::F32)
            }
            Softmax::Guarded => {
                let p = self.op("Softmax", &[s], &[axis(rank - 1)]);
                let bad = self.op("IsNaN", &[p], &[]);
                let zero = self.float(0.0);
                self.op("Where", &[bad, zero, p], &[])
            }
            Softmax::TransposedTwice if self.case.opset.0 >= 13 => {
                let perm: &[i64] = if rank == 4 { &[0, 1, 3, 2] } else { &[0, 2, 1] };
                let turned = self.transpose(s, perm);
                let p = self.op("Softmax", &[turned], &[axis(-2)]);
                self.transpose(p, perm)
            }
            Softmax::TransposedTwice => self.op("Softmax", &[s], &[axis(rank - 1)]),
        }
    }

    /// [B, T] as something that broadcasts to scores.
    pub fn key_mask(&mut self, mask: V, rank: i64, heads: i64) -> V {
        let open = self.unsqueeze(mask, &[1, 2]);
        if rank == 4 {
            return open;
        }
        let counts = self.ints(&[1, heads, 1, 1]);
        let wide = self.two("Tile", open, counts);
        self.reshape(wide, &[D::Folded(heads), D::N(1), D::Tokens], Some(At(mask, Some(0), Some(1))))
    }

    fn hide_masked(&mut self, s: V, rank: i64, heads: i64) -> V {
        let Some(mask) = self.mask else { return s };
        if self.case.scores.mask == Mask::Where {
            let (mask, low) = (self.key_mask(mask, rank, heads), self.float(-1e4));
            return self.op("Where", &[mask, s, low], &[]);
        }
        let added = self.added(mask);
        let added = self.key_mask(added, rank, heads);
        self.two("Add", s, added)
    }

    /// Zero where a mask is true, and much less elsewhere.
    fn added(&mut self, mask: V) -> V {
        let mask = self.cast(mask, DataType::F32);
        let (one, low) = (self.float(1.0), self.float(-1e4));
        let hidden = self.two("Sub", one, mask);
        self.two("Mul", hidden, low)
    }

    /// The graph's mask on top of a bias.
    pub fn masked_bias(&mut self, bias: V) -> V {
        let Some(mask) = self.mask else { return bias };
        let added = self.added(mask);
        let added = self.key_mask(added, 4, 0);
        self.two("Add", bias, added)
    }
}
