//! How much faster the rewritten model is, and how sure that is.

mod promise;

use std::path::{Path, PathBuf};

use ailurus_runtime::latency::{self, Latency, Rounds, Samples};
use ailurus_runtime::statistics::Interval;
use ailurus_runtime::{DataType, Provider, SessionOptions, Tensor};
use serde::Serialize;

use crate::engine::{self, Engine};
use crate::inputs::{self, Normalization, Source};
use crate::verify::borrowed;
use crate::{Error, Result, interface};

/// How sure the intervals are.
pub const CONFIDENCE: f64 = 0.95;

/// Pairs from which on an interval can be that sure: all of n values lie on one side of the true median with a probability
/// of 2 / 2^n.
const ENOUGH: usize = 6;

/// How to measure.
#[derive(Clone, Debug)]
pub struct Bench {
    /// What goes in.
    pub source: Source,
    /// How a picture is normalised.
    pub normalization: Normalization,
    /// What runs the models.
    pub engine: Engine,
    /// How both models are prepared: threads, provider, libraries of operators ([`crate::plugin::find`]).
    pub session: SessionOptions,
    /// How often to measure.
    pub rounds: Rounds,
}

impl Default for Bench {
    fn default() -> Self {
        Bench {
            source: Source::Noise(0),
            normalization: Normalization::default(),
            engine: Engine::Auto,
            session: SessionOptions::default(),
            rounds: Rounds { warm_up: 2, pairs: 20 },
        }
    }
}

/// What is going on, for progress displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The models are loaded.
    Load,
    /// The models run without being measured.
    WarmUp,
    /// This pair of runs, from 1 on, of so many.
    Pair(usize, usize),
}

/// What was measured. Times are of one run with all its inputs, `a` before `b`.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// The reference.
    pub a: PathBuf,
    /// The model compared with it.
    pub b: PathBuf,
    /// The runtime, with its version.
    pub runtime: String,
    /// What computed.
    pub provider: Provider,
    /// Threads within an operator; `None` where the runtime chose.
    pub threads: Option<usize>,
    /// Libraries of operators that were registered.
    pub plugins: Vec<PathBuf>,
    /// What went in, in words.
    pub source: String,
    /// The same by input.
    pub inputs: Vec<InputShape>,
    /// How often was measured.
    pub rounds: Rounds,
    /// Medians, spreads and the speed-up.
    pub latency: Latency,
    /// Where the speed-up lies.
    pub interval: Interval,
    /// What the operation count promises for inputs of this size, where `b` was rewritten by ailurus.
    pub promise: Option<f64>,
    /// The speed-up by the promise.
    pub achieved: Option<Achieved>,
    /// Peak memory, where it was measured.
    pub memory: Option<Memory>,
    /// Things worth knowing.
    pub notes: Vec<String>,
    /// Every run, in the order of the pairs.
    pub samples: Samples,
}

/// An input as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputShape {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub data_type: DataType,
    /// Its dimensions.
    pub dims: Vec<usize>,
}

/// How much of a promise is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Achieved {
    /// The speed-up by the promise: 1 keeps it.
    pub share: f64,
    /// Where the share lies.
    pub interval: Interval,
}

/// The largest resident set of a process that does nothing but load and run one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Of the reference; `None` where it could not be found out.
    pub a_bytes: Option<u64>,
    /// Of the other model.
    pub b_bytes: Option<u64>,
}

impl Bench {
    /// Measures two files in turn in this process. Peak memory needs processes of its own and is left out here.
    ///
    /// # Errors
    /// When a model cannot be read or run, when their interfaces differ, or when the inputs do not fit.
    pub fn files(&self, a: &Path, b: &Path, observe: impl Fn(Step)) -> Result<Measurement> {
        observe(Step::Load);
        let models = (engine::read(a)?, engine::read(b)?);
        let mismatches = interface::mismatches(&models.0, &models.1);
        if !mismatches.is_empty() {
            return Err(Error::Interface { mismatches });
        }
        let runtime = self.engine.runtime_for(&self.session)?;
        let base = engine::open(&*runtime, &models.0, a, &self.session)?;
        let other = engine::open(&*runtime, &models.1, b, &self.session)?;
        let (made, said) = inputs::make_noted(base.session.inputs(), &self.source, &self.normalization)?;
        let (promise, mut notes) = promise::find(&models.0, &models.1, base.session.inputs(), &made);
        notes.extend(said);
        let given = borrowed(&made);
        let samples = latency::sample(
            self.rounds,
            || base.session.run(&given).map(drop),
            || other.session.run(&given).map(drop),
            |pair| observe(if pair == 0 { Step::WarmUp } else { Step::Pair(pair, self.rounds.pairs.max(1)) }),
        )?;
        let (latency, interval) = (samples.latency(), samples.speed_up(CONFIDENCE));
        if samples.pairs_ms.len() < ENOUGH {
            notes.push(format!("fewer than {ENOUGH} --rounds say little about how sure the speed-up is"));
        } else if interval.contains(1.0) {
            notes.push("the speed-up cannot be told from 1: more --rounds narrow it down".into());
        }
        Ok(Measurement {
            a: a.to_owned(),
            b: b.to_owned(),
            runtime: runtime.name(),
            provider: self.session.provider,
            threads: self.session.threads,
            plugins: self.session.custom_op_libraries.clone(),
            source: self.source.describe(),
            inputs: shapes(&made),
            rounds: self.rounds,
            latency,
            interval,
            promise,
            achieved: promise.map(|p| Achieved { share: latency.speed_up / p, interval: interval.times(1.0 / p) }),
            memory: None,
            notes,
            samples,
        })
    }

    /// Loads one model and runs it twice, so that what a runtime sets aside for later runs counts: the work of a process
    /// whose peak memory is looked at.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn run_alone(&self, path: &Path) -> Result<()> {
        // The structure of the file is not kept: it is not the model's.
        let model = engine::read(path)?;
        let runtime = self.engine.runtime_for(&self.session)?;
        let loaded = engine::open(&*runtime, &model, path, &self.session)?;
        drop(model);
        let made = inputs::make(loaded.session.inputs(), &self.source, &self.normalization)?;
        for _ in 0..2 {
            loaded.session.run(&borrowed(&made))?;
        }
        Ok(())
    }
}

fn shapes(made: &[(String, Tensor)]) -> Vec<InputShape> {
    made.iter()
        .map(|(name, t)| InputShape { name: name.clone(), data_type: t.data_type(), dims: t.dims().to_vec() })
        .collect()
}
