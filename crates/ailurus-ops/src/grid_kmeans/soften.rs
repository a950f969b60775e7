//! Weights from distances, rounded as the processor likes.

use super::LEAST_WEIGHT;
use crate::lanes::{Sums, Wide};

/// Weights of the centres around some patches, which add up to 1.
pub(super) struct Soften<'a> {
    /// What squared distances are multiplied with.
    pub sharpness: f32,
    /// Places around a patch.
    pub places: usize,
    /// The least distance of each patch.
    pub least: &'a [f32],
    /// `[_, places]`: distances, infinite where there is no centre; then weights.
    pub out: &'a mut [f32],
}

impl Wide for Soften<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        let Self { sharpness, places, least, out } = self;
        for (row, least) in out.chunks_exact_mut(places).zip(least) {
            row.iter_mut().for_each(|d| *d = sharpness * (least - *d));
        }
        out.iter_mut().for_each(|d| *d = exp(*d));
        for row in out.chunks_exact_mut(places) {
            let share = 1.0 / row.iter().sum::<f32>();
            row.iter_mut().for_each(|w| *w *= share);
        }
    }
}

/// eˣ for x up to 0, off by a few roundings, and 0 where it would be below [`LEAST_WEIGHT`].
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding this leaves a whole number in the lower bits.
    const WHOLE: f32 = 12_582_912.0;
    // Places without a centre are infinitely far, which times a temperature of 0 is not a number: `max` leaves that out.
    let x = x.max(-40.0);
    let twos = x * std::f32::consts::LOG2_E;
    let whole = twos + WHOLE;
    let rest = (twos - (whole - WHOLE)) * std::f32::consts::LN_2;
    let power = 1.0
        + rest
            * (1.0
                + rest * (1.0 / 2.0 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0 + rest * (1.0 / 120.0 + rest / 720.0)))));
    let weight = f32::from_bits((whole.to_bits() << 23).wrapping_add(power.to_bits()));
    if weight < LEAST_WEIGHT { 0.0 } else { weight }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_library() {
        for i in 0..40_000 {
            let x = -(i as f32) * 1e-3;
            let expected = f64::from(x).exp();
            let off = (f64::from(exp(x)) - expected).abs();
            assert!(off <= 4e-6 * expected || (expected < 1.1 * f64::from(LEAST_WEIGHT) && off <= expected), "{x}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY), exp(f32::NAN)), (1.0, 0.0, 0.0));
    }
}
