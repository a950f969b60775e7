//! Distances between patches, every pair once.

use super::super::patches::Patches;
use super::{ASIDE, Pairs};
use crate::lanes::{LANES, Sixteen, Sums, Wide, over_sixteens};

/// Patches whose squared distance is less than this share of their squares are compared channel by channel.
const NEAR: f32 = 1.0 / 128.0;

/// Distances of some rows of patches to those behind them.
pub(super) struct Ahead<'a> {
    pub pairs: &'a Pairs<'a>,
    pub patches: &'a Patches<'a>,
    /// Row of the grid that `out` begins with.
    pub first: usize,
    /// As [`Pairs::ahead`] describes it.
    pub out: &'a mut [f32],
}

impl Wide for Ahead<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        if S::MANY { self.tiles::<S, 4, 4>() } else { self.tiles::<S, 2, 2>() }
    }
}

impl Ahead<'_> {
    /// A patches side by side and K others at a time: to read them costs more than to compare them.
    #[inline(always)]
    fn tiles<S: Sums, const A: usize, const K: usize>(self) {
        let Self { pairs: Pairs { cells, rows, columns, around, .. }, patches, first, out } = self;
        let (width, line, places) = (cells.width(), around.line() + 2 * ASIDE, around.ahead());
        let mut band = Band::new(patches, width, around.rows + 1);
        for (top, out) in (first..).zip(out.chunks_exact_mut(width * places)) {
            let bottom = rows.sharers[top].1;
            band.prepare::<S>(top, bottom);
            let own_row = band.row(top);
            for left in (0..width).step_by(A) {
                // The last is repeated where there are fewer.
                let own = |j: usize| (left + j).min(width - 1);
                let tokens = std::array::from_fn(|j| own_row.token(own(j)));
                let squares = std::array::from_fn(|j| own_row.squares[own(j)]);
                let right = columns.sharers[own(A - 1)].1;
                for y in top..bottom {
                    let begin = if y == top { left + 1 } else { columns.sharers[left].0 };
                    let row = band.row(y);
                    for x in (begin..right).step_by(K) {
                        let other = |k: usize| (x + k).min(right - 1);
                        let others = std::array::from_fn(|k| row.token(other(k)));
                        let other_squares = std::array::from_fn(|k| row.squares[other(k)]);
                        let distances = distances::<S, A, K>(tokens, others, (squares, other_squares));
                        for (j, distances) in distances.iter().enumerate() {
                            // What is out of reach falls into the places aside.
                            let column = (x + around.columns + ASIDE - own(j)).min(line - K);
                            let from = own(j) * places + (y - top) * line + column;
                            out[from..][..K].copy_from_slice(distances);
                        }
                    }
                }
            }
        }
    }
}

/// Some rows of patches without the mean patch, each in the place of one that is not needed any more.
struct Band<'a> {
    patches: &'a Patches<'a>,
    width: usize,
    rows: usize,
    /// Sixteens of channels of a patch.
    sixteens: usize,
    /// First row not prepared yet.
    next: usize,
    /// `[rows, width, sixteens]`, 0 where there is no channel.
    values: Vec<Sixteen>,
    /// `[rows, width]`: their sums of squares.
    squares: Vec<f32>,
}

impl<'a> Band<'a> {
    fn new(patches: &'a Patches<'a>, width: usize, rows: usize) -> Self {
        let sixteens = patches.mean.len().div_ceil(LANES);
        let values = vec![Sixteen::default(); rows * width * sixteens];
        Self { patches, width, rows, sixteens, next: 0, values, squares: vec![0.0; rows * width] }
    }

    /// Makes these rows available.
    #[inline(always)]
    fn prepare<S: Sums>(&mut self, first: usize, behind: usize) {
        let Self { patches: Patches { values, mean }, width, sixteens, .. } = *self;
        let row = width * mean.len();
        for y in self.next.max(first)..behind {
            let at = y % self.rows;
            let from = values[y * row..(y + 1) * row].chunks_exact(mean.len());
            let to = self.values[at * width * sixteens..].chunks_exact_mut(sixteens);
            for ((from, to), square) in from.zip(to).zip(&mut self.squares[at * width..]) {
                for (to, (from, mean)) in to.iter_mut().zip(from.chunks(LANES).zip(mean.chunks(LANES))) {
                    to.0.iter_mut().zip(from).zip(mean).for_each(|((to, x), mean)| *to = x - mean);
                }
                [[*square]] = over_sixteens::<S, 1, 1>([to], [to], S::add_products);
            }
            self.next = y + 1;
        }
    }

    /// A row that was prepared.
    #[inline(always)]
    fn row(&self, y: usize) -> Row<'_> {
        let (at, count) = (y % self.rows, self.width * self.sixteens);
        let values = &self.values[at * count..][..count];
        Row { sixteens: self.sixteens, values, squares: &self.squares[at * self.width..][..self.width] }
    }
}

#[derive(Clone, Copy)]
struct Row<'a> {
    sixteens: usize,
    values: &'a [Sixteen],
    squares: &'a [f32],
}

impl<'a> Row<'a> {
    #[inline(always)]
    fn token(self, x: usize) -> &'a [Sixteen] {
        &self.values[x * self.sixteens..][..self.sixteens]
    }
}

/// Squared distances from products, unless digits were lost: ‖a − b‖² = ‖a‖² + ‖b‖² − 2·a·b.
#[inline(always)]
fn distances<S: Sums, const A: usize, const K: usize>(
    a: [&[Sixteen]; A],
    b: [&[Sixteen]; K],
    squares: ([f32; A], [f32; K]),
) -> [[f32; K]; A] {
    let products = over_sixteens::<S, A, K>(a, b, S::add_products);
    let mut out = [[0.0; K]; A];
    let mut near = false;
    for j in 0..A {
        for k in 0..K {
            let (both, itself) = (squares.0[j] + squares.1[k], std::ptr::eq(a[j], b[k]));
            out[j][k] = both - 2.0 * products[j][k];
            near |= out[j][k] < NEAR * both && !itself;
        }
    }
    if near { over_sixteens::<S, A, K>(a, b, S::add) } else { out }
}
