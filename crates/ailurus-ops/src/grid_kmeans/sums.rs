//! Weighted sums of patches: the centres of the next iteration.

use super::{Cells, LEAST_WEIGHT};
use crate::lanes::{LANES, Sums, Wide, widest};

/// Weighted means of the patches that look at each centre, in ascending order of patches.
pub(super) struct Update<'a> {
    pub patches: &'a [f32],
    /// `[N, side²]`
    pub weights: &'a [f32],
    pub cells: &'a Cells,
    pub radius: usize,
    pub channels: usize,
    /// Whether sums may be rounded as the processor likes.
    pub fused: bool,
}

impl Update<'_> {
    /// Fills `out` (`[_, C]`, centres from `first` on).
    pub fn run(&self, first: usize, out: &mut [f32]) {
        if self.fused { self.together::<3>(first, out) } else { self.together::<2>(first, out) }
    }

    /// K centres side by side mostly look at the same patches, and reading those costs more than adding them.
    fn together<const K: usize>(&self, first: usize, out: &mut [f32]) {
        let width = self.cells.cluster_width();
        let (mut centre, mut out) = (first, out);
        let (mut many, mut one) = (Vec::new(), Vec::new());
        while !out.is_empty() {
            let together = (width - centre % width).min(out.len() / self.channels).min(K);
            let count = if together == K { K } else { 1 };
            let (these, rest) = out.split_at_mut(count * self.channels);
            if count == K {
                self.means::<K>(centre, these, &mut many);
            } else {
                self.means::<1>(centre, these, &mut one);
            }
            (centre, out) = (centre + count, rest);
        }
    }

    fn means<const K: usize>(&self, first: usize, out: &mut [f32], members: &mut Vec<(usize, [f32; K])>) {
        members.clear();
        let totals = self.members(first, members).map(|total| total.max(LEAST_WEIGHT));
        let Self { patches, channels, fused, .. } = *self;
        if fused {
            widest(Add::<K, true> { patches, channels, members, totals, out });
        } else {
            widest(Add::<K, false> { patches, channels, members, totals, out });
        }
    }

    /// Patches that look at one of K centres side by side, with their weights, 0 where they do not look: to add that changes
    /// nothing, as sums begin with 0 and patches are finite. Returns the sums of the weights.
    fn members<const K: usize>(&self, first: usize, members: &mut Vec<(usize, [f32; K])>) -> [f32; K] {
        let Self { weights, cells, radius, .. } = *self;
        let side = 2 * radius + 1;
        let (row, column) = (first / cells.cluster_width(), first % cells.cluster_width());
        let rows = cells.rows.lookers(row, radius);
        let (left, _) = cells.columns.lookers(column, radius);
        let (_, right) = cells.columns.lookers(column + K - 1, radius);
        let mut totals = [0.0f32; K];
        for y in rows.0..rows.1 {
            let line = (row + radius - cells.rows.cell[y] as usize) * side;
            for x in left..right {
                let i = y * cells.width() + x;
                let own = &weights[i * side * side + line..][..side];
                let cell = cells.columns.cell[x] as usize;
                // Beyond the square of places nothing looks.
                let weight = |k: usize| (column + k + radius).checked_sub(cell).and_then(|at| own.get(at)).copied();
                let weights = std::array::from_fn(|k| weight(k).unwrap_or(0.0));
                (0..K).for_each(|k| totals[k] += weights[k]);
                members.push((i, weights));
            }
        }
        totals
    }
}

/// Sums in the order of the definition; fused, they are rounded as the processor likes.
struct Add<'a, const K: usize, const FUSED: bool> {
    patches: &'a [f32],
    channels: usize,
    members: &'a [(usize, [f32; K])],
    totals: [f32; K],
    /// `[K, C]`
    out: &'a mut [f32],
}

impl<const K: usize, const FUSED: bool> Wide for Add<'_, K, FUSED> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        if S::MANY { self.blocks::<S, 8>() } else { self.blocks::<S, 2>() }
    }
}

impl<const K: usize, const FUSED: bool> Add<'_, K, FUSED> {
    /// Adds B sixteens of channels at a time, whose sums stay in registers.
    #[inline(always)]
    fn blocks<S: Sums, const B: usize>(self) {
        let Self { patches, channels, members, totals, out } = self;
        let whole = channels / LANES * LANES;
        let mut from = 0;
        while from < whole {
            let mut sums = [[S::zero(); B]; K];
            let count = if whole - from >= B * LANES { B } else { 1 };
            if count == B {
                sums = add::<S, K, B, FUSED>(patches, channels, from, members);
            } else {
                let one: [[S; 1]; K] = add::<S, K, 1, FUSED>(patches, channels, from, members);
                (0..K).for_each(|k| sums[k][0] = one[k][0]);
            }
            for k in 0..K {
                let out = out[k * channels + from..].chunks_exact_mut(LANES);
                for (out, sums) in out.zip(&sums[k][..count]) {
                    out.iter_mut().zip(sums.get()).for_each(|(out, sum)| *out = sum / totals[k]);
                }
            }
            from += count * LANES;
        }
        for c in whole..channels {
            for k in 0..K {
                let sum = members.iter().fold(0.0, |sum, (i, weights)| sum + weights[k] * patches[i * channels + c]);
                out[k * channels + c] = sum / totals[k];
            }
        }
    }
}

/// Sums of B sixteens of channels from `from` on over all members, for K centres. The compiler keeps them in registers, as
/// it knows how many there are.
#[inline(always)]
fn add<S: Sums, const K: usize, const B: usize, const FUSED: bool>(
    patches: &[f32],
    channels: usize,
    from: usize,
    members: &[(usize, [f32; K])],
) -> [[S; B]; K] {
    let mut sums = [[S::zero(); B]; K];
    for (i, weights) in members {
        let at = i * channels + from;
        let (x, _) = patches[at..at + B * LANES].as_chunks::<LANES>();
        for b in 0..B {
            for k in 0..K {
                let sum = sums[k][b];
                sums[k][b] =
                    if FUSED { sum.add_weighted_fused(weights[k], &x[b]) } else { sum.add_weighted(weights[k], &x[b]) };
            }
        }
    }
    sums
}
