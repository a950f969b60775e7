//! The definition of `AilurusDensityPeaks`, in plain loops over all pairs.
//!
//! AiluRus (Li et al., NeurIPS 2023), §3: density peaks clustering (Rodriguez & Laio, Science 2014) with distances that
//! mix feature distance and spatial rank inside a window. The text fixes the form; the constants are this project's.
//!
//! For every image of the batch, with N patches on an H x W grid, x_i the metric of patch i (d channels):
//!
//! 1. `rank_i(j)`: position of j when all patches are ordered by squared grid distance from i, ties by index.
//!    `V(i) = { j : rank_i(j) < λ }`.
//! 2. `q(i,j) = Σ_c (x_ic − x_jc)²`, in the order of [`LANES`](crate::lanes::LANES). `E(i,j) = q(i,j) · w[rank_i(j)]`,
//!    `w[r] = ((1 − α)·r/λ + α)² / d`. E is the square of D = ‖x_i − x_j‖ / √d · s: squares order alike and need no root.
//!    An E above [`FAR`], infinite or not a number counts as `FAR`.
//! 3. `m_i` = mean of the k smallest E(i,j), j ∈ V(i), j ≠ i (of all there are if fewer; 0 if none); ρ_i = exp(−m_i).
//!    The mean adds in ascending order and divides once.
//! 4. j is denser than i when m_j < m_i, or m_j = m_i and j < i. `δ²_i` = min E(i,j) over the denser j ∈ V(i); if there
//!    is none, the largest E(i,j) < `FAR` of that image (0 if there is none).
//! 5. Anchors: the M largest `ln(ρδ) = ½ ln δ² − m`, ties to the lower index. (The logarithm orders as ρ·δ does and does
//!    not underflow.)
//! 6. An anchor joins itself. Any other patch joins the anchor a ∈ V(i) with the smallest E(i,a), ties to the lower
//!    index; with no anchor in V(i), the spatially nearest anchor, ties to the lower index.
//!
//! Every quantity compared is a number (score may be −∞), so the order is total and the result is a partition into
//! exactly M non-empty clusters for every input, NaN and infinities included.

use super::{Clusters, DensityPeaks, FAR, check, log_score};
use crate::lanes::squared_distance;
use crate::{Element, Result};
use std::cmp::Ordering;

/// Clusters `metric` (`[B, T, d]`, row-major). `grid` is the run-time grid, equal to the static one if there is one.
pub fn density_peaks<E: Element>(
    params: &DensityPeaks,
    metric: &[E],
    batch: usize,
    channels: usize,
    grid: (usize, usize),
) -> Result<Clusters> {
    let sizes = check(params, metric.len(), batch, channels, grid)?;
    let mut out = Clusters { rows: sizes.rows, index: vec![], anchor: vec![], size: vec![] };
    for image in metric.chunks_exact(sizes.total * channels) {
        let patches: Vec<Vec<f32>> = image
            .chunks_exact(channels)
            .skip(params.prefix)
            .take(sizes.patches)
            .map(|token| token.iter().map(|v| v.to_f32()).collect())
            .collect();
        let (anchors, joins) = cluster(params, &patches, grid.1, sizes.clusters);
        write(params, &anchors, &joins, &mut out);
    }
    Ok(out)
}

/// Anchors in patch order, and for every patch the position of its anchor among them.
fn cluster(params: &DensityPeaks, x: &[Vec<f32>], width: usize, clusters: usize) -> (Vec<usize>, Vec<usize>) {
    let n = x.len();
    let space = |i: usize, j: usize| (i / width).abs_diff(j / width).pow(2) + (i % width).abs_diff(j % width).pow(2);

    // 1 and 2: windows in rank order, with squared mixed distances.
    let weights = params.rank_weights(params.window.min(n), x[0].len());
    let window: Vec<Vec<(usize, f32)>> = (0..n)
        .map(|i| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&j| (space(i, j), j));
            order.truncate(params.window);
            order.iter().zip(&weights).map(|(&j, w)| (j, saturate(squared_distance(&x[i], &x[j]) * w))).collect()
        })
        .collect();

    // 3: density.
    let mean: Vec<f32> = window
        .iter()
        .map(|window| {
            let mut near: Vec<f32> = window[1..].iter().map(|&(_, e)| e).collect();
            near.sort_by(f32::total_cmp);
            near.truncate(params.neighbors);
            if near.is_empty() { 0.0 } else { near.iter().fold(0.0, |sum, e| sum + e) / near.len() as f32 }
        })
        .collect();
    let denser = |j: usize, i: usize| mean[j] < mean[i] || (mean[j] == mean[i] && j < i);

    // 4: distance to the nearest denser patch.
    let largest = window.iter().flat_map(|w| &w[1..]).map(|&(_, e)| e).filter(|&e| e < FAR).fold(0.0, f32::max);
    let delta: Vec<f32> = (0..n)
        .map(|i| {
            let above = window[i][1..].iter().filter(|&&(j, _)| denser(j, i)).map(|&(_, e)| e);
            above.reduce(f32::min).unwrap_or(largest)
        })
        .collect();

    // 5: anchors.
    let score: Vec<f32> = (0..n).map(|i| log_score(delta[i], mean[i])).collect();
    let mut anchors: Vec<usize> = (0..n).collect();
    anchors.sort_by(|&a, &b| score[b].partial_cmp(&score[a]).unwrap_or(Ordering::Equal).then(a.cmp(&b)));
    anchors.truncate(clusters);
    anchors.sort_unstable();

    // 6: assignment.
    let joins = (0..n)
        .map(|i| {
            if let Ok(own) = anchors.binary_search(&i) {
                return own;
            }
            let mut best: Option<(f32, usize)> = None;
            for &(j, e) in &window[i] {
                if anchors.binary_search(&j).is_ok() && best.is_none_or(|(b, a)| e < b || (e == b && j < a)) {
                    best = Some((e, j));
                }
            }
            let nearest = || anchors.iter().copied().min_by_key(|&a| (space(i, a), a));
            let anchor = best.map(|(_, a)| a).or_else(nearest).unwrap_or(0);
            anchors.binary_search(&anchor).unwrap_or(0)
        })
        .collect();
    (anchors, joins)
}

/// Makes every squared distance a number, at most [`FAR`].
fn saturate(e: f32) -> f32 {
    if e <= FAR { e } else { FAR }
}

/// Appends one image: prefix rows first, clusters in anchor order, suffix rows last.
fn write(params: &DensityPeaks, anchors: &[usize], joins: &[usize], out: &mut Clusters) {
    let (p, n, m) = (params.prefix, joins.len(), anchors.len());
    let prefix = 0..p as i32;
    out.index.extend(prefix.clone());
    out.index.extend(joins.iter().map(|&row| (p + row) as i32));
    out.index.extend((0..params.suffix).map(|s| (p + m + s) as i32));
    out.anchor.extend(prefix);
    out.anchor.extend(anchors.iter().map(|&a| (p + a) as i32));
    out.anchor.extend((0..params.suffix).map(|s| (p + n + s) as i32));
    let mut size = vec![1.0f32; p + m + params.suffix];
    size[p..p + m].fill(0.0);
    for &row in joins {
        size[p + row] += 1.0;
    }
    out.size.extend(size);
}
