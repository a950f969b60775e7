//! The definition of `AilurusGridKMeans`, in plain loops over all pairs.
//!
//! Expedit (Liang et al., NeurIPS 2022), §3, and its released code. For every image of the batch, with N = H·W patches
//! and M = h·w centres, both numbered row by row, x_i patch i in f32 (elements that are not numbers as 0, those beyond
//! ±[`LARGEST`] as ±[`LARGEST`]):
//!
//! 1. Centre (a, b) starts as the mean of the patches of rows ⌊a·H/h⌋ .. ⌈(a+1)·H/h⌉ and columns ⌊b·W/w⌋ .. ⌈(b+1)·W/w⌉
//!    (adaptive average pooling), added row by row and divided once.
//! 2. Patch (y, x) lies in cell (⌊y·(h/H)⌋, ⌊x·(w/W)⌋), computed in f32 (nearest resizing). It looks at the centres
//!    V(i) within `window / 2` rows and columns of that cell.
//! 3. d(i, m) = Σ_c (x_ic − s_mc)², in the order of [`LANES`](crate::lanes::LANES).
//! 4. `iterations` times: with n_i the least d(i, m), m in V(i), a(i, m) = exp(−τ·(d(i, m) − n_i)) over the sum of these
//!    over V(i), added in ascending order of m; s_m = Σ_i a(i, m)·x_i over max(Σ_i a(i, m), [`LEAST_WEIGHT`]), both added
//!    in ascending order of i over the patches that look at m. τ is the temperature, or the temperature over the mean
//!    of n_i over all patches, at least [`NEAREST`](super::NEAREST), anew in every iteration.
//! 5. From the last centres, d(i, m) for all m. The K nearest in ascending order of (d, m) have the weight
//!    exp(−τ·(d − least d)), those behind the K-th too if they are exactly as far as it is and have one of the `ties`
//!    places; τ as above with the least d over all centres. Weights are divided by their norm, added in this order.
//!
//! Exponentials are computed in f64 and rounded to f32, and those below [`LEAST_WEIGHT`] count as 0; every other operation
//! is rounded to f32.
//!
//! Prefix and suffix tokens are rows of their own: their own row with weight 1, K − 1 times that row with weight 0.

use super::{Cells, GridClusters, GridKMeans, LARGEST, LEAST_WEIGHT, check, normalise, unnormalised};
use crate::lanes::squared_distance;
use crate::{Element, Result};

/// Clusters `x` (`[B, T, C]`, row-major). `grid` is the run-time grid, equal to the static one if there is one.
pub fn grid_kmeans<E: Element>(
    params: &GridKMeans,
    x: &[E],
    batch: usize,
    channels: usize,
    grid: (usize, usize),
) -> Result<GridClusters<E>> {
    let sizes = check(params, x.len(), batch, channels, grid)?;
    let cells = Cells::new(params.clusters, grid);
    let mut out = GridClusters { rows: sizes.rows, choices: sizes.choices, z: vec![], index: vec![], weight: vec![] };
    for image in x.chunks_exact(sizes.total * channels) {
        let tokens: Vec<&[E]> = image.chunks_exact(channels).collect();
        let (before, rest) = tokens.split_at(params.prefix);
        let (patches, behind) = rest.split_at(sizes.patches);
        let patches: Vec<Vec<f32>> =
            patches.iter().map(|token| token.iter().map(|v| tame(v.to_f32())).collect()).collect();

        let mut centres = pooled(&patches, &cells);
        for _ in 0..params.iterations {
            centres = iterate(params, &patches, &centres, &cells);
        }

        before.iter().for_each(|token| out.z.extend_from_slice(token));
        out.z.extend(centres.iter().flatten().map(|&v| E::from_f32(v)));
        behind.iter().for_each(|token| out.z.extend_from_slice(token));
        (0..params.prefix).for_each(|t| own(t, &mut out));
        nearest(params, &patches, &centres, &mut out);
        (sizes.rows - params.suffix..sizes.rows).for_each(|t| own(t, &mut out));
    }
    Ok(out)
}

/// A number that clustering can compute with.
fn tame(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { v.clamp(-LARGEST, LARGEST) }
}

fn pooled(patches: &[Vec<f32>], cells: &Cells) -> Vec<Vec<f32>> {
    let mut centres = Vec::new();
    for &(top, bottom) in &cells.rows.pooled {
        for &(left, right) in &cells.columns.pooled {
            let mut centre = vec![0.0f32; patches[0].len()];
            for y in top..bottom {
                for x in left..right {
                    let patch = &patches[y as usize * cells.width() + x as usize];
                    centre.iter_mut().zip(patch).for_each(|(sum, v)| *sum += v);
                }
            }
            let count = ((bottom - top) * (right - left)) as f32;
            centre.iter_mut().for_each(|sum| *sum /= count);
            centres.push(centre);
        }
    }
    centres
}

fn iterate(params: &GridKMeans, patches: &[Vec<f32>], centres: &[Vec<f32>], cells: &Cells) -> Vec<Vec<f32>> {
    let (width, columns) = (cells.width(), cells.cluster_width());
    let radius = params.window / 2;
    let looks_at = |i: usize, m: usize| {
        let (y, x) = (cells.rows.cell[i / width] as usize, cells.columns.cell[i % width] as usize);
        y.abs_diff(m / columns) <= radius && x.abs_diff(m % columns) <= radius
    };
    // Centres that each patch looks at, with their distances.
    let distances: Vec<Vec<(usize, f32)>> = patches
        .iter()
        .enumerate()
        .map(|(i, patch)| {
            let seen = (0..centres.len()).filter(|&m| looks_at(i, m));
            seen.map(|m| (m, squared_distance(patch, &centres[m]))).collect()
        })
        .collect();
    let least: Vec<f32> =
        distances.iter().map(|row| row.iter().fold(f32::INFINITY, |least, &(_, d)| least.min(d))).collect();
    let sharpness = params.sharpness(least.iter().copied());

    let channels = patches[0].len();
    let mut sums = vec![vec![0.0f32; channels]; centres.len()];
    let mut totals = vec![0.0f32; centres.len()];
    for ((patch, row), least) in patches.iter().zip(&distances).zip(least) {
        let weights: Vec<f32> = row.iter().map(|&(_, d)| unnormalised(sharpness, d, least)).collect();
        let sum = weights.iter().fold(0.0, |sum, w| sum + w);
        for (&(m, _), w) in row.iter().zip(weights) {
            let a = w / sum;
            totals[m] += a;
            sums[m].iter_mut().zip(patch).for_each(|(sum, v)| *sum += a * v);
        }
    }
    for (sum, total) in sums.iter_mut().zip(totals) {
        sum.iter_mut().for_each(|v| *v /= total.max(LEAST_WEIGHT));
    }
    sums
}

/// Appends what the patches of one image are made of.
fn nearest<E>(params: &GridKMeans, patches: &[Vec<f32>], centres: &[Vec<f32>], out: &mut GridClusters<E>) {
    let chosen: Vec<Vec<(f32, usize)>> = patches
        .iter()
        .map(|patch| {
            let mut row: Vec<(f32, usize)> =
                centres.iter().enumerate().map(|(m, centre)| (squared_distance(patch, centre), m)).collect();
            row.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            row.truncate(out.choices);
            row
        })
        .collect();
    let sharpness = params.sharpness(chosen.iter().map(|row| row[0].0));
    for row in chosen {
        let (least, last) = (row[0].0, row[params.neighbors.min(row.len()) - 1].0);
        let weight = |(k, &(d, _)): (usize, &(f32, usize))| {
            if k < params.neighbors || d == last { unnormalised(sharpness, d, least) } else { 0.0 }
        };
        let mut weights: Vec<f32> = row.iter().enumerate().map(weight).collect();
        normalise(params.norm, &mut weights);
        out.index.extend(row.iter().map(|&(_, m)| (params.prefix + m) as i32));
        out.weight.extend(weights);
    }
}

/// Appends a token that is a row of its own.
fn own<E>(row: usize, out: &mut GridClusters<E>) {
    out.index.extend(std::iter::repeat_n(row as i32, out.choices));
    out.weight.extend((0..out.choices).map(|k| if k == 0 { 1.0 } else { 0.0 }));
}
