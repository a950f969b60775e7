//! Rows in whole numbers.

use crate::dots::{Bytes, Digits, Words};
use crate::lanes::{LANES, Sums, Wide, widest};

/// Norms below this count as 0.
const SMALL: f32 = 1e-15;

/// Adding this (3·2²²) leaves a whole number, to nearest, in the lower bits.
const WHOLE: f32 = 12_582_912.0;

/// How rows become whole numbers of this size.
pub(in super::super) trait Quantize: Digits {
    /// Most channels for which dot products stay below 2³¹, and bounds hold.
    const CHANNELS: usize;
    /// What is added on the left, where processors want numbers without a sign.
    const SIGN: i32;
    /// What 1 stands for in a row with this norm and this greatest number.
    fn unit(norm: f32, greatest: f32) -> f32;
    /// Numbers from the lower bits.
    fn left(bits: u32) -> Self::Left;
    fn right(bits: u32) -> Self::Right;
}

impl Quantize for Words {
    const CHANNELS: usize = 1 << 20;
    const SIGN: i32 = 0;

    fn unit(norm: f32, _: f32) -> f32 {
        // A norm of 32,000 in whole numbers: no dot product exceeds 31 bits.
        norm / 32_000.0
    }
    #[inline(always)]
    fn left(bits: u32) -> i16 {
        bits as i16
    }
    #[inline(always)]
    fn right(bits: u32) -> i16 {
        bits as i16
    }
}

impl Quantize for Bytes {
    const CHANNELS: usize = 1 << 16;
    const SIGN: i32 = 128;

    fn unit(_: f32, greatest: f32) -> f32 {
        greatest / 127.0
    }
    #[inline(always)]
    fn left(bits: u32) -> u8 {
        bits as u8 ^ 128
    }
    #[inline(always)]
    fn right(bits: u32) -> i8 {
        bits as i8
    }
}

/// What the whole numbers of a row x stand for: x − μ = unit · (whole numbers) + e.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Rounded {
    pub unit: f32,
    /// Their sum.
    pub total: i32,
    /// ‖x − μ‖²
    pub square: f32,
    /// ‖x − μ‖ at most.
    pub norm: f32,
    /// ‖e‖ at most.
    pub error: f32,
}

/// Rounds a row without the mean to whole numbers, to nearest; `number` makes them of the lower bits. `out` is as long as
/// the row, or longer.
pub(super) fn round<T>(row: &[f32], mean: &[f32], out: &mut [T], number: impl Fn(u32) -> T, unit: Unit) -> Rounded {
    let mut rounded = Rounded::default();
    widest(Round { row, mean, out, number, unit, rounded: &mut rounded });
    rounded
}

/// [`Quantize::unit`]
type Unit = fn(norm: f32, greatest: f32) -> f32;

struct Round<'a, T, F> {
    row: &'a [f32],
    mean: &'a [f32],
    out: &'a mut [T],
    number: F,
    unit: Unit,
    rounded: &'a mut Rounded,
}

impl<T, F: Fn(u32) -> T> Wide for Round<'_, T, F> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { row, mean, out, number, unit, rounded } = self;
        let (rows, row_rest) = row.as_chunks::<LANES>();
        let (means, mean_rest) = mean.as_chunks::<LANES>();
        let (mut squares, mut greatest) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (x, mean) in rows.iter().zip(means) {
            for l in 0..LANES {
                let x = x[l] - mean[l];
                squares[l] += x * x;
                greatest[l] = if x.abs() > greatest[l] { x.abs() } else { greatest[l] };
            }
        }
        for (l, (x, mean)) in row_rest.iter().zip(mean_rest).enumerate() {
            squares[l] += (x - mean) * (x - mean);
            greatest[l] = greatest[l].max((x - mean).abs());
        }
        let (square, greatest) = (squares.iter().sum::<f32>(), greatest.iter().copied().fold(0.0, f32::max));
        if square.sqrt() < SMALL {
            out.iter_mut().for_each(|out| *out = number(0));
            *rounded = Rounded { norm: 10.0 * SMALL, error: 10.0 * SMALL, ..Rounded::default() };
            return;
        }
        let unit = unit(square.sqrt(), greatest);
        let scale = 1.0 / unit;
        let (outs, out_rest) = out.split_at_mut(rows.len() * LANES);
        let (mut totals, mut errors) = ([0.0f32; LANES], [0.0f32; LANES]);
        let outs = outs.as_chunks_mut::<LANES>().0.iter_mut();
        for ((x, mean), out) in rows.iter().zip(means).zip(outs) {
            for l in 0..LANES {
                let x = (x[l] - mean[l]) * scale;
                out[l] = number((x + WHOLE).to_bits());
                let whole = (x + WHOLE) - WHOLE;
                totals[l] += whole;
                errors[l] += (x - whole) * (x - whole);
            }
        }
        out_rest.iter_mut().for_each(|out| *out = number(0));
        for (l, ((x, mean), out)) in row_rest.iter().zip(mean_rest).zip(out_rest).enumerate() {
            let x = (x - mean) * scale;
            *out = number((x + WHOLE).to_bits());
            let whole = (x + WHOLE) - WHOLE;
            totals[l] += whole;
            errors[l] += (x - whole) * (x - whole);
        }
        // Sums of so many are off by less than this share.
        let share = 1.0 + (row.len() / LANES + 32) as f32 / (1 << 22) as f32;
        let norm = square.sqrt() * share;
        // Numbers were rounded before they were rounded to whole ones, too.
        let error = unit * errors.iter().sum::<f32>().sqrt() * share + norm / (1 << 21) as f32;
        *rounded = Rounded { unit, total: totals.iter().sum::<f32>() as i32, square, norm, error };
    }
}
