//! `AilurusGridKMeans` in O(N·window²·C) an iteration: every patch looks at the centres around its cell only. The K nearest
//! are found among all centres, most of which are ruled out without being measured. That gives the results of the reference,
//! bit for bit.
//!
//! Mostly it takes less to compute distances between patches once and all iterations from those, in O(N·window⁴) each,
//! whatever the number of channels. That gives the same results within rounding.

use super::pairs::Pairs;
use super::patches::Patches;
use super::search::{Search, distances};
use super::soften::Soften;
use super::sums::Update;
use super::{Cells, GridClusters, GridKMeans, NAME, check, normalise, unnormalised};
use crate::error::check_len;
use crate::lanes::widest;
use crate::parallel::{Parallel, for_rows, for_rows_of_two, worth};
use crate::{Element, Result};

/// Fewest patches worth a task of their own.
pub(super) const GRAIN: usize = 16;

/// Clusters `x` (`[B, T, C]`). `grid` is the run-time grid, equal to the static one if there is one. Agrees with the
/// reference within rounding; the same whatever the number of threads.
pub fn grid_kmeans<E: Element>(
    params: &GridKMeans,
    x: &[E],
    batch: usize,
    channels: usize,
    grid: (usize, usize),
    pool: &dyn Parallel,
) -> Result<GridClusters<E>> {
    Call { params, batch, channels, grid, pool, rounding: Rounding::Any }.clusters(x)
}

/// As [`grid_kmeans`], equal to the reference bit for bit, and slower.
pub fn grid_kmeans_exact<E: Element>(
    params: &GridKMeans,
    x: &[E],
    batch: usize,
    channels: usize,
    grid: (usize, usize),
    pool: &dyn Parallel,
) -> Result<GridClusters<E>> {
    Call { params, batch, channels, grid, pool, rounding: Rounding::AsDefined }.clusters(x)
}

/// As [`grid_kmeans`], into memory that the caller brings.
pub fn grid_kmeans_into<E: Element>(
    params: &GridKMeans,
    x: &[E],
    batch: usize,
    channels: usize,
    grid: (usize, usize),
    pool: &dyn Parallel,
    out: GridClustersMut<'_, E>,
) -> Result<()> {
    Call { params, batch, channels, grid, pool, rounding: Rounding::Any }.fill(x, out)
}

/// Memory for a [`GridClusters`] that the caller brings.
#[derive(Debug)]
pub struct GridClustersMut<'a, E> {
    /// `[B, R, C]`
    pub z: &'a mut [E],
    /// `[B, T, K]`
    pub index: &'a mut [i32],
    /// `[B, T, K]`
    pub weight: &'a mut [f32],
}

/// How results are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    AsDefined,
    Any,
}

/// All but the tensors.
struct Call<'a> {
    params: &'a GridKMeans,
    batch: usize,
    channels: usize,
    grid: (usize, usize),
    pool: &'a dyn Parallel,
    rounding: Rounding,
}

impl Call<'_> {
    fn clusters<E: Element>(self, x: &[E]) -> Result<GridClusters<E>> {
        let sizes = check(self.params, x.len(), self.batch, self.channels, self.grid)?;
        let (rows, choices) = (sizes.rows, sizes.choices);
        let mut z = vec![E::default(); self.batch * rows * self.channels];
        let mut index = vec![0; self.batch * sizes.total * choices];
        let mut weight = vec![0.0; self.batch * sizes.total * choices];
        self.fill(x, GridClustersMut { z: &mut z, index: &mut index, weight: &mut weight })?;
        Ok(GridClusters { rows, choices, z, index, weight })
    }

    fn fill<E: Element>(self, x: &[E], out: GridClustersMut<'_, E>) -> Result<()> {
        let Self { params, batch, channels, grid, pool, rounding } = self;
        let sizes = check(params, x.len(), batch, channels, grid)?;
        check_len(NAME, "z", out.z.len(), &[batch, sizes.rows, channels])?;
        check_len(NAME, "index", out.index.len(), &[batch, sizes.total, sizes.choices])?;
        check_len(NAME, "weight", out.weight.len(), &[batch, sizes.total, sizes.choices])?;
        let (first, last) = (params.prefix, params.prefix + sizes.patches);
        let mut wide = E::scratch(sizes.patches * channels);
        let mut wide_centres = E::scratch(sizes.clusters * channels);
        let mut work = Work::new(params, Cells::new(params.clusters, grid), channels, rounding);
        let tables = out.index.chunks_exact_mut(sizes.total * sizes.choices);
        let tables = tables.zip(out.weight.chunks_exact_mut(sizes.total * sizes.choices));
        let images = x.chunks_exact(sizes.total * channels).zip(out.z.chunks_exact_mut(sizes.rows * channels));
        for ((image, z), (index, weight)) in images.zip(tables) {
            let patches = E::widen(&image[first * channels..last * channels], &mut wide);
            let patches = &Patches::new(patches, channels, pool);
            let inner = first * channels..(first + sizes.clusters) * channels;
            let centres = E::wide(&mut z[inner.clone()], &mut wide_centres);
            let known = work.cluster(params, patches, centres, pool);
            work.nearest(params, sizes.choices, patches, centres, known, pool);
            if !wide_centres.is_empty() {
                E::narrow(&wide_centres, &mut z[inner]);
            }
            let behind = (first + sizes.clusters) * channels;
            z[..first * channels].copy_from_slice(&image[..first * channels]);
            z[behind..].copy_from_slice(&image[last * channels..]);

            let choices = sizes.choices;
            let inner = first * choices..last * choices;
            work.write(params, choices, &mut index[inner.clone()], &mut weight[inner], pool);
            for t in (0..first).chain(last..sizes.total) {
                let row = if t < first { t } else { t - sizes.patches + sizes.clusters };
                index[t * choices..(t + 1) * choices].fill(row as i32);
                weight[t * choices..(t + 1) * choices].fill(0.0);
                weight[t * choices] = 1.0;
            }
        }
        Ok(())
    }
}

/// Buffers reused for every image of the batch.
struct Work {
    cells: Cells,
    channels: usize,
    rounding: Rounding,
    radius: usize,
    /// Places for centres around a cell, row by row.
    side: usize,
    /// `[N, side²]`: distances to the centres around the own cell, then weights; 0 where there is none.
    around: Vec<f32>,
    /// `[N]`: the least of them.
    least: Vec<f32>,
    /// `[N, K]`: the nearest centres with their distances.
    chosen: Vec<(f32, u32)>,
}

impl Work {
    fn new(params: &GridKMeans, cells: Cells, channels: usize, rounding: Rounding) -> Self {
        let n = cells.rows.cell.len() * cells.columns.cell.len();
        // Beyond the grid there is nothing to look at.
        let radius = (params.window / 2).min(params.clusters.0.max(params.clusters.1) - 1);
        let side = 2 * radius + 1;
        Self {
            cells,
            channels,
            rounding,
            radius,
            side,
            around: vec![0.0; if params.iterations == 0 { 0 } else { n * side * side }],
            least: vec![0.0; n],
            chosen: vec![(0.0, 0); n * params.choices()],
        }
    }

    fn pool(&self, patches: &Patches<'_>, centres: &mut [f32], pool: &dyn Parallel) {
        let (cells, channels) = (&self.cells, self.channels);
        for_rows(pool, centres, channels, GRAIN, |first, out| {
            for (m, centre) in (first..).zip(out.chunks_exact_mut(channels)) {
                let (top, bottom) = cells.rows.pooled[m / cells.cluster_width()];
                let (left, right) = cells.columns.pooled[m % cells.cluster_width()];
                centre.fill(0.0);
                for y in top..bottom {
                    for x in left..right {
                        let at = (y as usize * cells.width() + x as usize) * channels;
                        centre.iter_mut().zip(&patches.values[at..at + channels]).for_each(|(sum, v)| *sum += v);
                    }
                }
                let count = ((bottom - top) * (right - left)) as f32;
                centre.iter_mut().for_each(|sum| *sum /= count);
            }
        });
    }

    /// Fills `centres` (`[M, C]`). True if `around` then holds the distances to those around each patch.
    fn cluster(
        &mut self,
        params: &GridKMeans,
        patches: &Patches<'_>,
        centres: &mut [f32],
        pool: &dyn Parallel,
    ) -> bool {
        let (cells, iterations) = (self.cells.clone(), params.iterations);
        let pairs = match self.rounding {
            Rounding::AsDefined => None,
            Rounding::Any => Pairs::new(patches, &cells, self.radius, iterations, pool),
        };
        let Some(pairs) = pairs else {
            self.pool(patches, centres, pool);
            for _ in 0..iterations {
                self.measure(patches, centres, pool);
                self.soften(params, pool);
                self.update(patches, centres, false, pool);
            }
            return false;
        };
        self.pooled_weights();
        let mut distances = vec![0.0; pairs.room()];
        for _ in 0..iterations {
            if pairs.distances(&self.around, &mut distances, pool) {
                self.look_up(&pairs, &distances, pool);
                self.soften_fused(params, pool);
            } else {
                self.update(patches, centres, true, pool);
                self.measure(patches, centres, pool);
                self.soften(params, pool);
            }
        }
        self.update(patches, centres, true, pool);
        // Ties are exactly as far, and so have to be measured alike.
        let known = params.ties == 0 && pairs.distances(&self.around, &mut distances, pool);
        if known {
            self.look_up(&pairs, &distances, pool);
        }
        known
    }

    /// The centres that clustering begins with, as weights of the patches that they are means of.
    fn pooled_weights(&mut self) {
        let (cells, radius, side) = (&self.cells, self.radius, self.side);
        self.around.fill(0.0);
        for (row, &(top, bottom)) in cells.rows.pooled.iter().enumerate() {
            for (column, &(left, right)) in cells.columns.pooled.iter().enumerate() {
                for y in top as usize..bottom as usize {
                    let line = (row + radius - cells.rows.cell[y] as usize) * side;
                    for x in left as usize..right as usize {
                        let place = line + column + radius - cells.columns.cell[x] as usize;
                        self.around[(y * cells.width() + x) * side * side + place] = 1.0;
                    }
                }
            }
        }
    }

    /// Distances to the centres around each patch.
    fn measure(&mut self, patches: &Patches<'_>, centres: &[f32], pool: &dyn Parallel) {
        let (cells, channels, radius, side) = (&self.cells, self.channels, self.radius, self.side);
        for_rows(pool, &mut self.around, side * side, GRAIN, |first, out| {
            distances(&patches.values, centres, channels, cells, radius, first, out);
        });
    }

    /// The same, from distances between patches, with the least of them.
    fn look_up(&mut self, pairs: &Pairs<'_>, distances: &[f32], pool: &dyn Parallel) {
        let places = self.side * self.side;
        for_rows_of_two(pool, (&mut self.around, places), (&mut self.least, 1), GRAIN, |first, out, least| {
            for (i, (row, least)) in (first..).zip(out.chunks_exact_mut(places).zip(least)) {
                *least = pairs.look_up(i, distances, row);
            }
        });
    }

    /// Weights from distances and the least of them, rounded as the processor likes.
    fn soften_fused(&mut self, params: &GridKMeans, pool: &dyn Parallel) {
        let places = self.side * self.side;
        let (least, sharpness) = (&self.least, params.sharpness(self.least.iter().copied()));
        // Beyond f32 nothing but the nearest has a weight either.
        let sharpness = sharpness.min(f64::from(f32::MAX)) as f32;
        let pool = worth(pool, self.around.len());
        for_rows(pool, &mut self.around, places, GRAIN, |first, out| {
            widest(Soften { sharpness, places, least: &least[first..], out });
        });
    }

    /// Weights from distances.
    fn soften(&mut self, params: &GridKMeans, pool: &dyn Parallel) {
        let places = self.side * self.side;
        let around = &self.around;
        for_rows(pool, &mut self.least, 1, 4 * GRAIN, |first, out| {
            let rows = around[first * places..].chunks_exact(places);
            out.iter_mut()
                .zip(rows)
                .for_each(|(least, row)| *least = row.iter().copied().fold(f32::INFINITY, f32::min));
        });
        let (least, sharpness) = (&self.least, params.sharpness(self.least.iter().copied()));
        for_rows(pool, &mut self.around, places, GRAIN, |first, out| {
            for (row, least) in out.chunks_exact_mut(places).zip(&least[first..]) {
                for d in row.iter_mut() {
                    // Places without a centre are infinitely far: a weight of 0, which adds nothing.
                    *d = if *d == f32::INFINITY { 0.0 } else { unnormalised(sharpness, *d, *least) };
                }
                let sum = row.iter().fold(0.0, |sum, w| sum + w);
                row.iter_mut().for_each(|w| *w /= sum);
            }
        });
    }

    /// Centres from weights.
    fn update(&self, patches: &Patches<'_>, centres: &mut [f32], fused: bool, pool: &dyn Parallel) {
        let (cells, channels, radius) = (&self.cells, self.channels, self.radius);
        let update = Update { patches: &patches.values, weights: &self.around, cells, radius, channels, fused };
        for_rows(pool, centres, channels, GRAIN, |first, out| update.run(first, out));
    }

    /// The nearest of all centres to every patch.
    fn nearest(
        &mut self,
        params: &GridKMeans,
        choices: usize,
        patches: &Patches<'_>,
        centres: &[f32],
        known: bool,
        pool: &dyn Parallel,
    ) {
        let radius = if known { self.radius } else { (params.window / 2).max(1) };
        let known = known.then_some(self.around.as_slice());
        let search = Search::new(patches, centres, &self.cells, radius, known, choices, pool);
        for_rows(pool, &mut self.chosen, choices, GRAIN, |first, out| search.run(first, out));
    }

    fn write(&self, params: &GridKMeans, choices: usize, index: &mut [i32], weight: &mut [f32], pool: &dyn Parallel) {
        let sharpness = params.sharpness(self.chosen.iter().step_by(choices).map(|(least, _)| *least));
        let last = params.neighbors.min(choices) - 1;
        // An exponential takes longer than to look at a number.
        let pool = worth(pool, 4 * weight.len());
        for_rows_of_two(pool, (index, choices), (weight, choices), GRAIN, |first, index, weight| {
            let out = index.chunks_exact_mut(choices).zip(weight.chunks_exact_mut(choices));
            for (row, (index, weight)) in self.chosen[first * choices..].chunks_exact(choices).zip(out) {
                for (k, &(d, m)) in row.iter().enumerate() {
                    index[k] = (params.prefix + m as usize) as i32;
                    weight[k] = if k <= last || d == row[last].0 { unnormalised(sharpness, d, row[0].0) } else { 0.0 };
                }
                normalise(params.norm, weight);
            }
        });
    }
}
