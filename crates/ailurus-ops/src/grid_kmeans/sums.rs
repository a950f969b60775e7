//! Weighted sums of patches: the centres of the next iteration.

use super::{Cells, LEAST_WEIGHT};
use crate::lanes::{Sums, Wide, widest};

/// Channels whose sums stay in registers.
const BLOCK: usize = 64;

/// The patches that look at a centre.
pub(super) struct Region<'a> {
    cells: &'a Cells,
    radius: usize,
    /// Row and column of the centre.
    at: (usize, usize),
    /// Rows and columns of patches, first and behind the last.
    rows: (usize, usize),
    columns: (usize, usize),
}

impl<'a> Region<'a> {
    pub fn of(cells: &'a Cells, radius: usize, centre: usize) -> Self {
        let at = (centre / cells.cluster_width(), centre % cells.cluster_width());
        let (rows, columns) = (cells.rows.lookers(at.0, radius), cells.columns.lookers(at.1, radius));
        Self { cells, radius, at, rows, columns }
    }

    /// Patches in ascending order, with the place of the centre among those around the patch.
    fn patches(&self) -> impl Iterator<Item = (usize, usize)> {
        let side = 2 * self.radius + 1;
        (self.rows.0..self.rows.1).flat_map(move |y| {
            let down = self.at.0 + self.radius - self.cells.rows.cell[y] as usize;
            (self.columns.0..self.columns.1).map(move |x| {
                let right = self.at.1 + self.radius - self.cells.columns.cell[x] as usize;
                (y * self.cells.width() + x, down * side + right)
            })
        })
    }
}

/// The weighted mean of the patches of a region, in ascending order; `weights` is `[N, side²]`.
pub(super) fn update(patches: &[f32], weights: &[f32], region: &Region<'_>, centre: &mut [f32]) {
    let places = (2 * region.radius + 1).pow(2);
    let all = region.patches().map(|(i, place)| (i, weights[i * places + place]));
    let members: Vec<(usize, f32)> = all.collect();
    let total = members.iter().fold(0.0, |sum, &(_, w)| sum + w).max(LEAST_WEIGHT);
    widest(Add { patches, members: &members, total, centre });
}

struct Add<'a> {
    patches: &'a [f32],
    members: &'a [(usize, f32)],
    total: f32,
    centre: &'a mut [f32],
}

impl Wide for Add<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { patches, members, total, centre } = self;
        let channels = centre.len();
        for (block, out) in centre.chunks_mut(BLOCK).enumerate() {
            let from = block * BLOCK;
            if let Ok(out) = <&mut [f32; BLOCK]>::try_from(&mut *out) {
                let mut sums = [0.0f32; BLOCK];
                for &(i, w) in members {
                    let at = i * channels + from;
                    // The compiler keeps the sums in registers when it knows how many there are.
                    if let Ok(x) = <&[f32; BLOCK]>::try_from(&patches[at..at + BLOCK]) {
                        for c in 0..BLOCK {
                            sums[c] += w * x[c];
                        }
                    }
                }
                *out = sums.map(|sum| sum / total);
                continue;
            }
            out.fill(0.0);
            for &(i, w) in members {
                let at = i * channels + from;
                out.iter_mut().zip(&patches[at..]).for_each(|(sum, x)| *sum += w * x);
            }
            out.iter_mut().for_each(|sum| *sum /= total);
        }
    }
}
