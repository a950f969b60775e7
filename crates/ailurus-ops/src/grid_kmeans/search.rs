//! Distances of patches to centres: to those around their cells, and to the nearest of all.

use super::Cells;
use super::screen::{Screen, Tile};
use crate::dots::ROWS;
use crate::lanes::{PAIRS, Sums, Wide, squared_distances, widest};

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
                let tokens = std::array::from_fn(|k| centre(group[if k < group.len() { k } else { 0 }].0));
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

/// A search for the nearest of all centres.
pub(super) struct Search<'a> {
    pub patches: &'a [f32],
    pub centres: &'a [f32],
    pub channels: usize,
    pub cells: &'a Cells,
    /// Centres this near to the own cell are looked at first: the nearest are mostly among them.
    pub radius: usize,
    /// Distances to them, `[N, side²]`, where they are known within rounding.
    pub known: Option<&'a [f32]>,
    pub choices: usize,
    /// What tells which centres need not be measured.
    pub screen: Option<Screen>,
}

impl Search<'_> {
    /// Fills `out` (`[_, choices]`, patches from `first` on) with the nearest centres in the order of distance, ties by
    /// number.
    pub fn run(&self, first: usize, out: &mut [(f32, u32)]) {
        let mut tile = Tile::default();
        let patches = out.len() / self.choices;
        // Alike, as a small one takes longer than its share.
        let size = patches.div_ceil(patches.div_ceil(TILE).max(1)).next_multiple_of(ROWS);
        for (number, out) in out.chunks_mut(size * self.choices).enumerate() {
            let first = first + number * size;
            if let Some(screen) = &self.screen {
                let patches = &self.patches[first * self.channels..][..out.len() / self.choices * self.channels];
                screen.estimate(patches, &mut tile);
            }
            widest(Nearest { search: self, tile: &mut tile, first, out });
        }
    }
}

struct Nearest<'a> {
    search: &'a Search<'a>,
    tile: &'a mut Tile,
    first: usize,
    out: &'a mut [(f32, u32)],
}

impl Wide for Nearest<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { search, tile, first, out } = self;
        let Search { cells, radius, choices, ref screen, .. } = *search;
        let count = (cells.rows.pooled.len() * cells.cluster_width()) as u32;
        let (mut near, mut candidates) = (Vec::new(), Vec::new());
        let mut best = Vec::with_capacity(choices + 1);
        for (t, out) in out.chunks_exact_mut(choices).enumerate() {
            let i = first + t;
            cells.near(cells.of(i), radius, &mut near);
            let screened = near.len() >= choices
                && screen.as_ref().is_some_and(|screen| screen.candidates(tile, t, &near, choices, &mut candidates));
            if !screened {
                candidates.clear();
                candidates.extend(0..count);
            }
            best.clear();
            if let Some(known) = search.known {
                let known = &known[i * (2 * radius + 1).pow(2)..];
                let mut near = near.iter().peekable();
                candidates.retain(|&m| {
                    while near.next_if(|(other, _)| *other < m as usize).is_some() {}
                    let found = near.peek().filter(|(other, _)| *other == m as usize);
                    found.inspect(|(_, place)| insert(&mut best, choices, (known[*place], m))).is_none()
                });
            }
            search.measure::<S>(i, &candidates, &mut best);
            out.copy_from_slice(&best);
        }
    }
}

impl Search<'_> {
    /// The nearest of some centres, in order.
    #[inline(always)]
    fn measure<S: Sums>(&self, i: usize, candidates: &[u32], best: &mut Vec<(f32, u32)>) {
        let own = &self.patches[i * self.channels..(i + 1) * self.channels];
        let centre = |m: u32| &self.centres[m as usize * self.channels..(m as usize + 1) * self.channels];
        for group in candidates.chunks(PAIRS) {
            // Four side by side take hardly longer than one; the last group repeats its first.
            let four = std::array::from_fn(|k| centre(group[if k < group.len() { k } else { 0 }]));
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
