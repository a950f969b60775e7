//! What is made of the tokens.

use super::{
    case::{Head, Stream},
    net::{At, D, Ints, Net, V},
};

const CLASSES: i64 = 5;

impl Net<'_> {
    /// From [B, T, C] behind the last norm to an output and its rank.
    pub fn head(&mut self, x: V, taps: &[V]) -> (V, usize) {
        let c = self.case.channels();
        match self.case.head {
            Head::Sequence => (x, 3),
            Head::Dense => {
                let patches = self.only_patches(x);
                let classes = self.linear(patches, c, CLASSES);
                (self.map(classes, CLASSES), 4)
            }
            Head::DenseConv => {
                let patches = self.only_patches(x);
                let map = self.map(patches, c);
                (self.convolved(map, c, 3), 4)
            }
            Head::Gap => {
                let patches = self.only_patches(x);
                let mean = self.reduce("ReduceMean", patches, 1, false);
                (self.linear(mean, c, CLASSES), 2)
            }
            Head::Class => {
                let class = self.pick(x, 1, 0);
                (self.linear(class, c, CLASSES), 2)
            }
            Head::Taps => {
                let mut sum = None;
                for &tap in taps {
                    let whole = self.leave(tap);
                    let patches = self.only_patches(whole);
                    let map = self.map(patches, c);
                    let map = self.convolved(map, c, 1);
                    sum = Some(sum.map_or(map, |s| self.two("Add", s, map)));
                }
                (sum.unwrap_or(x), 4)
            }
            Head::Readout => {
                let patches = self.only_patches(x);
                let class = self.slice(x, 1, 0, 1);
                let zero = self.float(0.0);
                let zeros = self.two("Mul", patches, zero);
                let spread = self.two("Add", zeros, class);
                let both = self.concat(&[patches, spread], -1);
                let mixed = self.linear(both, 2 * c, CLASSES);
                (self.map(mixed, CLASSES), 4)
            }
            Head::Decoder => (self.decoder(x), 4),
        }
    }

    fn only_patches(&mut self, x: V) -> V {
        let (p, s) = (self.case.sizes.prefix, self.case.sizes.suffix);
        if p + s == 0 {
            return x;
        }
        self.slice(x, 1, p, if s == 0 { i64::MAX } else { -s })
    }

    /// [B, N, K] as [B, K, h, w].
    fn map(&mut self, x: V, channels: i64) -> V {
        let first = self.transpose(x, &[0, 2, 1]);
        let at = Some(At(first, Some(0), None));
        self.reshape(first, &[D::Batch, D::N(channels), D::Rows, D::Columns], at)
    }

    fn convolved(&mut self, map: V, channels: i64, side: i64) -> V {
        let w = self.noise(&[CLASSES, channels, side, side], 1.0);
        self.op("Conv", &[map, w], &[("pads", Ints(vec![side / 2; 4]))])
    }

    /// Class tokens behind the patches, blocks over both, and a product of both.
    fn decoder(&mut self, x: V) -> V {
        let c = self.case.channels();
        let x = self.linear(x, c, c);
        let patches = self.only_patches(x);
        let mut y = self.join(patches, CLASSES, false);
        self.seen_with(CLASSES);
        for _ in 0..2 {
            let normed = self.norm(y, c);
            let [q, k, v] = [0; 3].map(|_| self.linear(normed, c, c));
            let attended = self.plain(q, k, v);
            let attended = self.linear(attended, c, c);
            let sum = self.two("Add", y, attended);
            let normed = self.norm(sum, c);
            let wide = self.linear(normed, c, 2 * c);
            let bent = self.op("Relu", &[wide], &[]);
            let narrow = self.linear(bent, 2 * c, c);
            y = self.two("Add", sum, narrow);
        }
        let (patches, classes) = (self.slice(y, 1, 0, -CLASSES), self.slice(y, 1, -CLASSES, i64::MAX));
        let patches = self.late_patches(patches);
        let turned = self.transpose(classes, &[0, 2, 1]);
        let product = self.two("MatMul", patches, turned);
        self.map(product, CLASSES)
    }

    /// True where the last axis of the stream is its channels and the first two are batch and tokens.
    pub fn is_plain_stream(&self) -> bool {
        matches!(self.case.graph.stream, Stream::Btc | Stream::Tbc)
    }
}
