//! Queries, keys and values, and what is made of them.

use super::{
    case::{Core, Keys, Qkv, Repeat, Stream},
    net::{At, D, Int, Net, V, text},
};

impl Net<'_> {
    /// Attention of a normed stream, in the stream's layout.
    pub fn attention(&mut self, x: V) -> V {
        let (case, c) = (self.case, self.case.channels());
        let y = match case.attention.core {
            Core::MicrosoftAttention => self.packed(x),
            Core::MicrosoftMha => self.unpacked(x),
            _ => {
                let [q, k, v] = self.qkv(x);
                let (q, k, v) = (self.noop(q), self.noop(k), self.noop(v));
                let (q, k) = self.normed(q, k);
                let (q, k) = self.rotate(q, k);
                let context = self.core(q, k, v);
                self.merged(context)
            }
        };
        let y = if case.attention.value_gate {
            let gate = self.project(x, c, c);
            let open = self.op("Sigmoid", &[gate], &[]);
            self.two("Mul", y, open)
        } else {
            y
        };
        let y = self.noop(y);
        self.project(y, c, c)
    }

    fn normed(&mut self, q: V, k: V) -> (V, V) {
        let d = self.case.sizes.head_dim;
        if self.case.attention.qk_norm { (self.norm(q, d), self.norm(k, d)) } else { (q, k) }
    }

    /// The channels of a stream cut into these factors; the first one's axis.
    fn cut(&mut self, x: V, factors: &[i64]) -> (V, usize) {
        let inner: Vec<D> = factors.iter().map(|&n| D::N(n)).collect();
        let at = self.at(x);
        let (lead, tail): (&[D], &[D]) = match self.case.graph.stream {
            Stream::Btc | Stream::Flat => (&[D::Batch, D::Tokens], &[]),
            Stream::Tbc => (&[D::Tokens, D::Batch], &[]),
            Stream::Tc => (&[D::Tokens], &[]),
            Stream::Bct => (&[D::Batch], &[D::Tokens]),
        };
        (self.reshape(x, &[lead, &inner, tail].concat(), at), lead.len())
    }

    /// From the stream's layout, channels cut into heads and d, to [B, H, T, d].
    fn heads(&mut self, x: V) -> V {
        match self.case.graph.stream {
            Stream::Btc | Stream::Flat => self.transpose(x, &[0, 2, 1, 3]),
            Stream::Tbc => self.transpose(x, &[1, 2, 0, 3]),
            Stream::Tc => {
                let first = self.transpose(x, &[1, 0, 2]);
                self.unsqueeze(first, &[0])
            }
            Stream::Bct => self.transpose(x, &[0, 1, 3, 2]),
        }
    }

    fn qkv(&mut self, x: V) -> [V; 3] {
        let (case, c, h, d) = (self.case, self.case.channels(), self.case.sizes.heads, self.case.sizes.head_dim);
        let k = case.key_heads();
        if case.attention.qkv == Qkv::Separate {
            return [h, k, k].map(|heads| {
                let y = self.project(x, c, heads * d);
                let cut = self.cut(y, &[heads, d]).0;
                self.heads(cut)
            });
        }
        let all = self.project(x, c, 3 * c);
        match case.attention.qkv {
            Qkv::Separate | Qkv::Split => {
                let parts = self.split(all, self.channel_axis(), &[c, c, c]);
                [0, 1, 2].map(|i| {
                    let cut = self.cut(parts[i], &[h, d]).0;
                    self.heads(cut)
                })
            }
            Qkv::GatherInner => {
                let (cut, axis) = self.cut(all, &[3, c]);
                [0, 1, 2].map(|i| {
                    let part = self.pick(cut, axis as i64, i);
                    let cut = self.cut(part, &[h, d]).0;
                    self.heads(cut)
                })
            }
            Qkv::Interleaved => {
                let (cut, axis) = self.cut(all, &[h, 3, d]);
                [0, 1, 2].map(|i| {
                    let part = self.pick(cut, axis as i64 + 1, i);
                    self.heads(part)
                })
            }
            Qkv::GatherFirst | Qkv::SliceSqueeze => {
                let cut = self.cut(all, &[3, h, d]).0;
                let first = match case.graph.stream {
                    Stream::Btc | Stream::Flat => self.transpose(cut, &[2, 0, 3, 1, 4]),
                    Stream::Tbc => self.transpose(cut, &[2, 1, 3, 0, 4]),
                    Stream::Tc => self.transpose(cut, &[1, 2, 0, 3]),
                    Stream::Bct => self.transpose(cut, &[1, 0, 2, 4, 3]),
                };
                [0, 1, 2].map(|i| {
                    let part = if case.attention.qkv == Qkv::GatherFirst {
                        self.pick(first, 0, i)
                    } else {
                        let one = self.slice(first, 0, i, i + 1);
                        self.squeeze(one, &[0])
                    };
                    if case.graph.stream == Stream::Tc { self.unsqueeze(part, &[0]) } else { part }
                })
            }
        }
    }

    /// Keys or values of few heads for all heads.
    fn repeated(&mut self, v: V) -> V {
        let (h, k, d) = (self.case.sizes.heads, self.case.key_heads(), self.case.sizes.head_dim);
        let broadcasts = k == 1 && self.case.attention.core == Core::Matmul && self.case.attention.keys == Keys::Single;
        if h == k || broadcasts {
            return v;
        }
        let at = Some(At(v, Some(0), Some(2)));
        let open = self.unsqueeze(v, &[2]);
        let wide = match self.case.attention.repeat {
            Repeat::Expand => {
                let shape = self.shape(&[D::Batch, D::N(k), D::N(h / k), D::Tokens, D::N(d)], at);
                // Dimensions that are not repeated may be 1 in the shape; -1 is not allowed there.
                let shape = if self.is_open(shape) { self.ints(&[1, 1, h / k, 1, 1]) } else { shape };
                self.two("Expand", open, shape)
            }
            Repeat::Tile => {
                let counts = self.ints(&[1, 1, h / k, 1, 1]);
                self.two("Tile", open, counts)
            }
        };
        self.reshape(wide, &[D::Batch, D::N(h), D::Tokens, D::N(d)], at)
    }

    /// From [B, H, T, d] to [B, H, T, d], whatever lies between.
    fn core(&mut self, q: V, k: V, v: V) -> V {
        let (h, d) = (self.case.sizes.heads, self.case.sizes.head_dim);
        let core = self.case.attention.core;
        if core == Core::Standard && self.oracle.is_none() {
            return self.standard(q, k, v);
        }
        let (k, v) = (self.repeated(k), self.repeated(v));
        match core {
            Core::Einsum => {
                let (q, k) = self.scaled_factors(q, k);
                let scores = self.op("Einsum", &[q, k], &[("equation", text("bhqd,bhkd->bhqk"))]);
                let p = self.probabilities(scores, 4, 0);
                self.op("Einsum", &[p, v], &[("equation", text("bhqk,bhkd->bhqd"))])
            }
            Core::EinsumTokenFirst => {
                let (q, k) = self.scaled_factors(q, k);
                let [q, k, v] = [q, k, v].map(|x| self.transpose(x, &[0, 2, 1, 3]));
                let scores = self.op("Einsum", &[q, k], &[("equation", text("bthd,bshd->bhts"))]);
                let p = self.probabilities(scores, 4, 0);
                let context = self.op("Einsum", &[p, v], &[("equation", text("bhts,bshd->bthd"))]);
                self.transpose(context, &[0, 2, 1, 3])
            }
            Core::Folded => {
                let at = Some(At(q, Some(0), Some(2)));
                let [q, k, v] = [q, k, v]
                    .map(|x| self.reshape(x, &[D::Folded(h), D::Tokens, D::N(d)], Some(At(x, Some(0), Some(2)))));
                let (q, k) = self.scaled_factors(q, k);
                let k = self.transpose(k, &[0, 2, 1]);
                let scores = self.two("MatMul", q, k);
                let p = self.probabilities(scores, 3, h);
                let context = self.two("MatMul", p, v);
                self.reshape(context, &[D::Batch, D::N(h), D::Tokens, D::N(d)], at)
            }
            _ => {
                let (q, k) = self.scaled_factors(q, k);
                let k = self.transpose(k, &[0, 1, 3, 2]);
                let scores = self.two("MatMul", q, k);
                let p = self.probabilities(scores, 4, 0);
                self.two("MatMul", p, v)
            }
        }
    }

    fn standard(&mut self, q: V, k: V, v: V) -> V {
        let heads = self.case.sizes.heads;
        let bias = self.bias(heads, At(q, Some(0), Some(2)), 4).map(|b| self.masked_bias(b));
        let bias = match (bias, self.mask) {
            (None, Some(mask)) => {
                // Runtimes want the full extent of the last two axes.
                let shape = self.full_shape(&[D::Batch, D::N(1), D::Tokens, D::Tokens], Some(At(q, Some(0), Some(2))));
                let mask = self.key_mask(mask, 4, 0);
                Some(self.two("Expand", mask, shape))
            }
            (bias, _) => bias,
        };
        let context = self.node("", "Attention", &[Some(q), Some(k), Some(v), bias], &[true], &[])[0];
        self.saw(context, 2, 0)
    }

    fn packed(&mut self, x: V) -> V {
        let (c, h) = (self.case.channels(), self.case.sizes.heads);
        let (w, b) = (self.noise(&[c, 3 * c], 1.2), self.noise(&[3 * c], 0.2));
        let x = self.leave(x);
        let y = if self.oracle.is_some() {
            let all = self.two("MatMul", x, w);
            let all = self.two("Add", all, b);
            let parts = self.split(all, 2, &[c, c, c]);
            self.plain(parts[0], parts[1], parts[2])
        } else {
            let y = self.microsoft("Attention", &[x, w, b], &[("num_heads", Int(h))]);
            self.saw(y, 2, 0)
        };
        self.enter(y)
    }

    fn unpacked(&mut self, x: V) -> V {
        let (c, h) = (self.case.channels(), self.case.sizes.heads);
        let x = self.leave(x);
        let [q, k, v] = [0; 3].map(|_| self.linear(x, c, c));
        let y = if self.oracle.is_some() {
            self.plain(q, k, v)
        } else {
            let y = self.microsoft("MultiHeadAttention", &[q, k, v], &[("num_heads", Int(h))]);
            self.saw(y, 2, 0)
        };
        self.enter(y)
    }

    /// Attention of [B, T, C] in its plainest spelling: what fused operators mean.
    pub fn plain(&mut self, q: V, k: V, v: V) -> V {
        let (h, d, c) = (self.case.sizes.heads, self.case.sizes.head_dim, self.case.channels());
        let cut = self.ints(&[0, 0, h, d]);
        let [q, k, v] = [q, k, v].map(|x| {
            let cut = self.two("Reshape", x, cut);
            self.transpose(cut, &[0, 2, 1, 3])
        });
        let k = self.transpose(k, &[0, 1, 3, 2]);
        let scores = self.two("MatMul", q, k);
        let root = self.float((d as f32).sqrt());
        let scores = self.two("Div", scores, root);
        let scores = self.saw(scores, 1, 0);
        let scores = self.only_seen(scores, 4, 0);
        let p = self.op("Softmax", &[scores], &[("axis", Int(if self.case.opset.0 < 13 { 3 } else { -1 }))]);
        let context = self.two("MatMul", p, v);
        let back = self.transpose(context, &[0, 2, 1, 3]);
        let whole = self.ints(&[0, 0, c]);
        self.two("Reshape", back, whole)
    }

    /// From [B, H, T, d] to the stream's layout.
    fn merged(&mut self, v: V) -> V {
        let c = self.case.channels();
        let (perm, dims): (&[i64], Vec<D>) = match self.case.graph.stream {
            Stream::Btc => (&[0, 2, 1, 3], vec![D::Batch, D::Tokens, D::N(c)]),
            Stream::Flat => (&[0, 2, 1, 3], vec![D::N(-1), D::N(c)]),
            Stream::Tbc => (&[2, 0, 1, 3], vec![D::Tokens, D::Batch, D::N(c)]),
            Stream::Tc => (&[0, 2, 1, 3], vec![D::Tokens, D::N(c)]),
            Stream::Bct => (&[0, 1, 3, 2], vec![D::Batch, D::N(c), D::Tokens]),
        };
        let moved = self.transpose(v, perm);
        self.reshape(moved, &dims, Some(At(v, Some(0), Some(2))))
    }

    /// True for a constant shape with an open dimension.
    fn is_open(&self, shape: V) -> bool {
        let known =
            self.edit.graph().producer(shape).is_none_or(|(n, _)| self.edit.graph().node(n).op_type == "Constant");
        known && (self.case.open_batch() || self.case.open_grid())
    }
}
