//! `AilurusDensityPeaks` in standard operators, step by step as the reference.
//!
//! Everything that belongs to the window of a patch is laid out `[B, L, N]`, L = λ − 1 neighbours in rank order: with N
//! innermost, reductions over the window and broadcasts over ranks run on long contiguous runs. Nothing is N x N. With a
//! static grid the neighbour tables are constants (one row of offsets per *kind* of position, so they stay small);
//! otherwise they are computed from the input `grid`.

mod assign;
mod distance;
mod grid;

use super::{DensityPeaks, FAR, NAME};
use crate::body::{Body, BodyData, BodyOptions, Builder, F32, F64};
use crate::{Error, Result};
use grid::Grid;

/// More neighbours than this are averaged by one reduction instead of a chain of additions in the reference's order.
const LONGEST_CHAIN: usize = 64;

impl DensityPeaks {
    /// The operator in standard operators, for these parameters and a metric of `channels` channels. With a static grid
    /// the body has the single input `metric`, otherwise `metric` and `grid`, and the output `map` behind the others.
    pub fn body(&self, options: BodyOptions, channels: usize) -> Result<Body> {
        self.validate()?;
        if channels == 0 {
            return Err(Error::NoBody { operator: NAME, reason: "a metric without channels".into() });
        }
        options.check(NAME)?;
        let mut b = Builder::new(options);
        match self.grid {
            Some((h, w)) if self.tokens(h * w)? == h * w => self.identity(&mut b, h * w),
            _ => self.cluster(&mut b, channels)?,
        }
        let doc = format!("AiluRus density peaks, specialised: {self:?}, {channels} channels");
        Ok(crate::grid::finish(b, self.grid.is_some(), "metric", ["index", "anchor", "size"], doc))
    }

    /// Every patch is its own cluster.
    fn identity(&self, b: &mut Builder, patches: usize) {
        let total = self.prefix + patches + self.suffix;
        let batch = b.dim("metric", 0);
        let all = b.range_i32(total);
        let shape = b.ints(&[total as i64]);
        let shape = b.concat(&[&batch, &shape], 0);
        for name in ["index", "anchor"] {
            b.push("Expand", &[&all, &shape], &[name.to_string()], &[]);
        }
        let one = b.scalar_f32(1.0);
        b.push("Expand", &[&one, &shape], &["size".to_string()], &[]);
    }

    fn cluster(&self, b: &mut Builder, channels: usize) -> Result<()> {
        let grid = Grid::new(b, self)?;
        let x = grid.patches(b, self);
        let x = b.widen(&x);

        let (score, distance) = if grid.neighbors == 0 {
            // Windows of one patch know no distances: all scores are equal.
            let zero = b.scalar_f32(0.0);
            let shape = b.concat(&[&grid.batch, &grid.count], 0);
            (b.op("Expand", &[&zero, &shape]), None)
        } else {
            let e = distance::distances(b, &grid, self, &x, channels);
            (self.score(b, &grid, &e), Some(e))
        };
        assign::assign(b, &grid, self, &score, distance.as_deref());
        Ok(())
    }

    /// `[B, N]`: ln(ρδ), from E as `[B, L, N]`.
    fn score(&self, b: &mut Builder, grid: &Grid, e: &str) -> String {
        let huge = b.scalar_f32(f32::MAX);
        let mean = self.mean(b, grid, e);

        let of_neighbor = b.gather(&mean, &grid.table, 1);
        let own = b.unsqueeze(&mean, 1);
        let less = b.op("Less", &[&of_neighbor, &own]);
        let equal = b.op("Equal", &[&of_neighbor, &own]);
        let tie = b.op("And", &[&equal, &grid.lower]);
        let denser = b.op("Or", &[&less, &tie]);
        let above = b.op("Where", &[&denser, e, &huge]);
        let delta = b.reduce("ReduceMin", &above, &[1], false);

        let (far, zero) = (b.scalar_f32(FAR), b.scalar_f32(0.0));
        let finite = b.op("Less", &[e, &far]);
        let finite = b.op("Where", &[&finite, e, &zero]);
        let largest = b.reduce("ReduceMax", &finite, &[1, 2], false);
        let largest = b.unsqueeze(&largest, 1);
        let found = b.op("Less", &[&delta, &huge]);
        let delta = b.op("Where", &[&found, &delta, &largest]);

        // In f64, rounded once: as the reference, and so that equal inputs give equal scores in every SIMD lane.
        let delta = b.cast(&delta, F64);
        let log = b.op("Log", &[&delta]);
        let half = b.constant(&[], BodyData::F64(vec![0.5]));
        let log = b.op("Mul", &[&log, &half]);
        let mean = b.cast(&mean, F64);
        let score = b.op("Sub", &[&log, &mean]);
        b.cast(&score, F32)
    }

    /// `[B, N]`: mean of the k smallest E.
    fn mean(&self, b: &mut Builder, grid: &Grid, e: &str) -> String {
        let k = self.neighbors.min(grid.neighbors);
        if k == 1 {
            return b.reduce("ReduceMin", e, &[1], false);
        }
        let count = b.ints(&[k as i64]);
        let mut near = b.top_k(e, &count, 1, false).0;
        let divisor = match &grid.on_grid {
            None => b.scalar_f32(k as f32),
            Some(_) => {
                // A small grid has fewer neighbours: the rest are placeholders.
                let (huge, zero) = (b.scalar_f32(f32::MAX), b.scalar_f32(0.0));
                let real = b.op("Less", &[&near, &huge]);
                near = b.op("Where", &[&real, &near, &zero]);
                let real = b.cast(&real, F32);
                let count = b.reduce_sum(&real, 1, false);
                let one = b.scalar_f32(1.0);
                b.op("Max", &[&count, &one])
            }
        };
        let sum = if k <= LONGEST_CHAIN {
            let parts = b.split(&near, 1, &vec![1; k]);
            let sum = parts.iter().skip(1).fold(parts[0].clone(), |sum, part| b.op("Add", &[&sum, part]));
            b.squeeze(&sum, 1)
        } else {
            b.reduce_sum(&near, 1, false)
        };
        b.op("Div", &[&sum, &divisor])
    }
}

/// Joins prefix, patches and suffix of an output; `prefix` and `suffix` are `[1, _]` and are repeated for the batch.
fn join(b: &mut Builder, grid: &Grid, parts: [Option<String>; 3], name: &str) {
    let [prefix, patches, suffix] = parts;
    let one = b.ints(&[1]);
    let shape = b.concat(&[&grid.batch, &one], 0);
    let expand = |b: &mut Builder, part: Option<String>| part.map(|p| b.op("Expand", &[&p, &shape]));
    let prefix = expand(b, prefix);
    let suffix = expand(b, suffix);
    let parts: Vec<&str> = [&prefix, &patches, &suffix].into_iter().flatten().map(String::as_str).collect();
    let all = b.concat(&parts, 1);
    b.output(&all, name);
}
