//! The published formulas of Expedit, evaluated independently in f64 and in the form of the released code: all centres at
//! once with a mask, no minimum subtracted, weights below the K-th set to zero, L2 normalisation.

mod common;

use ailurus_ops::{GridKMeans, Norm, TemperatureMode, UnfoldDims, reference};
use common::data::Random;

struct Published {
    grid: (usize, usize),
    clusters: (usize, usize),
    channels: usize,
    x: Vec<Vec<f64>>,
}

impl Published {
    fn distance(a: &[f64], b: &[f64]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dot(a, a) + dot(b, b) - 2.0 * dot(a, b)
    }

    fn pooled(&self) -> Vec<Vec<f64>> {
        let ((h, w), (rows, columns)) = (self.grid, self.clusters);
        let mut centres = Vec::new();
        for a in 0..rows {
            for b in 0..columns {
                let inside = |i: usize| {
                    let (y, x) = ((i / w) as f64, (i % w) as f64);
                    let (top, left) = ((a * h / rows) as f64, (b * w / columns) as f64);
                    let bottom = ((a + 1) as f64 * h as f64 / rows as f64).ceil();
                    let right = ((b + 1) as f64 * w as f64 / columns as f64).ceil();
                    y >= top && y < bottom && x >= left && x < right
                };
                let members: Vec<&Vec<f64>> = (0..h * w).filter(|&i| inside(i)).map(|i| &self.x[i]).collect();
                let mean = |c: usize| members.iter().map(|x| x[c]).sum::<f64>() / members.len() as f64;
                centres.push((0..self.channels).map(mean).collect());
            }
        }
        centres
    }

    fn centres(&self, iterations: usize, window: usize, temperature: f64) -> Vec<Vec<f64>> {
        let ((h, w), (rows, columns)) = (self.grid, self.clusters);
        // The label of the cell of every patch, resized.
        let label = |i: usize| ((i / w) * rows / h) * columns + (i % w) * columns / w;
        let mut centres = self.pooled();
        for _ in 0..iterations {
            let affinity: Vec<Vec<f64>> = (0..h * w)
                .map(|i| {
                    let weights: Vec<f64> = (0..centres.len())
                        .map(|m| {
                            let down = (label(i) / columns).abs_diff(m / columns);
                            let right = (label(i) % columns).abs_diff(m % columns);
                            let far = if down <= window / 2 && right <= window / 2 { 0.0 } else { 1e16 };
                            (-(Self::distance(&self.x[i], &centres[m]) + far) * temperature).exp()
                        })
                        .collect();
                    let sum: f64 = weights.iter().sum();
                    weights.iter().map(|w| w / sum).collect()
                })
                .collect();
            centres = (0..centres.len())
                .map(|m| {
                    let total: f64 = affinity.iter().map(|a| a[m]).sum();
                    let mean = |c: usize| (0..h * w).map(|i| affinity[i][m] * self.x[i][c]).sum::<f64>();
                    (0..self.channels).map(|c| mean(c) / total.max(1e-16)).collect()
                })
                .collect();
        }
        centres
    }

    /// `[N, M]`: what every patch is made of.
    fn attention(&self, centres: &[Vec<f64>], k: usize, temperature: f64) -> Vec<Vec<f64>> {
        let row = |x: &Vec<f64>| {
            let weight: Vec<f64> = centres.iter().map(|s| (-temperature * Self::distance(x, s)).exp()).collect();
            let mut sorted = weight.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let least = sorted[k - 1];
            let kept: Vec<f64> = weight.iter().map(|&w| if w >= least { w } else { 0.0 }).collect();
            let norm = kept.iter().map(|w| w * w).sum::<f64>().sqrt().max(1e-12);
            kept.iter().map(|w| w / norm).collect()
        };
        self.x.iter().map(row).collect()
    }
}

fn largest_difference(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    a.zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_parity_mode_is_the_published_form() {
    let mut random = Random(11);
    for (grid, clusters, channels, iterations, window, k, temperature) in [
        ((12, 10), (6, 5), 24, 5, 5, 5, 0.5f32),
        ((14, 14), (5, 4), 16, 3, 3, 20, 0.3),
        ((7, 20), (4, 14), 40, 5, 7, 3, 0.6),
        ((9, 9), (9, 9), 12, 2, 5, 10, 1.0),
        ((8, 8), (1, 1), 7, 4, 5, 20, 0.2),
        ((1, 30), (1, 8), 9, 0, 1, 4, 0.7),
    ] {
        let n = grid.0 * grid.1;
        let x = random.list(n * channels);
        let m = clusters.0 * clusters.1;
        let params = GridKMeans {
            iterations,
            window,
            neighbors: k,
            ties: m,
            temperature,
            temperature_mode: TemperatureMode::Absolute,
            norm: Norm::L2,
            ..GridKMeans::new(0, 0, Some(grid), clusters)
        };
        let out = reference::grid_kmeans(&params, &x, 1, channels, grid).unwrap();

        let wide = x.chunks(channels).map(|t| t.iter().map(|&v| f64::from(v)).collect()).collect();
        let published = Published { grid, clusters, channels, x: wide };
        let temperature = f64::from(temperature);
        let centres = published.centres(iterations, window, temperature);
        let off = largest_difference(out.z.iter().map(|&v| f64::from(v)), centres.iter().flatten().copied());
        assert!(off < 1e-4, "centres of {params:?} are off by {off}");

        let attention = published.attention(&centres, k.min(m), temperature);
        let mut dense = vec![0.0f64; n * m];
        for (i, (index, weight)) in out.index.chunks(out.choices).zip(out.weight.chunks(out.choices)).enumerate() {
            index.iter().zip(weight).for_each(|(&r, &w)| dense[i * m + r as usize] += f64::from(w));
        }
        let off = largest_difference(dense.iter().copied(), attention.iter().flatten().copied());
        assert!(off < 1e-4, "weights of {params:?} are off by {off}");

        // What a layer made of the centres comes back to every patch.
        let refined: Vec<f32> = random.list(m * channels);
        let dims = UnfoldDims { batch: 1, rows: m, tokens: n, choices: out.choices, channels };
        let back = reference::unfold(&refined, &out.index, Some(&out.weight), dims).unwrap();
        let expected = attention.iter().flat_map(|row| {
            let refined = &refined;
            (0..channels).map(move |c| (0..m).map(|r| row[r] * f64::from(refined[r * channels + c])).sum::<f64>())
        });
        let off = largest_difference(back.iter().map(|&v| f64::from(v)), expected);
        assert!(off < 1e-4, "tokens of {params:?} are off by {off}");
    }
}

/// Centres that are exactly as near as the K-th count as in the released code, K or not.
#[test]
fn ties_are_kept() {
    let (grid, clusters, channels) = ((4, 4), (4, 4), 2);
    // Four different tokens, four times each.
    let x: Vec<f32> = (0..16).flat_map(|i| [(i % 2) as f32, (i / 8) as f32]).collect();
    let params = GridKMeans {
        iterations: 0,
        neighbors: 2,
        ties: 16,
        temperature: 1.0,
        temperature_mode: TemperatureMode::Absolute,
        norm: Norm::L2,
        ..GridKMeans::new(0, 0, Some(grid), clusters)
    };
    let out = reference::grid_kmeans(&params, &x, 1, channels, grid).unwrap();
    let wide = x.chunks(channels).map(|t| t.iter().map(|&v| f64::from(v)).collect()).collect();
    let published = Published { grid, clusters, channels, x: wide };
    let attention = published.attention(&published.centres(0, 5, 1.0), 2, 1.0);
    for ((index, weight), row) in out.index.chunks(16).zip(out.weight.chunks(16)).zip(attention) {
        assert_eq!(weight.iter().filter(|&&w| w > 0.0).count(), 4);
        index.iter().zip(weight).for_each(|(&r, &w)| assert!((f64::from(w) - row[r as usize]).abs() < 1e-6));
    }
    let first = reference::grid_kmeans(&GridKMeans { ties: 0, ..params }, &x, 1, channels, grid).unwrap();
    assert_eq!(first.choices, 2);
    assert_eq!(first.index[..2], [0, 2]);
}
