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
    /// Centres this near to the own cell are looked at first: the nearest are mostly among them, and others can then be
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
        let Search { patches, centres, channels, cells, radius, choices } = *self.search;
        let width = cells.cluster_width();
        let count = cells.rows.pooled.len() * width;
        let centre = |m: u32| &centres[m as usize * channels..(m as usize + 1) * channels];
        let mut order: Vec<u32> = Vec::with_capacity(count);
        let mut ordered_for = None;
        let mut best = Vec::with_capacity(choices + 1);
        for (i, out) in (self.first..).zip(self.out.chunks_exact_mut(choices)) {
            let cell = (cells.rows.cell[i / cells.width()] as usize, cells.columns.cell[i % cells.width()] as usize);
            if ordered_for != Some(cell) {
                // Those around the cell, then all others.
                let (rows, columns) = (cells.rows.around(cell.0, radius), cells.columns.around(cell.1, radius));
                let near = |m: &u32| {
                    let (row, column) = (*m as usize / width, *m as usize % width);
                    (rows.0..rows.1).contains(&row) && (columns.0..columns.1).contains(&column)
                };
                order.clear();
                order.extend((0..count as u32).filter(near));
                order.extend((0..count as u32).filter(|m| !near(m)));
                ordered_for = Some(cell);
            }
            let own = &patches[i * channels..(i + 1) * channels];
            best.clear();
            let (groups, rest) = order.as_chunks::<PAIRS>();
            for group in groups {
                let bound = farthest(&best, choices);
                let sums = squared_distances_below::<S, PAIRS>(own, group.map(centre), bound);
                group.iter().zip(sums).for_each(|(&m, d)| insert(&mut best, choices, (d, m)));
            }
            for &m in rest {
                let bound = farthest(&best, choices);
                let [d] = squared_distances_below::<S, 1>(own, [centre(m)], bound);
                insert(&mut best, choices, (d, m));
            }
            out.copy_from_slice(&best);
        }
    }
}

/// Beyond this distance nothing is among the nearest any more.
#[inline(always)]
fn farthest(best: &[(f32, u32)], choices: usize) -> f32 {
    if best.len() < choices { f32::INFINITY } else { best[choices - 1].0 }
}

/// Puts a centre in its place, and drops the farthest when there are too many. A distance that was given up is beyond the
/// farthest, so it is dropped, too.
#[inline(always)]
fn insert(best: &mut Vec<(f32, u32)>, choices: usize, new: (f32, u32)) {
    if best.len() == choices && new >= best[choices - 1] {
        return;
    }
    let at = best.partition_point(|&old| old < new);
    best.insert(at, new);
    best.truncate(choices);
}
