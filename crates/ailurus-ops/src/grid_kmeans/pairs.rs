//! Distances to centres from distances between patches: what k-means needs of the channels, once and not in every iteration.
//!
//! For a centre s = Σ_j p_j·x_j with Σ_j p_j = 1, ‖x − s‖² = Σ_j p_j·‖x − x_j‖² − ½·Σ_jk p_j·p_k·‖x_j − x_k‖². A centre is
//! made of the patches that look at it, so only pairs of patches that look at the same centre are ever needed. Equal to the
//! definition within rounding: patches that are alike are compared channel by channel, so that nothing large cancels.

mod ahead;
mod centres;

use std::sync::atomic::AtomicBool;

use self::ahead::Ahead;
use self::centres::Centres;
use super::Cells;
use super::kernel::GRAIN;
use super::patches::Patches;
use crate::lanes::{LANES, widest};
use crate::parallel::{Parallel, for_rows, for_rows_up_to};

/// Centres side by side that are compared with the same patches: to read distances costs more than to add them.
const TOGETHER: usize = 4;

/// Most patches side by side that [`Ahead`] compares at once.
const ASIDE: usize = 4;

/// Most rows that [`Centres`] compares at once.
const ROWS: usize = 4;

/// Which patches share centres, along one axis.
struct Axis {
    /// Patches that look at each centre, first and behind the last.
    lookers: Vec<(usize, usize)>,
    /// Patches that look at some centre that each patch looks at, first and behind the last.
    sharers: Vec<(usize, usize)>,
}

impl Axis {
    fn new(axis: &super::cells::Axis, radius: usize) -> Self {
        let lookers: Vec<_> = (0..axis.pooled.len()).map(|a| axis.lookers(a, radius)).collect();
        let sharers = |&cell: &u32| {
            let (first, behind) = axis.around(cell as usize, radius);
            (lookers[first].0, lookers[behind - 1].1)
        };
        let sharers = axis.cell.iter().map(sharers).collect();
        Self { lookers, sharers }
    }

    /// Most patches that look at one centre.
    fn most(&self) -> usize {
        self.lookers.iter().map(|(first, behind)| behind - first).max().unwrap_or(0)
    }
}

/// Distances between patches near each other.
pub(super) struct Pairs<'a> {
    cells: &'a Cells,
    radius: usize,
    rows: Axis,
    columns: Axis,
    /// `[N, 2·around.rows + 1, 2·around.columns + 1]`: distances of every patch to those around it, anything where they share
    /// no centre; then some to be read and not used.
    table: Vec<f32>,
    around: Around,
    /// First column of patches that [`Pairs::distances`] compares each column of centres with.
    firsts: Vec<usize>,
    /// Numbers in its output: those of a row of patches, of a centre, and of a row of centres.
    stride: usize,
    most: usize,
    row: usize,
}

/// The rectangle around a patch in which all are that share a centre with it: this many rows and columns on every side.
#[derive(Clone, Copy)]
struct Around {
    rows: usize,
    columns: usize,
}

impl Around {
    fn new(rows: &Axis, columns: &Axis) -> Self {
        Self { rows: rows.most() - 1, columns: columns.most() - 1 }
    }
    /// Distances between two rows.
    fn line(self) -> usize {
        2 * self.columns + 1
    }
    /// Numbers of a patch in [`Pairs::ahead`].
    fn ahead(self) -> usize {
        (self.rows + 1) * (self.line() + 2 * ASIDE)
    }
    /// Numbers of a patch.
    fn places(self) -> usize {
        (2 * self.rows + 1) * self.line()
    }
}

impl<'a> Pairs<'a> {
    /// `None` where measuring the distances to centres takes less time, or this more memory than the patches.
    pub fn new(
        patches: &Patches<'_>,
        cells: &'a Cells,
        radius: usize,
        iterations: usize,
        pool: &dyn Parallel,
    ) -> Option<Self> {
        let channels = patches.mean.len();
        let (rows, columns) = (Axis::new(&cells.rows, radius), Axis::new(&cells.columns, radius));
        // Centres begin as means of patches around them, which look at them if the window is wider than one cell.
        let possible = radius > 0 && Around::new(&rows, &columns).places() <= channels;
        let worth = possible && worth(&rows, &columns, channels, iterations);
        worth.then(|| Self::of(patches, cells, radius, (rows, columns), pool))
    }

    fn of(
        patches: &Patches<'_>,
        cells: &'a Cells,
        radius: usize,
        (rows, columns): (Axis, Axis),
        pool: &dyn Parallel,
    ) -> Self {
        let around = Around::new(&rows, &columns);
        let together: Vec<_> =
            columns.lookers.chunks(TOGETHER).map(|some| (some[0].0, some[some.len() - 1].1)).collect();
        let breadth = together.iter().map(|(first, behind)| behind - first).max().unwrap_or(0);
        let firsts = (0..columns.lookers.len()).map(|column| together[column / TOGETHER].0).collect();
        let stride = breadth.next_multiple_of(LANES);
        let most = rows.most() * stride;
        let row = columns.lookers.len() * most;
        let mut pairs = Self { cells, radius, rows, columns, table: Vec::new(), around, firsts, stride, most, row };
        pairs.table = pairs.both_ways(&pairs.ahead(patches, pool), pool);
        pairs
    }

    /// Distances of every patch to those behind it in its row and to those of the rows below, `[N, rows + 1]` lines with
    /// [`ASIDE`] more places at both ends, for what is computed and not used.
    fn ahead(&self, patches: &Patches<'_>, pool: &dyn Parallel) -> Vec<f32> {
        let row = self.cells.width() * self.around.ahead();
        let mut out = vec![0.0; self.cells.rows.cell.len() * row];
        let ends = self.runs(pool.width());
        for_rows_up_to(pool, &mut out, row, &ends, |first, out| widest(Ahead { pairs: self, patches, first, out }));
        out
    }

    /// Rows behind which runs of [`Pairs::ahead`] end. Every run prepares the rows below it, too: few, that take as long.
    fn runs(&self, width: usize) -> Vec<usize> {
        let sharers = &self.rows.sharers;
        let count = (sharers.len() / self.around.rows.max(1)).clamp(1, width.max(1));
        // Rows that each is compared with, its own in part, and its preparation.
        let work = |(y, (_, behind)): (usize, &(usize, usize))| behind - y + 1;
        let total: usize = sharers.iter().enumerate().map(work).sum();
        let (mut ends, mut done) = (Vec::with_capacity(count), 0);
        for row in sharers.iter().enumerate() {
            done += work(row);
            if done * count >= total * (ends.len() + 1) {
                ends.push(row.0 + 1);
            }
        }
        ends
    }

    /// The same with those before it.
    fn both_ways(&self, ahead: &[f32], pool: &dyn Parallel) -> Vec<f32> {
        let (Around { rows, columns }, line, places) = (self.around, self.around.line(), self.around.places());
        let (width, half, half_line) = (self.cells.width(), self.around.ahead(), line + 2 * ASIDE);
        let patches = ahead.len() / half;
        let mut table = vec![0.0; patches * places + ROWS * line + LANES];
        for_rows(pool, &mut table[..patches * places], places, GRAIN, |first, out| {
            for (i, out) in (first..).zip(out.chunks_exact_mut(places)) {
                let lines = ahead[i * half..(i + 1) * half].chunks_exact(half_line);
                for (out, from) in out[rows * line..].chunks_exact_mut(line).zip(lines) {
                    out.copy_from_slice(&from[ASIDE..][..line]);
                }
                let (y, x) = (i / width, i % width);
                for (row, out) in (0..=rows).zip(out.chunks_exact_mut(line)) {
                    let up = rows - row;
                    // In its own row, those before it.
                    let count = if up == 0 { columns } else { line };
                    for (column, out) in out[..count].iter_mut().enumerate() {
                        let Some(from) = y.checked_sub(up).zip((x + column).checked_sub(columns)) else { continue };
                        if from.1 < width {
                            *out = ahead[(from.0 * width + from.1) * half + up * half_line + ASIDE + line - 1 - column];
                        }
                    }
                }
            }
        });
        table
    }

    /// Room for [`Pairs::distances`].
    pub fn room(&self) -> usize {
        self.cells.rows.pooled.len() * self.row
    }

    /// Fills `out` with the distances of centres to the patches that look at them, given what each centre is made of:
    /// `weights` (`[N, side²]`, 0 or more) of those patches. False if a centre is made of nothing.
    pub fn distances(&self, weights: &[f32], out: &mut [f32], pool: &dyn Parallel) -> bool {
        let nothing = AtomicBool::new(false);
        for_rows(pool, out, self.row, 1, |first, out| {
            widest(Centres { pairs: self, weights, nothing: &nothing, first, out });
        });
        !nothing.into_inner()
    }

    /// Distances of patch `i` to the centres it looks at, from those of [`Pairs::distances`], row by row into `out`
    /// (`[side²]`); places without a centre are infinitely far. Returns the least.
    pub fn look_up(&self, i: usize, distances: &[f32], out: &mut [f32]) -> f32 {
        let (cells, most) = (self.cells, self.most);
        let (y, x) = (i / cells.width(), i % cells.width());
        let (row, column) = cells.of(i);
        let ((top, bottom), (left, right)) =
            (cells.rows.around(row, self.radius), cells.columns.around(column, self.radius));
        out.fill(f32::INFINITY);
        let mut least = f32::INFINITY;
        let lines = out.chunks_exact_mut(2 * self.radius + 1).skip(top + self.radius - row);
        for (out, (a, looking)) in lines.zip((top..bottom).zip(&self.rows.lookers[top..bottom])) {
            let distances = &distances[a * self.row + left * most + (y - looking.0) * self.stride..];
            let centres = distances.chunks(most).zip(&self.firsts[left..right]);
            for (out, (distances, &first)) in out[left + self.radius - column..].iter_mut().zip(centres) {
                *out = distances[x - first];
                least = least.min(*out);
            }
        }
        least
    }
}

/// Whether this takes fewer operations than measuring the distances to centres in every iteration.
fn worth(rows: &Axis, columns: &Axis, channels: usize, iterations: usize) -> bool {
    let total = |of: &dyn Fn(&Axis) -> f64| of(rows) * of(columns);
    let length = |&(first, behind): &(usize, usize)| (behind - first) as f64;
    let looks = total(&|axis| axis.lookers.iter().map(length).sum());
    let squares = total(&|axis| axis.lookers.iter().map(|l| length(l).powi(2)).sum());
    let pairs = total(&|axis| axis.sharers.iter().map(length).sum()) / 2.0;
    let (channels, iterations) = (channels as f64, iterations as f64);
    // A distance takes three operations a channel, two of them fused here; a weighted sum takes two.
    2.0 * pairs * channels + iterations * 2.0 * squares
        < (3.0 * iterations + 2.0 * (iterations - 1.0)) * looks * channels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid_kmeans::search;
    use crate::grid_kmeans::sums::Update;
    use crate::lanes::WIDEST;
    use crate::parallel::{Rayon, Serial};

    fn number(i: usize) -> f32 {
        (i as u32).wrapping_mul(2_654_435_761).rotate_left(9) as f32 / u32::MAX as f32
    }

    /// Grids of patches and centres, and a radius.
    type Case = ((usize, usize), (usize, usize), usize);

    const CASES: [Case; 9] = [
        ((8, 8), (4, 4), 2),
        ((10, 14), (7, 10), 2),
        ((7, 5), (7, 5), 1),
        ((1, 23), (1, 9), 2),
        ((23, 1), (9, 1), 2),
        ((12, 9), (5, 5), 3),
        ((6, 40), (2, 6), 2),
        ((9, 9), (3, 3), 5),
        ((5, 6), (1, 1), 1),
    ];

    /// Distances to the centres that these weights make, computed from pairs and measured. The patches of odd columns are
    /// those before them but for little.
    fn both(case: Case, channels: usize, weights: impl Fn(usize, usize) -> f32) -> (Vec<f32>, Vec<f32>) {
        let (grid, clusters, radius) = case;
        let (cells, places, n) = (Cells::new(clusters, grid), (2 * radius + 1).pow(2), grid.0 * grid.1);
        let value = |i: usize, c: usize| {
            let alike = if i % grid.1 % 2 == 1 { i - 1 } else { i };
            number(alike * channels + c) + 1e-3 * number((i + n) * channels + c) + 5.0
        };
        let values: Vec<f32> = (0..n * channels).map(|at| value(at / channels, at % channels)).collect();
        let mut around = vec![0.0; n * places];
        let mut near = Vec::new();
        for (i, row) in around.chunks_exact_mut(places).enumerate() {
            cells.near(cells.of(i), radius, &mut near);
            near.iter().for_each(|&(m, place)| row[place] = weights(i, m));
        }
        let mut centres = vec![0.0; clusters.0 * clusters.1 * channels];
        let update = |fused| Update { patches: &values, weights: &around, cells: &cells, radius, channels, fused };
        update(false).run(0, &mut centres);
        for bits in [128, 256, usize::MAX] {
            WIDEST.set(bits);
            let mut fused = vec![0.0; centres.len()];
            update(true).run(0, &mut fused);
            assert!(fused.iter().zip(&centres).all(|(a, b)| (a - b).abs() <= 1e-5), "{case:?}, {bits} bits");
        }
        let mut measured = vec![0.0; around.len()];
        search::distances(&values, &centres, channels, &cells, radius, 0, &mut measured);

        let patches = Patches::new(&values, channels, &Serial);
        let axes = || (Axis::new(&cells.rows, radius), Axis::new(&cells.columns, radius));
        let looked_up = |pool: &dyn Parallel| {
            let pairs = Pairs::of(&patches, &cells, radius, axes(), pool);
            let mut distances = vec![0.0; pairs.room()];
            assert!(pairs.distances(&around, &mut distances, pool));
            let mut out = vec![0.0; around.len()];
            for (i, row) in out.chunks_exact_mut(places).enumerate() {
                let least = pairs.look_up(i, &distances, row);
                assert_eq!(least, row.iter().copied().fold(f32::INFINITY, f32::min));
            }
            out
        };
        let out = looked_up(&Serial);
        assert_eq!(out, looked_up(&Rayon), "threads make no difference");
        for bits in [128, 256] {
            WIDEST.set(bits);
            assert_near(case, (looked_up(&Serial), measured.clone()));
        }
        WIDEST.set(usize::MAX);
        (out, measured)
    }

    fn assert_near(case: Case, (got, expected): (Vec<f32>, Vec<f32>)) {
        let mean = expected.iter().filter(|d| d.is_finite()).sum::<f32>() / expected.len() as f32;
        for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let near = got == expected || (got - expected).abs() <= 1e-5 * (expected + mean) + 2e-6;
            assert!(near, "{case:?}, {at}: {got} is not {expected}");
        }
    }

    #[test]
    fn distances_are_those_that_are_measured() {
        for case in CASES {
            for channels in [1, 16, 37, 160] {
                assert_near(case, both(case, channels, |i, m| 0.01 + number(i * 977 + m)));
            }
        }
    }

    #[test]
    fn centres_of_one_patch_are_that_patch() {
        for case in CASES {
            let (grid, clusters, _) = case;
            let cells = Cells::new(clusters, grid);
            let own = |i: usize, m: usize| {
                let first = (0..grid.0 * grid.1).find(|&i| cells.of(i) == (m / clusters.1, m % clusters.1));
                if first == Some(i) { 1.0 } else { 0.0 }
            };
            let (got, expected) = both(case, 33, own);
            let zeros = |list: &[f32]| list.iter().map(|&d| d == 0.0).collect::<Vec<_>>();
            assert_eq!(zeros(&got), zeros(&expected));
            assert_near(case, (got, expected));
        }
    }

    #[test]
    fn a_centre_of_nothing_is_told() {
        let cells = Cells::new((2, 2), (4, 4));
        let values: Vec<f32> = (0..16 * 20).map(number).collect();
        let patches = Patches::new(&values, 20, &Serial);
        let axes = (Axis::new(&cells.rows, 1), Axis::new(&cells.columns, 1));
        let pairs = Pairs::of(&patches, &cells, 1, axes, &Serial);
        assert!(!pairs.distances(&[0.0; 16 * 9], &mut vec![0.0; pairs.room()], &Serial));
    }

    #[test]
    fn what_takes_longer_is_not_done() {
        let cells = Cells::new((28, 28), (40, 40));
        let values: Vec<f32> = (0..1600 * 512).map(number).collect();
        let patches = |channels: usize| Patches::new(&values[..1600 * channels], channels, &Serial);
        let done = |channels: usize, radius: usize, iterations: usize| {
            Pairs::new(&patches(channels), &cells, radius, iterations, &Serial).is_some()
        };
        assert!(done(512, 2, 5) && done(256, 2, 5));
        assert!(!done(512, 2, 0) && !done(512, 0, 5) && !done(512, 27, 5) && !done(64, 2, 5));
    }
}
