//! `AilurusDensityPeaks` in O(N·λ·d): every patch looks at its window only. Same results as the reference, bit for bit.

use super::distance::window_distances;
use super::window::nearest_anchor;
use super::{Clusters, DensityPeaks, FAR, NAME, Windows, check, log_score};
use crate::error::check_len;
use crate::parallel::{Parallel, for_rows, worth};
use crate::{Element, Error, Result};

/// Fewest patches worth a task of their own.
const GRAIN: usize = 64;

/// Clusters `metric` (`[B, T, d]`). `windows` must have been built for this grid and `params.window`.
pub fn density_peaks<E: Element>(
    params: &DensityPeaks,
    metric: &[E],
    batch: usize,
    channels: usize,
    windows: &Windows,
    pool: &dyn Parallel,
) -> Result<Clusters> {
    let sizes = check(params, metric.len(), batch, channels, windows.grid())?;
    let mut out = Clusters {
        rows: sizes.rows,
        index: vec![0; batch * sizes.total],
        anchor: vec![0; batch * sizes.rows],
        size: vec![0.0; batch * sizes.rows],
    };
    let memory = ClustersMut { index: &mut out.index, anchor: &mut out.anchor, size: &mut out.size };
    density_peaks_into(params, metric, batch, channels, windows, pool, memory)?;
    Ok(out)
}

/// Memory for a [`Clusters`] that the caller brings.
#[derive(Debug)]
pub struct ClustersMut<'a> {
    /// `[B, T]`
    pub index: &'a mut [i32],
    /// `[B, R]`
    pub anchor: &'a mut [i32],
    /// `[B, R]`
    pub size: &'a mut [f32],
}

/// As [`density_peaks`], into memory that the caller brings.
pub fn density_peaks_into<E: Element>(
    params: &DensityPeaks,
    metric: &[E],
    batch: usize,
    channels: usize,
    windows: &Windows,
    pool: &dyn Parallel,
    out: ClustersMut<'_>,
) -> Result<()> {
    let sizes = check(params, metric.len(), batch, channels, windows.grid())?;
    if windows.ranks() != params.window.min(sizes.patches) {
        return Err(Error::Shape {
            operator: NAME,
            input: "windows",
            expected: format!("windows of {} patches", params.window.min(sizes.patches)),
            got: windows.ranks().to_string(),
        });
    }
    check_len(NAME, "index", out.index.len(), &[batch, sizes.total])?;
    check_len(NAME, "anchor", out.anchor.len(), &[batch, sizes.rows])?;
    check_len(NAME, "size", out.size.len(), &[batch, sizes.rows])?;
    let mut scratch = Scratch::new::<E>(params, &sizes, channels);
    let entries = sizes.patches * windows.ranks();
    // A distance takes a few channels at a time; what follows looks at it once.
    let (heavy, light) = (worth(pool, entries.saturating_mul(channels / 8)), worth(pool, entries));
    let rows = out.anchor.chunks_exact_mut(sizes.rows).zip(out.size.chunks_exact_mut(sizes.rows));
    let images = metric.chunks_exact(sizes.total * channels).zip(out.index.chunks_exact_mut(sizes.total));
    for ((image, index), (anchor, size)) in images.zip(rows) {
        let first = params.prefix * channels;
        let patches = &image[first..first + sizes.patches * channels];
        let patches = E::widen(patches, &mut scratch.wide);
        let work = &mut scratch.work;
        work.distances(patches, channels, windows, heavy);
        work.densities(params.neighbors, windows.ranks(), light);
        work.anchors(windows, sizes.clusters, light);
        work.assign(windows, light);
        work.write(params, ClustersMut { index, anchor, size });
    }
    Ok(())
}

/// Buffers reused for every image of the batch.
struct Scratch {
    /// The metric of the patches in f32, when it is f16.
    wide: Vec<f32>,
    work: Work,
}

struct Work {
    /// `w[rank]`
    weights: Vec<f32>,
    /// `[N, ranks]`: E(i, j) in rank order; E(i, i) = 0 at rank 0.
    distance: Vec<f32>,
    /// `[N]`: mean of the smallest distances, and the largest below `FAR`.
    density: Vec<(f32, f32)>,
    /// `[N]`: ln(ρδ)
    score: Vec<f32>,
    /// `[N]`: row of each anchor among the clusters, -1 for other patches.
    row: Vec<i32>,
    /// Anchors in patch order.
    anchors: Vec<u32>,
    /// `[N]`: row each patch joins; -1 while it has no anchor in its window.
    joins: Vec<i32>,
}

impl Scratch {
    fn new<E: Element>(params: &DensityPeaks, sizes: &super::Sizes, channels: usize) -> Self {
        let n = sizes.patches;
        let ranks = params.window.min(n);
        let work = Work {
            weights: params.rank_weights(ranks, channels),
            distance: vec![0.0; n * ranks],
            density: vec![(0.0, 0.0); n],
            score: vec![0.0; n],
            row: vec![-1; n],
            anchors: Vec::with_capacity(sizes.clusters),
            joins: vec![-1; n],
        };
        Self { wide: E::scratch(n * channels), work }
    }
}

impl Work {
    fn distances(&mut self, patches: &[f32], channels: usize, windows: &Windows, pool: &dyn Parallel) {
        let weights = &self.weights;
        for_rows(pool, &mut self.distance, windows.ranks(), GRAIN, |first, out| {
            window_distances(patches, channels, windows, weights, first, out);
        });
    }

    fn densities(&mut self, neighbors: usize, ranks: usize, pool: &dyn Parallel) {
        let distance = &self.distance;
        for_rows(pool, &mut self.density, 1, 4 * GRAIN, |first, out| {
            let mut near = vec![0.0; ranks - 1];
            for (i, out) in (first..).zip(out) {
                let window = &distance[i * ranks + 1..(i + 1) * ranks];
                let largest = window.iter().fold(0.0f32, |m, &e| if e < FAR && e > m { e } else { m });
                *out = (mean_of_smallest(window, neighbors, &mut near), largest);
            }
        });
    }

    fn anchors(&mut self, windows: &Windows, clusters: usize, pool: &dyn Parallel) {
        let (density, distance, ranks) = (&self.density, &self.distance, windows.ranks());
        let largest = density.iter().fold(0.0f32, |m, &(_, e)| if e > m { e } else { m });
        for_rows(pool, &mut self.score, 1, 4 * GRAIN, |first, out| {
            for (i, score) in (first..).zip(out) {
                let mean = density[i].0;
                let mut delta = f32::INFINITY;
                let window = windows.of(i).iter().zip(&distance[i * ranks..(i + 1) * ranks]);
                for (&j, &e) in window.skip(1) {
                    let other = density[j as usize].0;
                    let denser = (other < mean) | ((other == mean) & ((j as usize) < i));
                    delta = if denser & (e < delta) { e } else { delta };
                }
                *score = log_score(if delta == f32::INFINITY { largest } else { delta }, mean);
            }
        });
        let score = &self.score;
        let mut order: Vec<u32> = (0..score.len() as u32).collect();
        if clusters < order.len() {
            // Scores are never NaN, and -0.0 cannot occur next to 0.0 in a way that matters: compare as numbers.
            order.select_nth_unstable_by(clusters, |&a, &b| {
                let (sa, sb) = (score[a as usize], score[b as usize]);
                sb.partial_cmp(&sa).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(&b))
            });
            order.truncate(clusters);
            order.sort_unstable();
        }
        self.row.fill(-1);
        for (row, &anchor) in order.iter().enumerate() {
            self.row[anchor as usize] = row as i32;
        }
        self.anchors = order;
    }

    fn assign(&mut self, windows: &Windows, pool: &dyn Parallel) {
        let (row, distance, ranks) = (&self.row, &self.distance, windows.ranks());
        for_rows(pool, &mut self.joins, 1, 4 * GRAIN, |first, out| {
            for (i, join) in (first..).zip(out) {
                *join = row[i];
                if row[i] >= 0 {
                    continue;
                }
                let (mut best, mut anchor) = (f32::INFINITY, u32::MAX);
                for (&j, &e) in windows.of(i).iter().zip(&distance[i * ranks..(i + 1) * ranks]) {
                    if row[j as usize] >= 0 && (e < best || (e == best && j < anchor)) {
                        (best, anchor) = (e, j);
                        *join = row[j as usize];
                    }
                }
            }
        });
        if self.joins.contains(&-1) {
            let nearest = nearest_anchor(windows.grid(), &self.row);
            for (join, anchor) in self.joins.iter_mut().zip(nearest) {
                if *join < 0 {
                    *join = self.row[anchor];
                }
            }
        }
    }

    fn write(&self, params: &DensityPeaks, out: ClustersMut<'_>) {
        let (p, n, m) = (params.prefix, self.joins.len(), self.anchors.len());
        // Prefix and suffix tokens are rows of their own and keep their order.
        let count = |to: &mut [i32], first: usize| {
            to.iter_mut().zip(first as i32..).for_each(|(to, number)| *to = number);
        };
        count(&mut out.index[..p], 0);
        count(&mut out.index[p + n..], p + m);
        count(&mut out.anchor[..p], 0);
        count(&mut out.anchor[p + m..], p + n);
        for (index, row) in out.index[p..].iter_mut().zip(&self.joins) {
            *index = p as i32 + row;
        }
        for (anchor, &patch) in out.anchor[p..].iter_mut().zip(&self.anchors) {
            *anchor = p as i32 + patch as i32;
        }
        out.size.fill(1.0);
        out.size[p..p + m].fill(0.0);
        for &row in &self.joins {
            out.size[p + row as usize] += 1.0;
        }
    }
}

/// Mean of the k smallest, added in ascending order; 0 of nothing. `near` is scratch as long as `window`.
fn mean_of_smallest(window: &[f32], k: usize, near: &mut [f32]) -> f32 {
    let k = k.min(window.len());
    match k {
        0 => 0.0,
        1 => window.iter().fold(f32::INFINITY, |m, &e| if e < m { e } else { m }),
        _ => {
            near.copy_from_slice(window);
            if k < near.len() {
                near.select_nth_unstable_by(k, f32::total_cmp);
            }
            near[..k].sort_unstable_by(f32::total_cmp);
            near[..k].iter().fold(0.0, |sum, e| sum + e) / k as f32
        }
    }
}
