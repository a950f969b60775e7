//! The same network on all tokens, evaluated as if it ran on clusters: every token carries the mean of its cluster, and
//! attention sees one token of each. It shares nothing with the rewriter but the clusters.

use super::net::{Net, V};
use ailurus_onnx::{DataType, Dim, TensorType};

pub struct Oracle {
    pub layer: usize,
    pub copy: bool,
    /// The decoder runs on clusters, too.
    pub late: bool,
    /// [B, T, T]: means over clusters.
    mean: V,
    /// [B, T, T]: the representative of each token.
    pick: V,
    /// [B, T]: what is added to scores of each key.
    seen: V,
    /// [B, T, C]: the stream at the cut.
    base: Option<V>,
    /// Behind the cut.
    active: bool,
}

impl Net<'_> {
    pub fn consult(&mut self, layer: usize, copy: bool, late: bool) {
        let mut input = |name: &str, rank: usize| {
            let ty = TensorType { dtype: DataType::F32, shape: Some(vec![Dim::Unknown; rank]) };
            self.edit.add_graph_input(name, ty).expect("fresh name")
        };
        let (mean, pick, seen) = (input("mean", 3), input("pick", 3), input("seen", 2));
        self.oracle = Some(Oracle { layer, copy, late, mean, pick, seen, base: None, active: false });
    }

    /// Behind block `done`.
    pub fn compress(&mut self, x: V, done: usize) -> V {
        let Some(mean) = self.oracle.as_ref().filter(|o| o.layer == done).map(|o| o.mean) else { return x };
        let base = self.leave(x);
        let merged = self.two("MatMul", mean, base);
        if let Some(o) = &mut self.oracle {
            (o.base, o.active) = (Some(base), true);
        }
        self.enter(merged)
    }

    /// The full grid again, in the stream's layout.
    pub fn unfold(&mut self, x: V) -> V {
        let Some(Oracle { pick, mean, base: Some(base), copy, .. }) = self.oracle else { return x };
        let x = self.leave(x);
        let mut y = self.two("MatMul", pick, x);
        if !copy {
            let start = self.two("MatMul", mean, base);
            let own = self.two("Sub", base, start);
            y = self.two("Add", y, own);
        }
        self.enter(y)
    }

    /// The encoder ends here.
    pub fn finish(&mut self, x: V) -> V {
        match &mut self.oracle {
            Some(o) if !o.late => {
                o.active = false;
                self.unfold(x)
            }
            _ => x,
        }
    }

    /// Patches [B, N, C] behind a decoder.
    pub fn late_patches(&mut self, x: V) -> V {
        let Some(pick) = self.oracle.as_ref().filter(|o| o.late).map(|o| o.pick) else { return x };
        let (from, to) = (self.case.sizes.prefix, self.case.sizes.prefix + self.case.patches());
        let rows = self.slice(pick, 1, from, to);
        let square = self.slice(rows, 2, from, to);
        self.two("MatMul", square, x)
    }

    /// Hides keys that stand for nothing.
    pub fn only_seen(&mut self, s: V, rank: i64, heads: i64) -> V {
        match self.oracle.as_ref().filter(|o| o.active).map(|o| o.seen) {
            Some(seen) => {
                let mask = self.key_mask(seen, rank, heads);
                self.two("Add", s, mask)
            }
            None => s,
        }
    }

    /// More tokens behind the sequence, which are always seen.
    pub fn seen_with(&mut self, more: i64) {
        let Some(seen) = self.oracle.as_ref().filter(|o| o.active).map(|o| o.seen) else { return };
        let zeros = self.floats(&[self.case.batch(), more], &vec![0.0; (self.case.batch() * more) as usize]);
        let (p, n) = (self.case.sizes.prefix, self.case.patches());
        let seen = self.slice(seen, 1, p, p + n);
        let seen = self.concat(&[seen, zeros], 1);
        if let Some(o) = &mut self.oracle {
            o.seen = seen;
        }
    }
}
