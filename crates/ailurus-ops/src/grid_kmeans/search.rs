//! Distances of patches to centres: to those around their cells, and to the nearest of all.

use super::Cells;
use crate::lanes::{PAIRS, Sums, Wide, squared_distances, squared_distances_below, widest};

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
        let side = 2 * radius + 1;
        let (mut near, mut places) = (Vec::new(), Vec::new());
        for (i, out) in (first..).zip(out.chunks_exact_mut(side * side)) {
            let (y, x) = (cells.rows.cell[i / cells.width()], cells.columns.cell[i % cells.width()]);
            let (rows, columns) = (cells.rows.around(y as usize, radius), cells.columns.around(x as usize, radius));
            near.clear();
            places.clear();
            for row in rows.0..rows.1 {
                let line = (row + radius - y as usize) * side;
                near.extend((columns.0..columns.1).map(|column| row * cells.cluster_width() + column));
                places.extend((columns.0..columns.1).map(|column| line + column + radius - x as usize));
            }
            let own = &patches[i * channels..(i + 1) * channels];
            let centre = |m: usize| &centres[m * channels..(m + 1) * channels];
            out.fill(f32::INFINITY);
            let (groups, rest) = near.as_chunks::<PAIRS>();
            for (group, places) in groups.iter().zip(places.chunks(PAIRS)) {
                let sums = squared_distances::<S, PAIRS>(own, group.map(centre));
                places.iter().zip(sums).for_each(|(&place, d)| out[place] = d);
            }
            for (&m, &place) in rest.iter().zip(&places[groups.len() * PAIRS..]) {
                out[place] = squared_distances::<S, 1>(own, [centre(m)])[0];
            }
        }
    }
}

/// A search for the nearest of all centres.
pub(super) struct Search<'a> {
    pub patches: &'a [f32],
    pub centres: &'a [f32],
    pub channels: usize,
    pub cells: &'a Cells,
    /// Centres this near to the own cell give the first bound: the nearest are mostly among them, and others can then be
    /// given up early.
    pub radius: usize,
    pub choices: usize,
}

impl Search<'_> {
    /// Fills `out` (`[_, choices]`, patches from `first` on) with the nearest centres in the order of distance, ties by
    /// number.
    pub fn run(&self, first: usize, out: &mut [(f32, u32)]) {
        widest(Nearest { search: self, first, out });
    }
}

struct Nearest<'a> {
    search: &'a Search<'a>,
    first: usize,
    out: &'a mut [(f32, u32)],
}

impl Wide for Nearest<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Search { patches, centres, channels, cells, choices, .. } = *self.search;
        let count = cells.rows.pooled.len() * cells.cluster_width();
        let all: Vec<u32> = (0..count as u32).collect();
        let (groups, rest) = all.as_chunks::<PAIRS>();
        let centre = |m: u32| &centres[m as usize * channels..(m as usize + 1) * channels];
        let mut best: [Vec<(f32, u32)>; TILE] = std::array::from_fn(|_| Vec::with_capacity(choices + 1));
        // All centres are more than a cache holds, so each is brought there once for several patches.
        for (tile, out) in self.out.chunks_mut(TILE * choices).enumerate() {
            let first = self.first + tile * TILE;
            let tokens = out.len() / choices;
            let own = |t: usize| &patches[(first + t) * channels..(first + t + 1) * channels];
            let mut bounds = [f32::INFINITY; TILE];
            for (t, bound) in bounds[..tokens].iter_mut().enumerate() {
                best[t].clear();
                *bound = self.search.bound::<S>(first + t, &mut best[t]);
                best[t].clear();
            }
            for group in groups {
                let group_centres = group.map(centre);
                for t in 0..tokens {
                    let bound = farthest(&best[t], choices).min(bounds[t]);
                    let sums = squared_distances_below::<S, PAIRS>(own(t), group_centres, bound);
                    group.iter().zip(sums).for_each(|(&m, d)| insert(&mut best[t], choices, bound, (d, m)));
                }
            }
            for &m in rest {
                for t in 0..tokens {
                    let bound = farthest(&best[t], choices).min(bounds[t]);
                    let [d] = squared_distances_below::<S, 1>(own(t), [centre(m)], bound);
                    insert(&mut best[t], choices, bound, (d, m));
                }
            }
            for (out, best) in out.chunks_exact_mut(choices).zip(&best) {
                out.copy_from_slice(best);
            }
        }
    }
}

impl Search<'_> {
    /// A distance that the last of the nearest does not exceed: that of the last of those around the own cell.
    #[inline(always)]
    fn bound<S: Sums>(&self, i: usize, best: &mut Vec<(f32, u32)>) -> f32 {
        let Search { patches, centres, channels, cells, radius, choices } = *self;
        let cell = (cells.rows.cell[i / cells.width()] as usize, cells.columns.cell[i % cells.width()] as usize);
        let (rows, columns) = (cells.rows.around(cell.0, radius), cells.columns.around(cell.1, radius));
        if (rows.1 - rows.0) * (columns.1 - columns.0) < choices {
            return f32::INFINITY;
        }
        let own = &patches[i * channels..(i + 1) * channels];
        for row in rows.0..rows.1 {
            for column in columns.0..columns.1 {
                let m = row * cells.cluster_width() + column;
                let [d] = squared_distances::<S, 1>(own, [&centres[m * channels..(m + 1) * channels]]);
                insert(best, choices, f32::INFINITY, (d, m as u32));
            }
        }
        farthest(best, choices)
    }
}

/// Patches that are compared with a centre one after the other.
const TILE: usize = 16;

/// Beyond this distance nothing is among the nearest any more.
#[inline(always)]
fn farthest(best: &[(f32, u32)], choices: usize) -> f32 {
    if best.len() < choices { f32::INFINITY } else { best[choices - 1].0 }
}

/// Puts a centre in its place, and drops the farthest when there are too many. A distance beyond the bound, which may have
/// been given up, is not among the nearest.
#[inline(always)]
fn insert(best: &mut Vec<(f32, u32)>, choices: usize, bound: f32, new: (f32, u32)) {
    if new.0 > bound || best.len() == choices && new >= best[choices - 1] {
        return;
    }
    let at = best.partition_point(|&old| old < new);
    best.insert(at, new);
    best.truncate(choices);
}
