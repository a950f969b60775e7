//! What two sessions differ by, in time.
//!
//! The two run alternately in one process, so that whatever else the machine does hits both; the
//! ratio of the medians is comparable from machine to machine, the milliseconds are not.

use std::time::Instant;

use serde::{Deserialize, Serialize};

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
        let at = |q: f64| {
            // Linear interpolation between the neighbours.
            let x = q * (times.len().saturating_sub(1)) as f64;
            let (low, high) = (x.floor() as usize, x.ceil() as usize);
            times[low] + (times[high] - times[low]) * (x - x.floor())
        };
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

/// Times two functions alternately; which of a pair goes first alternates too.
pub fn interleaved<E>(
    rounds: Rounds,
    mut base: impl FnMut() -> Result<(), E>,
    mut other: impl FnMut() -> Result<(), E>,
) -> Result<Latency, E> {
    for _ in 0..rounds.warm_up {
        base()?;
        other()?;
    }
    let pairs = rounds.pairs.max(1);
    let (mut a, mut b) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
    for pair in 0..pairs {
        if pair % 2 == 0 {
            a.push(time(&mut base)?);
            b.push(time(&mut other)?);
        } else {
            b.push(time(&mut other)?);
            a.push(time(&mut base)?);
        }
    }
    let (base, other) = (Distribution::of(a), Distribution::of(b));
    Ok(Latency { base, other, speed_up: base.median_ms / other.median_ms, pairs })
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
}
