//! Which centres can be among the nearest of a patch: all distances at once from dot products of whole numbers, each known
//! to be right within a bound. What is left is few, and is measured exactly.
//!
//! Patches x and centres s have the mean patch μ subtracted and are scaled and rounded to whole numbers: x − μ = p + e,
//! s − μ = t + f with p and t multiples of whole numbers, ‖e‖ and ‖f‖ at most the errors kept here. Then ‖x − s‖ differs
//! from ‖p − t‖ by at most ‖e‖ + ‖f‖, and ‖p − t‖² = ‖p‖² + ‖t‖² − 2·p·t is exact but for the rounding of a few numbers.

use crate::dots::{Dots, PANEL, ROWS};
use crate::lanes::{LANES, Sums, Wide, widest};
use crate::parallel::{Parallel, for_rows_of_two};

/// Norm of a row in whole numbers. None of them exceeds 16 bits then, and no dot product 31.
const NORM: f32 = 32_000.0;

/// More channels than models have; rounding could exceed the bounds.
const CHANNELS: usize = 1 << 20;

/// Norms below this count as 0.
const SMALL: f32 = 1e-15;

/// So many nearest centres are found among the least estimates of every place in a panel, more among those around.
const FEW: usize = 8;

/// Share of ‖p‖² and ‖t‖² that estimates are off by at most: a few roundings to f32, with room to spare.
const ROUNDING: f64 = 1.0 / (1 << 18) as f64;

/// A row in whole numbers.
#[derive(Clone, Copy, Default)]
struct Rounded {
    /// The number that 1 stands for.
    unit: f32,
    /// ‖p‖²
    square: f32,
    /// ‖e‖ at most.
    error: f32,
}

/// All centres in whole numbers.
pub(super) struct Screen {
    mean: Vec<f32>,
    pairs: usize,
    /// `[M / 32, pairs]`
    panels: Vec<[[i16; PANEL]; 2]>,
    /// `[M]`, in multiples of 32: the units of the centres, and their squares.
    units: Vec<f32>,
    squares: Vec<f32>,
    /// The greatest error and square of any centre.
    error: f32,
    square: f32,
}

/// Memory for one tile of patches.
#[derive(Default)]
pub(super) struct Tile {
    left: Vec<[i16; 2]>,
    patches: Vec<Rounded>,
    dots: Vec<[[i32; 16]; 2]>,
    estimates: Vec<f32>,
    some: Vec<f32>,
}

impl Screen {
    /// `None` where numbers are too large for bounds to hold.
    pub fn new(mean: &[f32], centres: &[f32], pool: &dyn Parallel) -> Option<Self> {
        let channels = mean.len();
        if channels > CHANNELS {
            return None;
        }
        let (count, pairs) = (centres.len() / channels, channels.div_ceil(2));
        let panels = count.div_ceil(PANEL);
        let mut packed = vec![[[0i16; PANEL]; 2]; panels * pairs];
        let mut rounded = vec![Rounded { square: f32::INFINITY, ..Rounded::default() }; panels * PANEL];
        for_rows_of_two(pool, (&mut packed, pairs), (&mut rounded, PANEL), 1, |first, out, rounded| {
            let mut panel_rows = vec![[0i16; 2]; PANEL * pairs];
            let panels = out.chunks_exact_mut(pairs).zip(rounded.chunks_exact_mut(PANEL));
            for (panel, (out, rounded)) in (first..).zip(panels) {
                let rows = centres[panel * PANEL * channels..].chunks_exact(channels);
                for ((centre, rounded), out) in rows.zip(rounded).zip(panel_rows.chunks_exact_mut(pairs)) {
                    *rounded = round(centre, mean, out);
                }
                // Some pairs of all rows after another: all pairs of a row would be in as many places of memory.
                for (from, out) in (0..).step_by(LANES).zip(out.chunks_mut(LANES)) {
                    for (l, row) in panel_rows.chunks_exact(pairs).enumerate() {
                        for (out, pair) in out.iter_mut().zip(&row[from..]) {
                            out[l / LANES][l % LANES * 2..][..2].copy_from_slice(pair);
                        }
                    }
                }
            }
        });
        let greatest = |of: fn(&Rounded) -> f32| rounded[..count].iter().map(of).fold(0.0, f32::max);
        let (error, square) = (greatest(|c| c.error), greatest(|c| c.square));
        let bounded = error.is_finite() && square.is_finite();
        bounded.then(|| Self {
            mean: mean.to_vec(),
            pairs,
            panels: packed,
            units: rounded.iter().map(|c| c.unit).collect(),
            squares: rounded.iter().map(|c| c.square).collect(),
            error,
            square,
        })
    }

    /// Estimates the distances of patches `[_, C]` to all centres.
    pub fn estimate(&self, patches: &[f32], tile: &mut Tile) {
        let channels = self.mean.len();
        let rows = (patches.len() / channels).next_multiple_of(ROWS);
        tile.left.clear();
        tile.left.resize(rows * self.pairs, [0; 2]);
        tile.patches.clear();
        for (patch, left) in patches.chunks_exact(channels).zip(tile.left.chunks_exact_mut(self.pairs)) {
            tile.patches.push(round(patch, &self.mean, left));
        }
        tile.dots.resize(rows * (self.units.len() / PANEL), [[0; 16]; 2]);
        Dots { left: &tile.left, right: &self.panels, pairs: self.pairs, out: &mut tile.dots }.run();
    }

    /// Fills `out` with centres in ascending order, the `choices` nearest of patch `t` of the tile for certain among them;
    /// `near` are some that are near, each once and at least as many as that. False where no bound holds.
    pub fn candidates(
        &self,
        tile: &mut Tile,
        t: usize,
        near: &[(usize, usize)],
        choices: usize,
        out: &mut Vec<u32>,
    ) -> bool {
        let patch = tile.patches[t];
        if !(patch.square.is_finite() && patch.error.is_finite()) {
            return false;
        }
        let count = self.units.len();
        tile.estimates.resize(count, 0.0);
        let dots = &tile.dots[t * (count / PANEL)..][..count / PANEL];
        let (dots, least) = (dots.as_flattened().as_flattened(), &mut [f32::INFINITY; PANEL]);
        widest(Estimate { screen: self, unit: 2.0 * patch.unit, dots, out: &mut tile.estimates, least });
        let estimates = &tile.estimates;

        // So many centres are as near as the last of some for certain, whichever those are.
        let last = if choices <= FEW {
            least_of_few(least, choices)
        } else {
            tile.some.clear();
            tile.some.extend(near.iter().map(|&(m, _)| estimates[m]));
            *tile.some.select_nth_unstable_by(choices - 1, f32::total_cmp).1
        };
        out.clear();
        widest(Below { estimates, limit: self.limit(patch, last), out });
        // The nearest of all give a closer limit than the nearest of some.
        if out.len() > choices {
            tile.some.clear();
            tile.some.extend(out.iter().map(|&m| estimates[m as usize]));
            let last = *tile.some.select_nth_unstable_by(choices - 1, f32::total_cmp).1;
            let limit = self.limit(patch, last);
            out.retain(|&m| estimates[m as usize] <= limit);
        }
        true
    }

    /// Given that as many centres as are looked for have estimates (‖p − t‖² − ‖p‖²) up to `last`: the nearest all have
    /// estimates up to this.
    fn limit(&self, patch: Rounded, last: f32) -> f32 {
        let own = f64::from(patch.square);
        let slack = ROUNDING * (own + f64::from(self.square)) + f64::from(f32::MIN_POSITIVE);
        let error = f64::from(patch.error) + f64::from(self.error);
        // Distances are sums of C squares, sixteen side by side; what they are off by is a share of what they are.
        let share = 1.0 + (self.mean.len() / LANES + 16) as f64 / (1 << 22) as f64;
        let distance = ((f64::from(last) + own + slack).max(0.0).sqrt() + error).powi(2) * share + slack;
        ((distance * share + slack).sqrt() + error).powi(2) as f32 * (1.0 + f32::EPSILON) + (slack - own) as f32
    }
}

/// Rounds a row without the mean to whole numbers.
fn round(row: &[f32], mean: &[f32], out: &mut [[i16; 2]]) -> Rounded {
    let mut rounded = Rounded::default();
    widest(Round { row, mean, out, rounded: &mut rounded });
    rounded
}

struct Round<'a> {
    row: &'a [f32],
    mean: &'a [f32],
    out: &'a mut [[i16; 2]],
    rounded: &'a mut Rounded,
}

impl Wide for Round<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { row, mean, out, rounded } = self;
        let mut sums = [0.0f32; LANES];
        let (rows, row_rest) = row.as_chunks::<LANES>();
        let (means, mean_rest) = mean.as_chunks::<LANES>();
        for (x, mean) in rows.iter().zip(means) {
            for l in 0..LANES {
                sums[l] += (x[l] - mean[l]) * (x[l] - mean[l]);
            }
        }
        let rest = row_rest.iter().zip(mean_rest).fold(0.0, |sum, (x, mean)| sum + (x - mean) * (x - mean));
        let norm = (sums.iter().sum::<f32>() + rest).sqrt();
        if norm < SMALL {
            out.fill([0; 2]);
            *rounded = Rounded { unit: 1.0, square: 0.0, error: 10.0 * SMALL };
            return;
        }
        let scale = NORM / norm;
        // Adding 3·2²² leaves a whole number, to nearest, in the lower bits.
        let whole = |x: f32, mean: f32| ((x - mean) * scale + 12_582_912.0).to_bits() as i16;
        let mut square = 0i32;
        let (pairs, last) = row.as_chunks::<2>();
        for ((out, x), mean) in out.iter_mut().zip(pairs).zip(mean.as_chunks::<2>().0) {
            *out = [whole(x[0], mean[0]), whole(x[1], mean[1])];
            square += i32::from(out[0]) * i32::from(out[0]) + i32::from(out[1]) * i32::from(out[1]);
        }
        if let (Some(out), [x]) = (out.last_mut(), last) {
            *out = [whole(*x, mean[mean.len() - 1]), 0];
            square += i32::from(out[0]) * i32::from(out[0]);
        }
        let unit = norm / NORM;
        let error = 0.51 * (row.len() as f32).sqrt() * unit + norm / (1 << 20) as f32;
        *rounded = Rounded { unit, square: square as f32 * unit * unit, error };
    }
}

/// The k-th in ascending order, k at most [`FEW`].
fn least_of_few(values: &[f32; PANEL], k: usize) -> f32 {
    let mut best = [f32::INFINITY; FEW];
    let best = &mut best[..k];
    for &value in values {
        if value < best[k - 1] {
            let at = best.partition_point(|b| *b < value);
            best[at..].rotate_right(1);
            best[at] = value;
        }
    }
    best[k - 1]
}

/// Estimates for one patch: ‖p − t‖² − ‖p‖².
struct Estimate<'a> {
    screen: &'a Screen,
    /// Twice the unit of the patch.
    unit: f32,
    dots: &'a [i32],
    out: &'a mut [f32],
    /// The least in every place of a panel.
    least: &'a mut [f32; PANEL],
}

impl Wide for Estimate<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { screen, unit, dots, out, least } = self;
        let (squares, units) = (screen.squares.as_chunks::<PANEL>().0, screen.units.as_chunks::<PANEL>().0);
        let panels = squares.iter().zip(units).zip(dots.as_chunks::<PANEL>().0);
        for (out, ((squares, units), dots)) in out.as_chunks_mut::<PANEL>().0.iter_mut().zip(panels) {
            for l in 0..PANEL {
                out[l] = squares[l] - unit * units[l] * dots[l] as f32;
                least[l] = if out[l] < least[l] { out[l] } else { least[l] };
            }
        }
    }
}

/// Numbers of the centres with estimates up to a limit.
struct Below<'a> {
    estimates: &'a [f32],
    limit: f32,
    out: &'a mut Vec<u32>,
}

impl Wide for Below<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { estimates, limit, out } = self;
        for (group, sixteen) in (0u32..).step_by(LANES).zip(estimates.as_chunks::<LANES>().0) {
            // Mostly none.
            if sixteen.iter().fold(false, |any, &v| any | (v <= limit)) {
                out.extend((group..).zip(sixteen).filter(|(_, v)| **v <= limit).map(|(m, _)| m));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::patches::Patches;
    use super::*;
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

    #[test]
    fn few_centres_are_left_and_the_nearest_are_among_them() {
        let (count, channels, choices) = (200, 333, 4);
        let all = patches(count, channels);
        let centres: Vec<f32> = all.chunks_exact(2 * channels).flat_map(|two| &two[..channels]).copied().collect();
        let mean = Patches::new(&all, channels, &Serial).mean;
        let screen = Screen::new(&mean, &centres, &Serial).unwrap();
        let mut tile = Tile::default();
        screen.estimate(&all, &mut tile);
        let mut left = 0;
        for (t, patch) in all.chunks_exact(channels).enumerate() {
            let first = (t / 2).clamp(4, 95) - 4;
            let near: Vec<(usize, usize)> = (first..first + 9).map(|m| (m, 0)).collect();
            let mut candidates = Vec::new();
            assert!(screen.candidates(&mut tile, t, &near, choices, &mut candidates));
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
        assert!(left <= 2 * choices * count, "{left} candidates for {count} patches");
    }

    #[test]
    fn numbers_too_large_for_bounds_are_not_screened() {
        assert!(Screen::new(&[1e30], &[-1e30], &Serial).is_none());
        assert!(Screen::new(&[1.0], &[0.5], &Serial).is_some());
    }
}
