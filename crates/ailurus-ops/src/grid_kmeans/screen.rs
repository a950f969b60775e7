//! Which centres can be among the nearest of a patch: all distances at once from dot products of whole numbers, each known
//! to be right within a bound. What is left is few, and is measured exactly.
//!
//! Patches x and centres s have the mean patch μ subtracted and are scaled and rounded to whole numbers: x − μ = p + e,
//! s − μ = t + f. Then (x − μ)·(s − μ) = p·t + p·f + e·(s − μ): p·t is exact, and what it is off by is at most
//! ‖p‖·‖f‖ + ‖e‖·‖s − μ‖. Eight bits mostly do; sixteen take twice the time and leave no more than necessary.

mod round;

use self::round::round;
pub(super) use self::round::{Quantize, Rounded};
use super::least::kth;
use crate::dots::{Dots, PANEL, ROWS};
use crate::lanes::{LANES, Sums, Wide, widest};
use crate::parallel::{Parallel, for_rows_of_two};

/// All centres in whole numbers.
pub(super) struct Screen<R: Quantize> {
    mean: Vec<f32>,
    groups: usize,
    /// `[M / 32, groups]`
    panels: Vec<[[R::Rights; LANES]; 2]>,
    centres: Centres,
    /// The greatest square of any centre.
    square: f32,
}

/// What is known of centres, `[M]` in multiples of 32.
struct Centres {
    units: Vec<f32>,
    /// What dot products are too large by.
    offsets: Vec<i32>,
    squares: Vec<f32>,
    norms: Vec<f32>,
    errors: Vec<f32>,
}

/// Memory for one tile of patches.
pub(super) struct Tile<R: Quantize> {
    left: Vec<R::Lefts>,
    patches: Vec<Rounded>,
    dots: Vec<[[i32; LANES]; 2]>,
    /// What distances of a patch are estimated to be at least and at most.
    least: Vec<f32>,
    most: Vec<f32>,
    some: Vec<f32>,
}

impl<R: Quantize> Default for Tile<R> {
    fn default() -> Self {
        Self { left: vec![], patches: vec![], dots: vec![], least: vec![], most: vec![], some: vec![] }
    }
}

impl<R: Quantize> Screen<R> {
    /// `None` where numbers are too large for bounds to hold.
    pub fn new(mean: &[f32], centres: &[f32], pool: &dyn Parallel) -> Option<Self> {
        let channels = mean.len();
        if channels > R::CHANNELS {
            return None;
        }
        let (count, groups) = (centres.len() / channels, channels.div_ceil(R::GROUP));
        let panels = count.div_ceil(PANEL);
        let mut packed = vec![[[R::Rights::default(); LANES]; 2]; panels * groups];
        let mut rounded = vec![Rounded { square: f32::INFINITY, ..Rounded::default() }; panels * PANEL];
        for_rows_of_two(pool, (&mut packed, groups), (&mut rounded, PANEL), 1, |first, out, rounded| {
            let mut panel_rows = vec![R::Rights::default(); PANEL * groups];
            let panels = out.chunks_exact_mut(groups).zip(rounded.chunks_exact_mut(PANEL));
            for (panel, (out, rounded)) in (first..).zip(panels) {
                let rows = centres[panel * PANEL * channels..].chunks_exact(channels);
                for ((centre, rounded), out) in rows.zip(rounded).zip(panel_rows.chunks_exact_mut(groups)) {
                    *rounded = round(centre, mean, R::rights(out), R::right, R::unit);
                }
                // Some groups of all rows after another: all groups of a row would be in as many places of memory.
                for (from, out) in (0..).step_by(LANES).zip(out.chunks_mut(LANES)) {
                    for (l, row) in panel_rows.chunks_exact(groups).enumerate() {
                        out.iter_mut().zip(&row[from..]).for_each(|(out, group)| out[l / LANES][l % LANES] = *group);
                    }
                }
            }
        });
        let all = |of: fn(&Rounded) -> f32| rounded.iter().map(of).collect();
        let centres = Centres {
            units: all(|c| c.unit),
            offsets: rounded.iter().map(|c| R::SIGN * c.total).collect(),
            squares: all(|c| c.square),
            norms: all(|c| c.norm),
            errors: all(|c| c.error),
        };
        let square = centres.squares[..count].iter().copied().fold(0.0, f32::max);
        square.is_finite().then(|| Self { mean: mean.to_vec(), groups, panels: packed, centres, square })
    }

    /// Estimates the distances of patches `[_, C]` to all centres.
    pub fn estimate(&self, patches: &[f32], tile: &mut Tile<R>) {
        let channels = self.mean.len();
        let rows = (patches.len() / channels).next_multiple_of(ROWS);
        tile.left.resize(rows * self.groups, R::Lefts::default());
        tile.patches.clear();
        for (patch, left) in patches.chunks_exact(channels).zip(tile.left.chunks_exact_mut(self.groups)) {
            tile.patches.push(round(patch, &self.mean, R::lefts(left), R::left, R::unit));
        }
        tile.dots.resize(rows * (self.centres.units.len() / PANEL), [[0; LANES]; 2]);
        Dots::<R> { left: &tile.left, right: &self.panels, groups: self.groups, out: &mut tile.dots }.run();
    }

    /// Estimates the distances of patch `t` of the tile, and fills `certain` with centres among its `choices` nearest, mostly
    /// as many. If the distances of those `near` are `known`, and what that many are at most, those are left out here and
    /// below. Returns what is known of the patch; `None` where no bound holds.
    #[inline(always)]
    pub fn nearest(
        &self,
        tile: &mut Tile<R>,
        t: usize,
        (near, known): (&[(usize, usize)], Option<f32>),
        choices: usize,
        certain: &mut Vec<u32>,
    ) -> Option<Rounded> {
        let patch = tile.patches[t];
        if !patch.square.is_finite() {
            return None;
        }
        let count = self.centres.units.len();
        tile.least.resize(count, 0.0);
        tile.most.resize(count, 0.0);
        let (dots, lanes) = (&tile.dots[t * (count / PANEL)..][..count / PANEL], &mut [f32::INFINITY; PANEL]);
        let (least, most) = (tile.least.as_mut_slice(), tile.most.as_mut_slice());
        widest(Estimate { centres: &self.centres, patch, dots, least, most, lanes });

        // So many centres are as near as the last of some for certain, whichever those are.
        let mut last = if choices <= PANEL {
            kth(lanes, choices)
        } else {
            tile.some.clear();
            tile.some.extend_from_slice(most);
            *tile.some.select_nth_unstable_by(choices - 1, f32::total_cmp).1
        };
        if let Some(known) = known {
            last = last.min(self.limit(patch, f64::from(known)));
            near.iter().for_each(|&(m, _)| (least[m], most[m]) = (f32::INFINITY, f32::INFINITY));
        }
        certain.clear();
        widest(Below { values: most, limit: last, out: certain });
        certain.iter().for_each(|&m| least[m as usize] = f32::INFINITY);
        Some(patch)
    }

    /// Fills `out` with all other centres that can be as near to the patch as this.
    #[inline(always)]
    pub fn others(&self, tile: &Tile<R>, patch: Rounded, distance: f32, out: &mut Vec<u32>) {
        out.clear();
        widest(Below { values: &tile.least, limit: self.limit(patch, f64::from(distance)), out });
    }

    /// What estimates are off by as numbers are rounded, and a little more.
    fn slack(&self, patch: Rounded) -> f64 {
        let share = (self.mean.len() / LANES + 32) as f64 / (1 << 23) as f64;
        share * (f64::from(patch.square) + f64::from(self.square)) + f64::from(f32::MIN_POSITIVE)
    }

    /// What distances are off by, as a share of themselves: they are sums of C squares, sixteen side by side.
    fn share(&self) -> f64 {
        1.0 + (self.mean.len() / LANES + 16) as f64 / (1 << 22) as f64
    }

    /// What a distance is estimated to be at least, but for ‖x − μ‖², if it is at most this.
    fn limit(&self, patch: Rounded, distance: f64) -> f32 {
        let limit = distance * self.share() + 2.0 * self.slack(patch) - f64::from(patch.square);
        (limit + limit.abs() * f64::from(f32::EPSILON)) as f32
    }
}

/// Estimates for one patch, less ‖x − μ‖².
struct Estimate<'a> {
    centres: &'a Centres,
    patch: Rounded,
    dots: &'a [[[i32; LANES]; 2]],
    /// For every centre, what it is at least, and at most.
    least: &'a mut [f32],
    most: &'a mut [f32],
    /// In every place of a panel, the least of what it is at most.
    lanes: &'a mut [f32; PANEL],
}

impl Wide for Estimate<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { centres, patch, dots, least, most, lanes } = self;
        let unit = 2.0 * patch.unit;
        let out = least.as_chunks_mut::<PANEL>().0.iter_mut().zip(most.as_chunks_mut::<PANEL>().0);
        for (at, (dots, (least, most))) in (0..).step_by(PANEL).zip(dots.iter().zip(out)) {
            let (dots, units) = (dots.as_flattened(), &centres.units[at..][..PANEL]);
            let (offsets, squares) = (&centres.offsets[at..][..PANEL], &centres.squares[at..][..PANEL]);
            let (norms, errors) = (&centres.norms[at..][..PANEL], &centres.errors[at..][..PANEL]);
            for l in 0..PANEL {
                let estimate = squares[l] - unit * units[l] * (dots[l] - offsets[l]) as f32;
                // Twice what the product is off by.
                let stray = 2.0 * (patch.error * norms[l] + (patch.norm + patch.error) * errors[l]);
                least[l] = estimate - stray;
                most[l] = estimate + stray;
                lanes[l] = if most[l] < lanes[l] { most[l] } else { lanes[l] };
            }
        }
    }
}

/// Places of values up to a limit.
struct Below<'a> {
    values: &'a [f32],
    limit: f32,
    out: &'a mut Vec<u32>,
}

impl Wide for Below<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { values, limit, out } = self;
        for (group, sixteen) in (0u32..).step_by(LANES).zip(values.as_chunks::<LANES>().0) {
            // Mostly none.
            if !sixteen.iter().fold(false, |any, &v| any | (v <= limit)) {
                continue;
            }
            let mut found = 0u32;
            (0..LANES).for_each(|l| found |= u32::from(sixteen[l] <= limit) << l);
            while found != 0 {
                out.push(group + found.trailing_zeros());
                found &= found - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::patches::Patches;
    use super::*;
    use crate::dots::{Bytes, Words};
    use crate::lanes::squared_distance;
    use crate::parallel::Serial;

    /// Patches on a line through many dimensions, a few channels much larger than the others, all far from 0.
    fn patches(count: usize, channels: usize) -> Vec<f32> {
        let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5;
        let value = |i: usize, c: usize| {
            let size = if c % 50 == 3 { 30.0 } else { 1.0 };
            size * ((i as f32 * 0.1 + c as f32).sin() + 0.3 * noise(i * channels + c)) + 7.0
        };
        (0..count * channels).map(|at| value(at / channels, at % channels)).collect()
    }

    fn few_are_left<R: Quantize>(share: usize) {
        let (count, channels, choices) = (200, 333, 4);
        let all = patches(count, channels);
        let centres: Vec<f32> = all.chunks_exact(2 * channels).flat_map(|two| &two[..channels]).copied().collect();
        let mean = Patches::new(&all, channels, &Serial).mean;
        let screen = Screen::<R>::new(&mean, &centres, &Serial).unwrap();
        let mut tile = Tile::default();
        screen.estimate(&all, &mut tile);
        let mut left = 0;
        for (t, patch) in all.chunks_exact(channels).enumerate() {
            let first = (t / 2).clamp(4, 95) - 4;
            let near: Vec<(usize, usize)> = (first..first + 9).map(|m| (m, 0)).collect();
            let (mut candidates, mut others) = (Vec::new(), Vec::new());
            let patch_known = screen.nearest(&mut tile, t, (&near, None), choices, &mut candidates).unwrap();
            let mut certain: Vec<f32> = candidates
                .iter()
                .map(|&m| squared_distance(patch, &centres[m as usize * channels..][..channels]))
                .collect();
            certain.sort_by(f32::total_cmp);
            screen.others(&tile, patch_known, certain[choices - 1], &mut others);
            candidates.append(&mut others);
            let mut exact: Vec<(f32, u32)> = centres
                .chunks_exact(channels)
                .zip(0..)
                .map(|(centre, m)| (squared_distance(patch, centre), m))
                .collect();
            exact.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for (_, m) in &exact[..choices] {
                assert!(candidates.contains(m), "patch {t}: {m} is not among {candidates:?}");
            }
            left += candidates.len();
        }
        assert!(left <= share * choices * count, "{left} candidates for {count} patches");
    }

    #[test]
    fn few_centres_are_left_and_the_nearest_are_among_them() {
        few_are_left::<Words>(2);
        few_are_left::<Bytes>(4);
    }

    fn bounds_hold<R: Quantize>(channels: usize) {
        // Rows of all sizes; some vanish beside others, some are their first channel but for little.
        let mut rows = patches(60, channels);
        for (i, row) in rows.chunks_exact_mut(channels).enumerate() {
            let size = [1.0, 1e-3, 50.0, 1e-25][i % 4];
            row.iter_mut().for_each(|x| *x = (*x - 7.0) * size);
            row[0] += [0.0, 0.0, 1e3, 0.0, -1e4][i % 5];
        }
        let mean = Patches::new(&rows, channels, &Serial).mean;
        let screen = Screen::<R>::new(&mean, &rows, &Serial).unwrap();
        let mut tile = Tile::default();
        screen.estimate(&rows, &mut tile);
        for (t, x) in rows.chunks_exact(channels).enumerate() {
            screen.nearest(&mut tile, t, (&[], None), 1, &mut Vec::new()).unwrap();
            let patch = tile.patches[t];
            for (m, s) in rows.chunks_exact(channels).enumerate() {
                let exact: f64 = x.iter().zip(s).map(|(x, s)| (f64::from(*x) - f64::from(*s)).powi(2)).sum();
                // Certain ones were taken out.
                let taken = tile.least[m] == f32::INFINITY;
                let least = if taken { 0.0 } else { f64::from(tile.least[m]) + f64::from(patch.square) };
                let most = f64::from(tile.most[m]) + f64::from(patch.square);
                let slack = screen.slack(patch);
                assert!(least - slack <= exact && exact <= most + slack, "{t}, {m}: {exact} in {least}, {most}");
            }
        }
    }

    #[test]
    fn estimates_are_within_their_bounds() {
        for channels in [1, 3, 16, 100, 1024] {
            bounds_hold::<Words>(channels);
            bounds_hold::<Bytes>(channels);
        }
    }

    #[test]
    fn numbers_too_large_for_bounds_are_not_screened() {
        assert!(Screen::<Words>::new(&[1e30], &[-1e30], &Serial).is_none());
        assert!(Screen::<Words>::new(&[1.0], &[0.5], &Serial).is_some());
        assert!(Screen::<Bytes>::new(&[1e30], &[-1e30], &Serial).is_none());
        assert!(Screen::<Bytes>::new(&[1.0], &[0.5], &Serial).is_some());
    }
}
