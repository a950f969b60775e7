//! Distances between patches and what is made of patches.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::LEAST_WEIGHT;
use super::{Pairs, TOGETHER};
use crate::lanes::{LANES, Sums, Wide};

/// Distances of some rows of centres to the patches that look at them.
pub(super) struct Centres<'a> {
    pub pairs: &'a Pairs<'a>,
    pub weights: &'a [f32],
    /// Becomes true if a centre is made of nothing.
    pub nothing: &'a AtomicBool,
    /// Row of centres that `out` begins with.
    pub first: usize,
    pub out: &'a mut [f32],
}

impl Wide for Centres<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        if S::MANY { self.tiles::<S, 4>() } else { self.tiles::<S, 1>() }
    }
}

impl Centres<'_> {
    #[inline(always)]
    fn tiles<S: Sums, const ROWS: usize>(self) {
        let Self { pairs, weights, nothing, first, out } = self;
        let (most, width) = (pairs.most, pairs.cells.cluster_width());
        let mut shares =
            Shares { values: vec![0.0; TOGETHER * most], stride: pairs.stride, height: 0, breadth: 0, rows: 0..0 };
        for (row, out) in (first..).zip(out.chunks_exact_mut(pairs.row)) {
            for (column, out) in (0..width).step_by(TOGETHER).zip(out.chunks_mut(TOGETHER * most)) {
                if !shares.fill(pairs, weights, row, column) {
                    nothing.store(true, Ordering::Relaxed);
                    return;
                }
                shares.compare::<S, ROWS>(pairs, pairs.rows.lookers[row].0, pairs.firsts[column], out);
                for (out, shares) in out.chunks_exact_mut(most).zip(shares.values.chunks_exact(most)) {
                    let pairs = out.as_chunks().0.iter().zip(shares.as_chunks().0);
                    let inside = 0.5 * pairs.fold(S::zero(), |sum, (a, b)| sum.add_products(a, b)).folded();
                    out.iter_mut().for_each(|sum| *sum = (*sum - inside).max(0.0));
                }
            }
        }
    }
}

/// What some centres side by side are made of: in a rectangle of patches, the share of each in each centre.
struct Shares {
    /// `[TOGETHER, rows, stride]`, 0 for patches that do not look at the centre.
    values: Vec<f32>,
    stride: usize,
    height: usize,
    breadth: usize,
    /// Rows that have shares: few when clustering begins.
    rows: Range<usize>,
}

impl Shares {
    /// False if a centre is made of nothing.
    #[inline(always)]
    fn fill(&mut self, pairs: &Pairs<'_>, weights: &[f32], row: usize, column: usize) -> bool {
        let Pairs { cells, radius, rows, columns, firsts, .. } = pairs;
        let side = 2 * radius + 1;
        let (top, bottom) = rows.lookers[row];
        let some = &columns.lookers[column..(column + TOGETHER).min(columns.lookers.len())];
        (self.height, self.breadth) = (bottom - top, some[some.len() - 1].1 - firsts[column]);
        self.values.fill(0.0);
        self.rows = self.height..0;
        for (k, (&(left, right), shares)) in some.iter().zip(self.values.chunks_exact_mut(pairs.most)).enumerate() {
            let mut total = 0.0;
            for (down, shares) in (0..self.height).zip(shares.chunks_exact_mut(self.stride)) {
                let (y, mut row_total) = (top + down, 0.0);
                let line = (row + radius - cells.rows.cell[y] as usize) * side + column + k + radius;
                let weights = weights[(y * cells.width() + left) * side * side..].chunks(side * side);
                let looking = cells.columns.cell[left..right].iter().zip(weights);
                for (share, (cell, weights)) in shares[left - firsts[column]..].iter_mut().zip(looking) {
                    *share = weights[line - *cell as usize];
                    row_total += *share;
                }
                total += row_total;
                if row_total > 0.0 {
                    self.rows = self.rows.start.min(down)..self.rows.end.max(down + 1);
                }
            }
            if total < LEAST_WEIGHT {
                return false;
            }
            shares.iter_mut().for_each(|share| *share /= total);
        }
        true
    }

    /// Mean distances of the patches of each centre to those of the rectangle, ROWS rows at a time.
    #[inline(always)]
    fn compare<S: Sums, const ROWS: usize>(&self, pairs: &Pairs<'_>, top: usize, left: usize, out: &mut [f32]) {
        let Pairs { cells, around, .. } = pairs;
        let (table, stride, line, most) = (pairs.table.as_slice(), self.stride, around.line(), pairs.most);
        let shares: [&[f32]; TOGETHER] = std::array::from_fn(|k| &self.values[k * most..][..most]);
        for down in (0..self.height).step_by(ROWS) {
            for across in (0..self.breadth).step_by(LANES) {
                let mut sums = [[S::zero(); TOGETHER]; ROWS];
                for y in self.rows.clone() {
                    // Where the first of the rectangle is in the table around each.
                    let i = (top + y) * cells.width() + left;
                    let mut place = i * around.places() + (around.rows + down - y) * line + around.columns + across;
                    for x in 0..self.breadth {
                        let mut own = [0.0; TOGETHER];
                        (0..TOGETHER).for_each(|k| own[k] = shares[k][y * stride + x]);
                        let mut at = place;
                        for sums in &mut sums {
                            if let Some(sixteen) = table[at..].first_chunk() {
                                for k in 0..TOGETHER {
                                    sums[k] = sums[k].add_weighted_fused(own[k], sixteen);
                                }
                            }
                            at += line;
                        }
                        place += around.places() - 1;
                    }
                }
                for (k, out) in out.chunks_exact_mut(most).enumerate() {
                    for (sums, out) in sums.iter().zip(out[down * stride..].chunks_exact_mut(stride)) {
                        out[across..][..LANES].copy_from_slice(&sums[k].get());
                    }
                }
            }
        }
    }
}
