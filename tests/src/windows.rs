//! Clusters of windows, evaluated from their definition.

use crate::canonical::Stream;
use ailurus_ops::Clusters;
use ailurus_rewrite::{Plan, options::Keep};
use anyhow::{Context, Result};

/// The clusters of a plan, for what distances are measured on.
pub fn clusters(plan: &Plan, metric: &Stream) -> Result<Clusters> {
    let t = &plan.tokens;
    let (h, w) = t.grid.context("an open grid")?;
    let n = h * w;
    let wanted = match t.keep {
        Keep::Tokens(m) => m,
        Keep::Ratio { num, den } => (n * num).div_ceil(den).max(1),
    };
    let mut out = Clusters { rows: 0, index: vec![], anchor: vec![], size: vec![] };
    for image in metric.data.chunks_exact(metric.tokens * metric.channels) {
        let patch = |y: usize, x: usize| &image[(t.prefix + y * w + x) * metric.channels..][..metric.channels];
        // Window by window, from the most alike on, until few enough tokens are left.
        let mut windows: Vec<(f64, usize, usize)> = Vec::new();
        for y in (0..h - h % 2).step_by(2) {
            for x in (0..w - w % 2).step_by(2) {
                let four = [patch(y, x), patch(y, x + 1), patch(y + 1, x), patch(y + 1, x + 1)];
                let channel = |c: usize| {
                    let mean = four.iter().map(|p| f64::from(p[c])).sum::<f64>() / 4.0;
                    four.iter().map(|p| (f64::from(p[c]) - mean).powi(2)).sum::<f64>()
                };
                let spread: f64 = (0..metric.channels).map(channel).sum();
                windows.push((if spread.is_nan() { f64::INFINITY } else { spread }, y, x));
            }
        }
        // Stable: of equal ones the first.
        windows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut leader: Vec<usize> = (0..n).collect();
        let mut left = n;
        for (_, y, x) in windows {
            if left <= wanted {
                break;
            }
            for (down, right) in [(0, 1), (1, 0), (1, 1)] {
                leader[(y + down) * w + x + right] = y * w + x;
            }
            left -= 3;
        }
        let alone = |tokens: usize| (0..tokens).map(|i| (i, 1.0f32));
        let members = |i: usize| leader.iter().filter(|&&l| l == i).count() as f32;
        let own = (0..n).filter(|&i| leader[i] == i).map(|i| (t.prefix + i, members(i)));
        let rows: Vec<(usize, f32)> =
            alone(t.prefix).chain(own).chain(alone(t.suffix).map(|(i, size)| (t.prefix + n + i, size))).collect();
        let leads = |token: usize| match token.checked_sub(t.prefix) {
            Some(i) if i < n => t.prefix + leader[i],
            _ => token,
        };
        let row = |token: usize| rows.iter().position(|r| r.0 == leads(token)).map(|r| r as i32);
        let index: Option<Vec<i32>> = (0..metric.tokens).map(row).collect();
        out.index.extend(index.context("a token without a row")?);
        out.anchor.extend(rows.iter().map(|r| r.0 as i32));
        out.size.extend(rows.iter().map(|r| r.1));
        out.rows = rows.len();
    }
    Ok(out)
}
