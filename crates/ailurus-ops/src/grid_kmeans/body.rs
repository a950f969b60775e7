//! `AilurusGridKMeans` in standard operators: all distances at once, as the released code computes them, as matrix products.
//!
//! N x M is what a matrix product wants, and gathering the centres around every patch would take longer. Distances are
//! ‖x‖² + ‖s‖² − 2·x·s with the mean patch subtracted on both sides, which keeps the digits that the stream's constant
//! part would cost. They still round otherwise than the reference does, so results agree within rounding, and an order
//! among centres that are equally far but for rounding may differ.

use super::{Cells, GridKMeans, LARGEST, LEAST_WEIGHT, NAME, NEAREST, Norm, TemperatureMode};
use crate::body::{Body, BodyData, BodyOptions, Builder, F32, I32};
use crate::{Error, Result, grid};

/// Stands for no distance: greater than any there is.
const NONE: f32 = 1e37;

/// Share of the squared length of the mean patch below which a squared distance cannot be told from 0: tokens that differ
/// by a millionth of what they have in common.
const ROUNDING: f32 = 1e-12;

impl GridKMeans {
    /// The operator in standard operators, for these parameters and a stream of `channels` channels. With a static grid
    /// the body has the single input `x`, otherwise `x` and `grid`, and the output `map` behind the others.
    pub fn body(&self, options: BodyOptions, channels: usize) -> Result<Body> {
        self.validate()?;
        if channels == 0 {
            return Err(Error::NoBody { operator: NAME, reason: "a stream without channels".into() });
        }
        options.check(NAME)?;
        let mut b = Builder::new(options);
        let place = Place::new(&mut b, self);
        let patches = Patches::new(&mut b, self, &place);
        let mut centres = place.pooled(&mut b, self, &patches.x, channels);
        for _ in 0..self.iterations {
            centres = self.iterate(&mut b, &place, &patches, &centres);
        }
        self.outputs(&mut b, &place, &patches, &centres);
        let doc = format!("Grid k-means, specialised: {self:?}, {channels} channels");
        Ok(grid::finish(b, self.grid.is_some(), "x", ["z", "index", "weight"], doc))
    }

    /// Centres `[B, M, C]` after one more iteration.
    fn iterate(&self, b: &mut Builder, place: &Place, patches: &Patches, centres: &str) -> String {
        let d = patches.distances(b, centres);
        let (none, zero) = (b.scalar_f32(NONE), b.scalar_f32(0.0));
        let seen = b.op("Where", &[&place.looks_at, &d, &none]);
        let least = b.reduce("ReduceMin", &seen, &[2], true);
        let weight = self.unnormalised(b, &d, &least);
        let weight = b.op("Where", &[&place.looks_at, &weight, &zero]);
        let sum = b.reduce_sum(&weight, 2, true);
        let weight = b.op("Div", &[&weight, &sum]);
        let weight = b.transpose(&weight, &[0, 2, 1]);
        let sums = b.op("MatMul", &[&weight, &patches.x]);
        let total = b.reduce_sum(&weight, 2, true);
        let least_weight = b.scalar_f32(LEAST_WEIGHT);
        let total = b.op("Max", &[&total, &least_weight]);
        b.op("Div", &[&sums, &total])
    }

    /// exp(−τ·(d − least)), `least` `[B, N, 1]`.
    fn unnormalised(&self, b: &mut Builder, d: &str, least: &str) -> String {
        let mut above = b.op("Sub", &[d, least]);
        if self.temperature_mode == TemperatureMode::Relative {
            let mean = b.reduce("ReduceMean", least, &[1], true);
            let nearest = b.scalar_f32(NEAREST);
            let mean = b.op("Max", &[&mean, &nearest]);
            above = b.op("Div", &[&above, &mean]);
        }
        // Infinity times a temperature of zero is no number.
        let none = b.scalar_f32(NONE);
        let above = b.op("Min", &[&above, &none]);
        let temperature = b.scalar_f32(-self.temperature);
        let exponent = b.op("Mul", &[&above, &temperature]);
        b.op("Exp", &[&exponent])
    }

    fn outputs(&self, b: &mut Builder, place: &Place, patches: &Patches, centres: &str) {
        let choices = self.choices();
        let (p, s) = (self.prefix, self.suffix);
        let d = patches.distances(b, centres);
        let count = b.ints(&[choices as i64]);
        let (near, at) = b.top_k(&d, &count, 2, false);
        let least = b.slice(&near, 2, 0, 1);
        let mut weight = self.unnormalised(b, &near, &least);
        if choices > self.neighbors {
            // Behind the K-th only those that are as near as it is.
            let farthest = b.slice(&near, 2, self.neighbors as i64 - 1, self.neighbors as i64);
            let tied = b.op("Equal", &[&near, &farthest]);
            let first = (0..choices).map(|k| k < self.neighbors).collect();
            let first = b.constant(&[choices as i64], BodyData::Bool(first));
            let counts = b.op("Or", &[&tied, &first]);
            let zero = b.scalar_f32(0.0);
            weight = b.op("Where", &[&counts, &weight, &zero]);
        }
        let norm = match self.norm {
            Norm::L1 => b.reduce_sum(&weight, 2, true),
            Norm::L2 => {
                let squares = b.op("Mul", &[&weight, &weight]);
                let sum = b.reduce_sum(&squares, 2, true);
                b.op("Sqrt", &[&sum])
            }
        };
        let weight = b.op("Div", &[&weight, &norm]);
        let at = b.cast(&at, I32);
        let prefix = b.scalar_i32(p as i32);
        let index = b.op("Add", &[&at, &prefix]);

        // Tokens that are rows of their own.
        let own = |first: usize, count: usize| -> Vec<i32> {
            (first..first + count).flat_map(|row| std::iter::repeat_n(row as i32, choices)).collect()
        };
        let single = |count: usize| -> Vec<f32> {
            (0..count * choices).map(|i| if i % choices == 0 { 1.0 } else { 0.0 }).collect()
        };
        let parts = [(p, 0), (s, p + self.tokens())];
        let rows = parts.map(|(count, first)| (count, BodyData::I32(own(first, count))));
        place.join(b, rows, choices, &index, "index");
        let ones = parts.map(|(count, _)| (count, BodyData::F32(single(count))));
        place.join(b, ones, choices, &weight, "weight");

        let centres = Some(b.narrow(centres));
        let before = (p > 0).then(|| b.slice("x", 1, 0, p as i64));
        let behind = (s > 0).then(|| b.slice("x", 1, -(s as i64), i64::MAX));
        let parts: Vec<&str> = [&before, &centres, &behind].into_iter().flatten().map(String::as_str).collect();
        let z = b.concat(&parts, 1);
        b.output(&z, "z");
    }
}

/// Names of values that say where centres are: constants, or computed from the input `grid`.
struct Place {
    /// H, W and N as lists.
    height: String,
    width: String,
    count: String,
    /// `[B]` as a list.
    batch: String,
    /// f32 `[h, H]` and `[w, W]`: 1 where a patch is averaged into an initial centre.
    pooled_rows: String,
    pooled_columns: String,
    /// bool `[N, M]`
    looks_at: String,
}

impl Place {
    fn new(b: &mut Builder, params: &GridKMeans) -> Self {
        let ((h, w), radius) = (params.clusters, params.window / 2);
        let (height, width) = match params.grid {
            Some((h, w)) => (b.ints(&[h as i64]), b.ints(&[w as i64])),
            None => {
                let sides = b.split("grid", 0, &[1, 1]);
                (sides[0].clone(), sides[1].clone())
            }
        };
        let axes = match params.grid {
            Some(grid) => {
                let cells = Cells::new(params.clusters, grid);
                [(&cells.rows, grid.0), (&cells.columns, grid.1)].map(|(axis, patches)| {
                    let cell =
                        b.constant(&[patches as i64], BodyData::I32(axis.cell.iter().map(|&c| c as i32).collect()));
                    let pooled = axis.pooled.iter().flat_map(|&(from, to)| {
                        (0..patches as u32).map(move |i| if (from..to).contains(&i) { 1.0 } else { 0.0 })
                    });
                    let dims = [axis.pooled.len() as i64, patches as i64];
                    (cell, b.constant(&dims, BodyData::F32(pooled.collect())))
                })
            }
            None => [(h, &height), (w, &width)].map(|(cells, patches)| at_run_time(b, cells, patches)),
        };
        let near = [(h, &axes[0].0), (w, &axes[1].0)].map(|(cells, cell)| {
            let own = b.unsqueeze(cell, 1);
            let all = b.range_i32(cells);
            let away = b.op("Sub", &[&own, &all]);
            let away = b.op("Abs", &[&away]);
            let beyond = b.scalar_i32(radius.min(params.tokens()) as i32 + 1);
            b.op("Less", &[&away, &beyond])
        });
        // [H, 1, h, 1] and [1, W, 1, w]
        let rows = b.unsqueeze(&near[0], 1);
        let rows = b.unsqueeze(&rows, 3);
        let columns = b.unsqueeze(&near[1], 1);
        let columns = b.unsqueeze(&columns, 0);
        let looks_at = b.op("And", &[&rows, &columns]);
        let [(_, pooled_rows), (_, pooled_columns)] = axes;
        Self {
            count: b.op("Mul", &[&height, &width]),
            batch: b.dim("x", 0),
            looks_at: b.reshape(&looks_at, &[-1, params.tokens() as i64]),
            height,
            width,
            pooled_rows,
            pooled_columns,
        }
    }

    /// The initial centres, `[B, M, C]`.
    fn pooled(&self, b: &mut Builder, params: &GridKMeans, x: &str, channels: usize) -> String {
        let (w, c, m) = (params.clusters.1 as i64, channels as i64, params.tokens() as i64);
        let (first, last) = (b.ints(&[0]), b.ints(&[c]));
        let shape = b.concat(&[&first, &self.height, &self.width, &last], 0);
        let x = b.op("Reshape", &[x, &shape]);
        let lines = b.op("MatMul", &[&self.pooled_columns, &x]);
        let lines = b.reshape(&lines, &[0, 0, w * c]);
        let sums = b.op("MatMul", &[&self.pooled_rows, &lines]);
        let sums = b.reshape(&sums, &[0, m, c]);
        let rows = b.reduce_sum(&self.pooled_rows, 1, true);
        let columns = b.reduce_sum(&self.pooled_columns, 1, false);
        let counts = b.op("Mul", &[&rows, &columns]);
        let counts = b.reshape(&counts, &[m, 1]);
        b.op("Div", &[&sums, &counts])
    }

    /// Joins what is the same for every image, `[count, K]` before and behind, and the patches' part of an output.
    fn join(&self, b: &mut Builder, others: [(usize, BodyData); 2], choices: usize, patches: &str, name: &str) {
        let others = others.map(|(count, data)| {
            (count > 0).then(|| {
                let dims = [count as i64, choices as i64];
                let rows = b.constant(&dims, data);
                let dims = b.ints(&dims);
                let shape = b.concat(&[&self.batch, &dims], 0);
                b.op("Expand", &[&rows, &shape])
            })
        });
        let [before, behind] = others;
        let parts: Vec<&str> = [before.as_deref(), Some(patches), behind.as_deref()].into_iter().flatten().collect();
        let all = b.concat(&parts, 1);
        b.output(&all, name);
    }
}

/// Along one axis, i32 `[patches]` the cell of every patch and f32 `[cells, patches]` what is averaged into each centre.
fn at_run_time(b: &mut Builder, cells: usize, patches: &str) -> (String, String) {
    let end = b.squeeze(patches, 0);
    let end = b.cast(&end, I32);
    let patch = b.range(&end);
    // Nearest resizing: division and product in f32.
    let (number, end_number) = (b.cast(&patch, F32), b.cast(&end, F32));
    let all = b.scalar_f32(cells as f32);
    let scale = b.op("Div", &[&all, &end_number]);
    let cell = b.op("Mul", &[&number, &scale]);
    let cell = b.op("Floor", &[&cell]);
    let last = b.scalar_f32(cells as f32 - 1.0);
    let cell = b.op("Min", &[&cell, &last]);
    let cell = b.cast(&cell, I32);

    // Pooling: from ⌊a·H/h⌋ to ⌈(a + 1)·H/h⌉.
    let starts = b.constant(&[cells as i64, 1], BodyData::I32((0..cells as i32).collect()));
    let ends = b.constant(&[cells as i64, 1], BodyData::I32((1..=cells as i32).collect()));
    let (count, round) = (b.scalar_i32(cells as i32), b.scalar_i32(cells as i32 - 1));
    let from = b.op("Mul", &[&starts, &end]);
    let from = b.op("Div", &[&from, &count]);
    let to = b.op("Mul", &[&ends, &end]);
    let to = b.op("Add", &[&to, &round]);
    let to = b.op("Div", &[&to, &count]);
    let before = b.op("Less", &[&patch, &from]);
    let begun = b.op("Not", &[&before]);
    let unfinished = b.op("Less", &[&patch, &to]);
    let pooled = b.op("And", &[&begun, &unfinished]);
    (cell, b.cast(&pooled, F32))
}

/// Names of what distances are computed from.
struct Patches {
    /// f32 `[B, N, C]`
    x: String,
    /// The mean patch, `[B, 1, C]`.
    mean: String,
    /// Patches without it.
    centred: String,
    /// Their squared lengths, less what may be rounding, `[B, N, 1]`.
    squares: String,
}

impl Patches {
    fn new(b: &mut Builder, params: &GridKMeans, place: &Place) -> Self {
        let x = if params.prefix == 0 && params.suffix == 0 {
            "x".to_string()
        } else {
            let from = b.ints(&[params.prefix as i64]);
            let to = b.op("Add", &[&from, &place.count]);
            let axis = b.ints(&[1]);
            b.op("Slice", &["x", &from, &to, &axis])
        };
        let x = b.widen(&x);
        // What is not a number counts as 0, the rest is clipped.
        let (zero, low, high) = (b.scalar_f32(0.0), b.scalar_f32(-LARGEST), b.scalar_f32(LARGEST));
        let broken = b.op("IsNaN", &[&x]);
        let x = b.op("Where", &[&broken, &zero, &x]);
        let x = b.op("Clip", &[&x, &low, &high]);
        let mean = b.reduce("ReduceMean", &x, &[1], true);
        let centred = b.op("Sub", &[&x, &mean]);
        let squares = b.op("Mul", &[&centred, &centred]);
        let squares = b.reduce_sum(&squares, 2, true);
        // Subtracted from every distance: it leaves their order and the weights alone, and what is nothing but rounding
        // of the mean patch becomes 0.
        let rounding = b.op("Mul", &[&mean, &mean]);
        let rounding = b.reduce_sum(&rounding, 2, true);
        let share = b.scalar_f32(ROUNDING);
        let rounding = b.op("Mul", &[&rounding, &share]);
        let squares = b.op("Sub", &[&squares, &rounding]);
        Self { x, mean, centred, squares }
    }

    /// `[B, N, M]`: squared distances to centres `[B, M, C]`.
    fn distances(&self, b: &mut Builder, centres: &str) -> String {
        let centred = b.op("Sub", &[centres, &self.mean]);
        let centred = b.transpose(&centred, &[0, 2, 1]);
        let squares = b.op("Mul", &[&centred, &centred]);
        let squares = b.reduce_sum(&squares, 1, true);
        let product = b.op("MatMul", &[&self.centred, &centred]);
        let (two, zero) = (b.scalar_f32(2.0), b.scalar_f32(0.0));
        let product = b.op("Mul", &[&product, &two]);
        let sum = b.op("Add", &[&self.squares, &squares]);
        let d = b.op("Sub", &[&sum, &product]);
        b.op("Max", &[&d, &zero])
    }
}
