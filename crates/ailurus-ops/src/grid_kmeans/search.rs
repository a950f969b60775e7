//! Distances of patches to centres: to those around their cells, and to the nearest of all.

use super::Cells;
use super::least::kth_at_most;
use super::patches::Patches;
use super::screen::{Quantize, Screen, Tile};
use crate::dots::{Bytes, ROWS, Words};
use crate::lanes::{PAIRS, Sums, Wide, squared_distances, widest};
use crate::parallel::{Parallel, Serial};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Fills `out` (`[_, side²]`, patches from `first` on) with the distances to the centres around the cell of each patch,
/// row by row; places without a centre are infinitely far.
pub(super) fn distances(
    patches: &[f32],
    centres: &[f32],
    channels: usize,
    cells: &Cells,
    radius: usize,
    first: usize,
    out: &mut [f32],
) {
    widest(Around { patches, centres, channels, cells, radius, first, out });
}

/// Centres whose distances are summed side by side: a row of the usual window.
const GROUP: usize = 5;

struct Around<'a> {
    patches: &'a [f32],
    centres: &'a [f32],
    channels: usize,
    cells: &'a Cells,
    radius: usize,
    first: usize,
    out: &'a mut [f32],
}

impl Wide for Around<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { patches, centres, channels, cells, radius, first, out } = self;
        let places = (2 * radius + 1).pow(2);
        let mut near = Vec::new();
        let mut from = first;
        let mut out = out;
        while !out.is_empty() {
            // Neighbours of the same cell look at the same centres.
            let cell = cells.of(from);
            let alike =
                cells.columns.cell[from % cells.width()..].iter().take_while(|&&c| c as usize == cell.1).count();
            let alike = alike.min(out.len() / places).min(if S::MANY { 2 } else { 1 });
            cells.near(cell, radius, &mut near);
            let (these, rest) = out.split_at_mut(alike * places);
            these.fill(f32::INFINITY);
            let own = |j: usize| &patches[(from + j) * channels..(from + j + 1) * channels];
            let centre = |m: usize| &centres[m * channels..(m + 1) * channels];
            for group in near.chunks(GROUP) {
                // All side by side take hardly longer than one; the last group repeats its first.
                let tokens = std::array::from_fn(|k| centre(or_first(group, k).0));
                let mut keep = |j: usize, sums: [f32; GROUP]| {
                    group.iter().zip(sums).for_each(|(&(_, place), d)| these[j * places + place] = d);
                };
                if alike == 2 {
                    let [first, second] = squared_distances::<S, 2, GROUP>([own(0), own(1)], tokens);
                    keep(0, first);
                    keep(1, second);
                } else {
                    let [sums] = squared_distances::<S, 1, GROUP>([own(0)], tokens);
                    keep(0, sums);
                }
            }
            from += alike;
            out = rest;
        }
    }
}

/// The k-th of a group, or its first where it has fewer.
#[inline(always)]
fn or_first<T>(group: &[T], k: usize) -> &T {
    &group[if k < group.len() { k } else { 0 }]
}

/// A search for the nearest of all centres.
pub(super) struct Search<'a> {
    patches: &'a Patches<'a>,
    centres: &'a [f32],
    cells: &'a Cells,
    /// Centres this near to the own cell are looked at first: the nearest are mostly among them.
    radius: usize,
    /// Distances to them, `[N, side²]`, where they are known within rounding.
    known: Option<&'a [f32]>,
    choices: usize,
    /// What tells with little work which centres need not be measured, where the processor is made for that.
    coarse: Option<Screen<Bytes>>,
    /// Whether that leaves too many.
    weak: AtomicBool,
    /// What tells it then.
    fine: OnceLock<Option<Screen<Words>>>,
}

impl<'a> Search<'a> {
    /// A search for the `choices` nearest; `known` are distances to the centres within `radius`.
    pub fn new(
        patches: &'a Patches<'a>,
        centres: &'a [f32],
        cells: &'a Cells,
        radius: usize,
        known: Option<&'a [f32]>,
        choices: usize,
        pool: &dyn Parallel,
    ) -> Self {
        let coarse = if Bytes::fast() { Screen::new(&patches.mean, centres, pool) } else { None };
        let fine = OnceLock::new();
        if coarse.is_none() {
            fine.get_or_init(|| Screen::new(&patches.mean, centres, pool));
        }
        Self { patches, centres, cells, radius, known, choices, coarse, weak: AtomicBool::new(false), fine }
    }

    /// Fills `out` (`[_, choices]`, patches from `first` on) with the nearest centres in the order of distance, ties by
    /// number.
    pub fn run(&self, first: usize, out: &mut [(f32, u32)]) {
        let (mut coarse_tile, mut fine_tile) = (Tile::default(), Tile::default());
        let (patches, choices) = (out.len() / self.choices, self.choices);
        // Alike, as a small one takes longer than its share.
        let size = patches.div_ceil(patches.div_ceil(TILE).max(1)).next_multiple_of(ROWS);
        for (first, out) in (first..).step_by(size).zip(out.chunks_mut(size * choices)) {
            let mut done = 0;
            if let Some(coarse) = self.coarse.as_ref().filter(|_| !self.weak.load(Ordering::Relaxed)) {
                // To measure more takes longer than multiplying twice as many bits.
                let most = out.len() / choices * (choices + self.count() / 8);
                done = self.tile(Some(coarse), &mut coarse_tile, first, most, out);
            }
            if done < out.len() / choices {
                self.weak.store(true, Ordering::Relaxed);
                let fine = self.fine.get_or_init(|| Screen::new(&self.patches.mean, self.centres, &Serial));
                self.tile(fine.as_ref(), &mut fine_tile, first + done, usize::MAX, &mut out[done * choices..]);
            }
        }
    }

    /// Centres.
    fn count(&self) -> usize {
        self.centres.len() / self.patches.mean.len()
    }

    /// Does so for some patches until it has measured that many distances; returns how many are done.
    fn tile<R: Quantize>(
        &self,
        screen: Option<&Screen<R>>,
        tile: &mut Tile<R>,
        first: usize,
        most: usize,
        out: &mut [(f32, u32)],
    ) -> usize {
        if let Some(screen) = screen {
            let channels = self.patches.mean.len();
            screen.estimate(&self.patches.values[first * channels..][..out.len() / self.choices * channels], tile);
        }
        let mut done = 0;
        widest(Nearest { search: self, screen, tile, first, most, out, done: &mut done });
        done
    }
}

struct Nearest<'a, R: Quantize> {
    search: &'a Search<'a>,
    screen: Option<&'a Screen<R>>,
    tile: &'a mut Tile<R>,
    first: usize,
    most: usize,
    out: &'a mut [(f32, u32)],
    done: &'a mut usize,
}

impl<R: Quantize> Wide for Nearest<'_, R> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { search, screen, tile, first, most, out, done } = self;
        let Search { cells, radius, choices, .. } = *search;
        let places = (2 * radius + 1).pow(2);
        let (mut near, mut some) = (Vec::new(), Vec::new());
        let mut best = Vec::with_capacity(choices + 1);
        let mut measured = 0;
        for (t, out) in out.chunks_exact_mut(choices).enumerate() {
            if measured > most {
                break;
            }
            let i = first + t;
            cells.near(cells.of(i), radius, &mut near);
            best.clear();
            let known = search.known.map(|known| {
                let known = &known[i * places..][..places];
                let last = kth_at_most(known, choices);
                let nearest = near.iter().filter(|(_, place)| known[*place] <= last);
                nearest.for_each(|&(m, place)| insert(&mut best, choices, (known[place], m as u32)));
                best.get(choices - 1).map_or(f32::INFINITY, |last| last.0)
            });
            let screened =
                screen.and_then(|screen| Some((screen, screen.nearest(tile, t, (&near, known), choices, &mut some)?)));
            if let Some((screen, patch)) = screened {
                // Those that are among the nearest for certain tell which others can be.
                search.measure::<S>(i, &some, &mut best);
                measured += some.len();
                screen.others(tile, patch, best[choices - 1].0, &mut some);
            } else {
                best.clear();
                some.clear();
                some.extend(0..search.count() as u32);
            }
            search.measure::<S>(i, &some, &mut best);
            measured += some.len();
            out.copy_from_slice(&best);
            *done = t + 1;
        }
    }
}

impl Search<'_> {
    /// The nearest of some centres, in order.
    #[inline(always)]
    fn measure<S: Sums>(&self, i: usize, candidates: &[u32], best: &mut Vec<(f32, u32)>) {
        let channels = self.patches.mean.len();
        let own = &self.patches.values[i * channels..(i + 1) * channels];
        let centre = |m: u32| &self.centres[m as usize * channels..(m as usize + 1) * channels];
        for group in candidates.chunks(PAIRS) {
            // Four side by side take hardly longer than one; the last group repeats its first.
            let four = std::array::from_fn(|k| centre(*or_first(group, k)));
            let [sums] = squared_distances::<S, 1, PAIRS>([own], four);
            group.iter().zip(sums).for_each(|(&m, d)| insert(best, self.choices, (d, m)));
        }
    }
}

/// Patches whose distances to all centres are estimated at once, about.
const TILE: usize = 128;

/// Puts a centre in its place, and drops the farthest when there are too many.
#[inline(always)]
fn insert(best: &mut Vec<(f32, u32)>, choices: usize, new: (f32, u32)) {
    if best.len() == choices && new >= best[choices - 1] {
        return;
    }
    let at = best.partition_point(|&old| old < new);
    best.insert(at, new);
    best.truncate(choices);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::squared_distance;

    /// Noise on a 24 x 18 grid, and so much in the first channel, with either sign, that eight bits tell nothing of the others.
    fn patches(channels: usize, beyond: f32) -> Vec<f32> {
        let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761).rotate_left(9) as f32 / u32::MAX as f32 - 0.5;
        let mut out: Vec<f32> = (0..24 * 18 * channels).map(noise).collect();
        for (i, patch) in out.chunks_exact_mut(channels).enumerate() {
            patch[0] += if i % 10 == 0 { -beyond } else { beyond };
        }
        out
    }

    #[test]
    fn the_nearest_are_found_however_many_are_left() {
        let (channels, pool) = (67, &Serial);
        let cells = Cells::new((12, 9), (24, 18));
        for (beyond, weak) in [(0.0, false), (300.0, true)] {
            let values = patches(channels, beyond);
            let patches = Patches::new(&values, channels, pool);
            // Centres on every fourth patch, but for a little: those are much nearer than all others.
            let centres: Vec<f32> = values
                .chunks_exact(4 * channels)
                .flat_map(|four| four[..channels].iter().zip(&four[channels..]).map(|(a, b)| 0.9 * a + 0.1 * b))
                .collect();
            for choices in [1, 4, 20, 40] {
                for coarse in [true, false] {
                    let mut search = Search::new(&patches, &centres, &cells, 2, None, choices, pool);
                    search.coarse = if coarse { Screen::new(&patches.mean, &centres, pool) } else { None };
                    let mut out = vec![(0.0, 0); 24 * 18 * choices];
                    search.run(0, &mut out);
                    assert_eq!(search.weak.into_inner(), weak || !coarse, "{choices} with {beyond}");
                    for (patch, found) in values.chunks_exact(channels).zip(out.chunks_exact(choices)) {
                        let distance = |centre| squared_distance(patch, centre);
                        let mut all: Vec<_> = centres.chunks_exact(channels).map(distance).zip(0..).collect();
                        all.sort_by(|a: &(f32, u32), b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                        assert_eq!(found, &all[..choices], "{choices} with {beyond}");
                    }
                }
            }
        }
    }
}
