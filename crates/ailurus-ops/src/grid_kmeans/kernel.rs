//! `AilurusGridKMeans` in O(N·window²·C) an iteration: every patch looks at the centres around its cell only. The K nearest
//! are found among all centres, most of which are ruled out without being measured. Same results as the reference, bit for bit.

use super::screen::Screen;
use super::search::{Search, distances};
use super::sums::Update;
use super::{Cells, GridClusters, GridKMeans, LARGEST, NAME, check, normalise, unnormalised};
use crate::error::check_len;
use crate::parallel::{Parallel, for_rows};
use crate::{Element, Result};

/// Fewest patches worth a task of their own.
const GRAIN: usize = 16;

/// Clusters `x` (`[B, T, C]`). `grid` is the run-time grid, equal to the static one if there is one.
pub fn grid_kmeans<E: Element>(
    params: &GridKMeans,
    x: &[E],
    batch: usize,
    channels: usize,
    grid: (usize, usize),
    pool: &dyn Parallel,
) -> Result<GridClusters<E>> {
    let sizes = check(params, x.len(), batch, channels, grid)?;
    let (rows, choices) = (sizes.rows, sizes.choices);
    let mut z = vec![E::default(); batch * rows * channels];
    let mut index = vec![0; batch * sizes.total * choices];
    let mut weight = vec![0.0; batch * sizes.total * choices];
    let memory = GridClustersMut { z: &mut z, index: &mut index, weight: &mut weight };
    grid_kmeans_into(params, x, batch, channels, grid, pool, memory)?;
    Ok(GridClusters { rows, choices, z, index, weight })
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
    let sizes = check(params, x.len(), batch, channels, grid)?;
    check_len(NAME, "z", out.z.len(), &[batch, sizes.rows, channels])?;
    check_len(NAME, "index", out.index.len(), &[batch, sizes.total, sizes.choices])?;
    check_len(NAME, "weight", out.weight.len(), &[batch, sizes.total, sizes.choices])?;
    let (first, last) = (params.prefix, params.prefix + sizes.patches);
    // Filled only by f16 inputs and where a number is to be tamed; untouched zero pages cost nothing.
    let mut wide = vec![0.0f32; sizes.patches * channels];
    let mut tamed = Vec::new();
    let mut work = Work::new(params, Cells::new(params.clusters, grid), sizes.clusters, channels);
    let tables = out.index.chunks_exact_mut(sizes.total * sizes.choices);
    let tables = tables.zip(out.weight.chunks_exact_mut(sizes.total * sizes.choices));
    let images = x.chunks_exact(sizes.total * channels).zip(out.z.chunks_exact_mut(sizes.rows * channels));
    for ((image, z), (index, weight)) in images.zip(tables) {
        let patches = E::widen(&image[first * channels..last * channels], &mut wide);
        let patches = tame(patches, &mut tamed);
        work.pool(patches, pool);
        for _ in 0..params.iterations {
            work.iterate(params, patches, pool);
        }
        let behind = (first + sizes.clusters) * channels;
        z[..first * channels].copy_from_slice(&image[..first * channels]);
        E::narrow(&work.centres, &mut z[first * channels..behind]);
        z[behind..].copy_from_slice(&image[last * channels..]);

        let choices = sizes.choices;
        work.nearest(params, choices, patches, pool);
        let inner = first * choices..last * choices;
        work.write(params, choices, &mut index[inner.clone()], &mut weight[inner]);
        for t in (0..first).chain(last..sizes.total) {
            let row = if t < first { t } else { t - sizes.patches + sizes.clusters };
            index[t * choices..(t + 1) * choices].fill(row as i32);
            weight[t * choices..(t + 1) * choices].fill(0.0);
            weight[t * choices] = 1.0;
        }
    }
    Ok(())
}

/// The numbers with which clustering computes: mostly the numbers there are.
fn tame<'a>(patches: &'a [f32], tamed: &'a mut Vec<f32>) -> &'a [f32] {
    // False for NaN too. No early end: this way it runs in registers.
    if patches.iter().fold(true, |fine, v| fine & (v.abs() <= LARGEST)) {
        return patches;
    }
    tamed.clear();
    tamed.extend(patches.iter().map(|&v| if v.is_nan() { 0.0 } else { v.clamp(-LARGEST, LARGEST) }));
    tamed
}

/// Buffers reused for every image of the batch.
struct Work {
    cells: Cells,
    channels: usize,
    radius: usize,
    /// Places for centres around a cell, row by row.
    side: usize,
    /// `[M, C]`
    centres: Vec<f32>,
    /// `[N, side²]`: distances to the centres around the own cell, then weights; 0 where there is none.
    around: Vec<f32>,
    /// `[N]`: the least of them.
    least: Vec<f32>,
    /// `[N, K]`: the nearest centres with their distances.
    chosen: Vec<(f32, u32)>,
}

impl Work {
    fn new(params: &GridKMeans, cells: Cells, clusters: usize, channels: usize) -> Self {
        let n = cells.rows.cell.len() * cells.columns.cell.len();
        // Beyond the grid there is nothing to look at.
        let radius = (params.window / 2).min(params.clusters.0.max(params.clusters.1) - 1);
        let side = 2 * radius + 1;
        Self {
            cells,
            channels,
            radius,
            side,
            centres: vec![0.0; clusters * channels],
            around: vec![0.0; if params.iterations == 0 { 0 } else { n * side * side }],
            least: vec![0.0; n],
            chosen: vec![(0.0, 0); n * params.choices()],
        }
    }

    fn pool(&mut self, patches: &[f32], pool: &dyn Parallel) {
        let (cells, channels) = (&self.cells, self.channels);
        for_rows(pool, &mut self.centres, channels, GRAIN, |first, out| {
            for (m, centre) in (first..).zip(out.chunks_exact_mut(channels)) {
                let (top, bottom) = cells.rows.pooled[m / cells.cluster_width()];
                let (left, right) = cells.columns.pooled[m % cells.cluster_width()];
                centre.fill(0.0);
                for y in top..bottom {
                    for x in left..right {
                        let at = (y as usize * cells.width() + x as usize) * channels;
                        centre.iter_mut().zip(&patches[at..at + channels]).for_each(|(sum, v)| *sum += v);
                    }
                }
                let count = ((bottom - top) * (right - left)) as f32;
                centre.iter_mut().for_each(|sum| *sum /= count);
            }
        });
    }

    fn iterate(&mut self, params: &GridKMeans, patches: &[f32], pool: &dyn Parallel) {
        let (cells, channels, radius, side) = (&self.cells, self.channels, self.radius, self.side);
        let centres = &self.centres;
        for_rows(pool, &mut self.around, side * side, GRAIN, |first, out| {
            distances(patches, centres, channels, cells, radius, first, out);
        });
        let around = &self.around;
        for_rows(pool, &mut self.least, 1, 4 * GRAIN, |first, out| {
            for (i, least) in (first..).zip(out) {
                *least = around[i * side * side..(i + 1) * side * side].iter().copied().fold(f32::INFINITY, f32::min);
            }
        });
        let (least, sharpness) = (&self.least, params.sharpness(self.least.iter().copied()));
        for_rows(pool, &mut self.around, side * side, GRAIN, |first, out| {
            for (i, row) in (first..).zip(out.chunks_exact_mut(side * side)) {
                for d in row.iter_mut() {
                    // Places without a centre are infinitely far: a weight of 0, which adds nothing.
                    *d = if *d == f32::INFINITY { 0.0 } else { unnormalised(sharpness, *d, least[i]) };
                }
                let sum = row.iter().fold(0.0, |sum, w| sum + w);
                row.iter_mut().for_each(|w| *w /= sum);
            }
        });
        let update = Update { patches, weights: &self.around, cells, radius, channels };
        for_rows(pool, &mut self.centres, channels, GRAIN, |first, out| update.run(first, out));
    }

    /// The nearest of all centres to every patch.
    fn nearest(&mut self, params: &GridKMeans, choices: usize, patches: &[f32], pool: &dyn Parallel) {
        let search = Search {
            patches,
            centres: &self.centres,
            channels: self.channels,
            cells: &self.cells,
            radius: (params.window / 2).max(1),
            choices,
            screen: Screen::new(patches, &self.centres, self.channels, pool),
        };
        for_rows(pool, &mut self.chosen, choices, GRAIN, |first, out| search.run(first, out));
    }

    fn write(&self, params: &GridKMeans, choices: usize, index: &mut [i32], weight: &mut [f32]) {
        let rows = || self.chosen.chunks_exact(choices);
        let sharpness = params.sharpness(rows().map(|row| row[0].0));
        let last = params.neighbors.min(choices) - 1;
        let out = index.chunks_exact_mut(choices).zip(weight.chunks_exact_mut(choices));
        for (row, (index, weight)) in rows().zip(out) {
            for (k, (&(d, m), (index, weight))) in row.iter().zip(index.iter_mut().zip(weight.iter_mut())).enumerate() {
                *index = (params.prefix + m as usize) as i32;
                *weight = if k <= last || d == row[last].0 { unnormalised(sharpness, d, row[0].0) } else { 0.0 };
            }
            normalise(params.norm, weight);
        }
    }
}
