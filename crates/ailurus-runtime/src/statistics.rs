//! Quantiles, and how sure a ratio of medians is.

use serde::{Deserialize, Serialize};

/// A range that holds the true value with some confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// How sure it is, such as 0.95.
    pub confidence: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// The range of the value times `factor`, which must be positive.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Interval { low: self.low * factor, high: self.high * factor, ..self }
    }

    /// True when the value may be this one.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Resamples drawn for an interval: enough that its ends move by less than a hundredth of its width.
const RESAMPLES: usize = 10_000;

/// The value below which a share `q` of the sorted values lies, interpolated between neighbours; NaN without values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let x = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (x.floor() as usize, x.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (x - x.floor())
}

/// The median of values in any order, which it sorts.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The median of the numerators by the median of the denominators, with an interval.
///
/// The interval is that of the percentile bootstrap: pairs are drawn with replacement, as many as there are, again and
/// again; what disturbs both members of a pair so stays together. The draws are the same in every run.
///
/// # Panics
/// When there are no pairs.
pub fn ratio_of_medians(pairs: &[(f64, f64)], confidence: f64) -> (f64, Interval) {
    resampled(pairs, confidence, RESAMPLES, 0)
}

fn resampled(pairs: &[(f64, f64)], confidence: f64, resamples: usize, seed: u64) -> (f64, Interval) {
    assert!(!pairs.is_empty(), "a ratio needs at least one pair");
    let (mut a, mut b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let ratio = median(&mut a) / median(&mut b);
    let mut draw = SplitMix(seed);
    let mut ratios: Vec<f64> = (0..resamples)
        .map(|_| {
            for at in 0..pairs.len() {
                (a[at], b[at]) = pairs[draw.below(pairs.len())];
            }
            median(&mut a) / median(&mut b)
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    (ratio, Interval { confidence, low: quantile(&ratios, tail), high: quantile(&ratios, 1.0 - tail) })
}

/// A small generator with a good enough distribution.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; the bias is below n / 2^64.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!([0.0, 0.5, 1.0].map(|q| quantile(&sorted, q)), [1.0, 3.0, 8.0]);
        assert_eq!(quantile(&sorted, 0.25), 1.75);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(median(&mut [5.0, 1.0, 3.0]), 3.0);
        assert_eq!(median(&mut [4.0, 1.0]), 2.5);
    }

    #[test]
    fn equal_pairs_have_no_width() {
        let (ratio, interval) = ratio_of_medians(&[(3.0, 2.0); 9], 0.95);
        assert_eq!((ratio, interval.low, interval.high), (1.5, 1.5, 1.5));
        let (ratio, interval) = ratio_of_medians(&[(3.0, 2.0)], 0.95);
        assert_eq!((ratio, interval.low, interval.high), (1.5, 1.5, 1.5));
    }

    /// Of two pairs, a resample holds the first twice, both, or the second twice, with 1/4, 1/2 and 1/4.
    #[test]
    fn all_resamples_of_two_pairs() {
        let (ratio, interval) = ratio_of_medians(&[(1.0, 1.0), (3.0, 1.0)], 0.95);
        assert_eq!((ratio, interval.low, interval.high), (2.0, 1.0, 3.0));
        let (_, half) = ratio_of_medians(&[(1.0, 1.0), (3.0, 1.0)], 0.4);
        assert_eq!((half.low, half.high), (2.0, 2.0));
    }

    #[test]
    fn the_same_every_time() {
        let pairs: Vec<_> = (0..20).map(|i| (10.0 + f64::from(i * 7 % 13), 5.0 + f64::from(i * 5 % 11))).collect();
        assert_eq!(ratio_of_medians(&pairs, 0.95), ratio_of_medians(&pairs, 0.95));
    }

    /// What disturbs both members of a pair alike leaves the ratio alone.
    #[test]
    fn pairs_stay_together() {
        let pairs: Vec<_> = (1..=15).map(|i| (3.0 * f64::from(i), 2.0 * f64::from(i))).collect();
        let (ratio, interval) = ratio_of_medians(&pairs, 0.95);
        assert!((ratio - 1.5).abs() < 1e-12 && interval.high - interval.low < 1e-12, "{interval:?}");
    }

    /// Run times as they are: a floor, and a tail to the right, for two functions whose medians have a ratio of 1.4.
    fn run_times(n: usize, seed: u64) -> Vec<(f64, f64)> {
        let mut draw = SplitMix(seed);
        let mut tail = || 1.0 + 0.1 * -(1.0 - (draw.next() >> 11) as f64 / (1u64 << 53) as f64).ln();
        (0..n).map(|_| (14.0 * tail(), 10.0 * tail())).collect()
    }

    #[test]
    fn the_true_ratio_is_inside_as_often_as_promised() {
        for (n, confidence) in [(15, 0.95), (40, 0.95), (40, 0.8)] {
            let trials = 400;
            let inside = (0..trials)
                .filter(|&t| resampled(&run_times(n, 1000 + t), confidence, 500, t).1.contains(1.4))
                .count() as f64
                / trials as f64;
            // Four standard errors, and the slack of a percentile bootstrap with few pairs.
            assert!((inside - confidence).abs() < 0.04, "{n} pairs, {confidence}: {inside}");
        }
    }

    #[test]
    fn more_pairs_make_it_narrower() {
        let width = |n| {
            let interval = ratio_of_medians(&run_times(n, 5), 0.95).1;
            interval.high - interval.low
        };
        assert!(width(400) < width(25) / 2.0, "{} {}", width(25), width(400));
    }

    #[test]
    fn scaled() {
        let interval = Interval { confidence: 0.95, low: 1.0, high: 2.0 }.times(0.5);
        assert_eq!((interval.low, interval.high), (0.5, 1.0));
        assert!(interval.contains(1.0) && !interval.contains(1.1));
    }
}
