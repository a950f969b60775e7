//! Pooling and bilinear resizing, evaluated from their definitions.

use crate::canonical::Stream;
use ailurus_rewrite::{Plan, Pool};
use anyhow::{Context, Result, ensure};

/// Checks the merged stream, and what its rows and weights make of it, against the stream that was merged. Returns the
/// largest deviation, as a share of the largest number.
pub fn check(plan: &Plan, pool: &Pool, base: &Stream, merged: &Stream, index: &[i32], weight: &[f32]) -> Result<f64> {
    let (prefix, suffix) = (plan.tokens.prefix, plan.tokens.suffix);
    let (grid, (h, w), channels) = (plan.tokens.grid.context("an open grid")?, pool.grid, base.channels);
    let choices = index.len() / (base.batch * base.tokens).max(1);
    ensure!(merged.tokens == prefix + h * w + suffix && index.len() == weight.len(), "sizes do not fit");
    let largest = base.data.iter().fold(0f64, |m, v| m.max(f64::from(v.abs())));
    let mut worst = 0f64;
    for b in 0..base.batch {
        let token = |s: &Stream, t: usize, c: usize| f64::from(s.data[(b * s.tokens + t) * channels + c]);
        let mut compare = |wanted: f64, got: f64| worst = worst.max((wanted - got).abs() / largest);
        for c in 0..channels {
            let mean = |a: usize, e: usize| {
                let side = |at: usize, cells: usize, n: usize| at * n / cells..((at + 1) * n).div_ceil(cells);
                let (rows, columns) = (side(a, h, grid.0), side(e, w, grid.1));
                let count = (rows.len() * columns.len()) as f64;
                let sum: f64 = rows
                    .flat_map(|y| columns.clone().map(move |x| (y, x)))
                    .map(|(y, x)| token(base, prefix + y * grid.1 + x, c))
                    .sum();
                sum / count
            };
            let pooled: Vec<f64> = (0..h * w).map(|m| mean(m / w, m % w)).collect();
            pooled.iter().enumerate().for_each(|(m, v)| compare(*v, token(merged, prefix + m, c)));
            let others = |i: usize| if i < prefix { (i, i) } else { (base.tokens + i - prefix - suffix, h * w + i) };
            for (from, to) in (0..prefix + suffix).map(others) {
                compare(token(base, from, c), token(merged, to, c));
            }
            // Straight lines between the middles of the cells, level outside of them.
            let between = |i: usize, patches: usize, cells: usize| {
                let at = ((i as f64 + 0.5) * cells as f64 / patches as f64 - 0.5).clamp(0.0, (cells - 1) as f64);
                (at.floor() as usize, (at.floor() as usize + 1).min(cells - 1), at.fract())
            };
            for i in 0..base.tokens {
                let at = (b * base.tokens + i) * choices;
                let got: f64 =
                    (at..at + choices).map(|k| f64::from(weight[k]) * token(merged, index[k] as usize, c)).sum();
                let wanted = match i.checked_sub(prefix) {
                    Some(p) if p < grid.0 * grid.1 => {
                        let (top, bottom, down) = between(p / grid.1, grid.0, h);
                        let (left, right, across) = between(p % grid.1, grid.1, w);
                        let line = |y: usize| pooled[y * w + left] * (1.0 - across) + pooled[y * w + right] * across;
                        line(top) * (1.0 - down) + line(bottom) * down
                    }
                    _ => token(base, i, c),
                };
                compare(wanted, got);
            }
        }
    }
    Ok(worst)
}
