//! What two sessions differ by, in time.
//!
//! The two run alternately in one process, so that whatever else the machine does hits both; the
//! ratio of the medians is comparable from machine to machine, the milliseconds are not.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::statistics::{Interval, quantile, ratio_of_medians};
use crate::{Result, Session, Tensor};

/// How often to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// Runs of each that are not counted.
    pub warm_up: usize,
    /// Pairs of runs that are counted; at least one is made.
    pub pairs: usize,
}

impl Default for Rounds {
    fn default() -> Self {
        Rounds { warm_up: 1, pairs: 7 }
    }
}

/// A distribution of run times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Half of the runs were faster.
    pub median_ms: f64,
    /// The fastest run.
    pub min_ms: f64,
    /// From the first to the third quartile.
    pub spread_ms: f64,
}

impl Distribution {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |q| quantile(&times, q);
        Distribution { median_ms: at(0.5), min_ms: at(0.0), spread_ms: at(0.75) - at(0.25) }
    }
}

/// The result of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The reference.
    pub base: Distribution,
    /// The other.
    pub other: Distribution,
    /// Median of the reference by median of the other: above 1, the other is faster.
    pub speed_up: f64,
    /// Pairs measured.
    pub pairs: usize,
}

/// The times of every pair of runs, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Reference and other, in the order of the pairs.
    pub pairs_ms: Vec<(f64, f64)>,
}

impl Samples {
    /// The distributions, and the ratio of their medians.
    pub fn latency(&self) -> Latency {
        let (a, b): (Vec<f64>, Vec<f64>) = self.pairs_ms.iter().copied().unzip();
        let (base, other) = (Distribution::of(a), Distribution::of(b));
        Latency { base, other, speed_up: base.median_ms / other.median_ms, pairs: self.pairs_ms.len() }
    }

    /// Where the speed-up lies with this confidence ([`crate::statistics::ratio_of_medians`]).
    pub fn speed_up(&self, confidence: f64) -> Interval {
        ratio_of_medians(&self.pairs_ms, confidence).1
    }
}

/// Times two functions alternately; which of a pair goes first alternates too.
pub fn interleaved<E>(
    rounds: Rounds,
    base: impl FnMut() -> Result<(), E>,
    other: impl FnMut() -> Result<(), E>,
) -> Result<Latency, E> {
    Ok(sample(rounds, base, other, |_| {})?.latency())
}

/// As [`interleaved`], with the time of every run; `begin` is told the number of each pair before it runs, from 0 for
/// the warm-up on.
pub fn sample<E>(
    rounds: Rounds,
    mut base: impl FnMut() -> Result<(), E>,
    mut other: impl FnMut() -> Result<(), E>,
    mut begin: impl FnMut(usize),
) -> Result<Samples, E> {
    begin(0);
    for _ in 0..rounds.warm_up {
        base()?;
        other()?;
    }
    let pairs = rounds.pairs.max(1);
    let mut pairs_ms = Vec::with_capacity(pairs);
    for pair in 0..pairs {
        begin(pair + 1);
        pairs_ms.push(if pair % 2 == 0 {
            let a = time(&mut base)?;
            (a, time(&mut other)?)
        } else {
            let b = time(&mut other)?;
            (time(&mut base)?, b)
        });
    }
    Ok(Samples { pairs_ms })
}

/// Times two sessions on the same inputs.
pub fn sessions(
    rounds: Rounds,
    base: &dyn Session,
    other: &dyn Session,
    inputs: &[(&str, &Tensor)],
) -> Result<Latency> {
    interleaved(rounds, || base.run(inputs).map(drop), || other.run(inputs).map(drop))
}

fn time<E>(f: &mut impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let start = Instant::now();
    f()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        let d = Distribution::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((d.median_ms, d.min_ms, d.spread_ms), (3.0, 1.0, 2.0));
        let d = Distribution::of(vec![7.0]);
        assert_eq!((d.median_ms, d.spread_ms), (7.0, 0.0));
    }

    #[test]
    fn each_runs_as_often_as_asked() {
        let (mut a, mut b) = (0, 0);
        let rounds = Rounds { warm_up: 2, pairs: 3 };
        let count = |n: &mut i32| -> Result<(), ()> {
            *n += 1;
            Ok(())
        };
        let latency = interleaved(rounds, || count(&mut a), || count(&mut b)).unwrap();
        assert_eq!((a, b, latency.pairs), (5, 5, 3));
        assert_eq!(interleaved(rounds, || Err(1), || Ok(())).unwrap_err(), 1);
    }

    #[test]
    fn pairs_alternate_and_are_announced() {
        let said = std::cell::RefCell::new(String::new());
        let say = |c: char| -> Result<(), ()> {
            said.borrow_mut().push(c);
            Ok(())
        };
        let rounds = Rounds { warm_up: 1, pairs: 3 };
        let begin = |n: usize| said.borrow_mut().push_str(&n.to_string());
        let samples = sample(rounds, || say('a'), || say('b'), begin).unwrap();
        assert_eq!(said.into_inner(), "0ab1ab2ba3ab");
        assert_eq!(samples.pairs_ms.len(), 3);
    }

    #[test]
    fn both_members_of_a_pair_are_told_apart() {
        let samples = Samples { pairs_ms: vec![(3.0, 1.0), (6.0, 2.0), (9.0, 4.0)] };
        let latency = samples.latency();
        assert_eq!((latency.base.median_ms, latency.other.median_ms), (6.0, 2.0));
        assert_eq!((latency.speed_up, latency.pairs), (3.0, 3));
        let interval = samples.speed_up(0.95);
        assert!(interval.contains(3.0) && interval.low >= 9.0 / 4.0 && interval.high <= 3.0, "{interval:?}");
    }
}
