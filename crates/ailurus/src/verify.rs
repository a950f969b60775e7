//! Original and rewritten model side by side: differences and time.

use std::path::Path;

use ailurus_onnx::{DataType, Model};
use ailurus_rewrite::options::Keep;
use ailurus_rewrite::{Emit, Plan};
use ailurus_runtime::compare::{self, Difference, Tolerance};
use ailurus_runtime::latency::{self, Latency, Rounds};
use ailurus_runtime::{Runtime, Tensor};
use serde::Serialize;

pub use crate::engine::Engine;
use crate::engine::{self, Loaded};
use crate::inputs::{self, Normalization, Source};
use crate::{Error, Result, pipeline};

/// How to compare.
#[derive(Clone, Debug)]
pub struct Check {
    /// What goes in.
    pub source: Source,
    /// How a picture is normalised.
    pub normalization: Normalization,
    /// What runs the models.
    pub engine: Engine,
    /// The largest relative L2 difference of an output. Without one, outputs must agree to float
    /// tolerance when all tokens are kept, and may differ as they do when they are not.
    pub tolerance: Option<f64>,
    /// How often to measure; `None` leaves time out.
    pub rounds: Option<Rounds>,
}

impl Default for Check {
    fn default() -> Self {
        Check {
            source: Source::Noise(0),
            normalization: Normalization::default(),
            engine: Engine::Auto,
            tolerance: None,
            rounds: Some(Rounds::default()),
        }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The runtime, with its version.
    pub runtime: String,
    /// What went in, in words.
    pub source: String,
    /// The form in which the operators were run, where it is not the one that is written.
    pub instead: Option<Emit>,
    /// Differences by output.
    pub outputs: Vec<Difference>,
    /// The relative L2 difference that was allowed, where one was.
    pub tolerance: Option<f64>,
    /// Time of both.
    pub latency: Option<Latency>,
}

impl Check {
    /// Compares a model with its rewritten form; `folder` is a place for temporary files.
    ///
    /// # Errors
    /// [`Error::Verification`] when outputs have other shapes, NaNs at other places, or differ by
    /// more than the tolerance; others when a model cannot be run.
    pub fn run(
        &self,
        original: &Model,
        rewritten: &Model,
        plan: &Plan,
        emit: Emit,
        folder: Option<&Path>,
    ) -> Result<Verdict> {
        engine::runnable(original)?;
        let runtime = self.engine.runtime()?;
        let base = match original.source_path() {
            Some(path) => engine::load_file(&*runtime, path)?,
            None => engine::load(&*runtime, original, folder)?,
        };
        // Bare nodes would need a runtime with our library.
        let emitted = match emit {
            Emit::Custom => Emit::Function,
            emit => emit,
        };
        let other = if emitted == emit {
            engine::load(&*runtime, rewritten, folder)?
        } else {
            engine::load(&*runtime, &pipeline::rewrite(original, plan, emitted)?, folder)?
        };
        let exact = self.tolerance.or_else(|| keeps_everything(plan).then(|| float_tolerance(plan)));
        self.compare(&*runtime, &base, &other, exact, (emitted != emit).then_some(emitted))
    }

    /// Compares two files.
    ///
    /// # Errors
    /// As [`Check::run`].
    pub fn files(&self, original: &Path, other: &Path) -> Result<Verdict> {
        // What is wrong with a file is said more clearly here than by a runtime.
        for path in [original, other] {
            engine::runnable(&pipeline::load(path)?)?;
        }
        let runtime = self.engine.runtime()?;
        let base = engine::load_file(&*runtime, original)?;
        let other = engine::load_file(&*runtime, other)?;
        self.compare(&*runtime, &base, &other, self.tolerance, None)
    }

    fn compare(
        &self,
        runtime: &dyn Runtime,
        base: &Loaded,
        other: &Loaded,
        tolerance: Option<f64>,
        instead: Option<Emit>,
    ) -> Result<Verdict> {
        let inputs = inputs::make(base.session.inputs(), &self.source, &self.normalization)?;
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
        let mut verdict = Verdict {
            runtime: runtime.name(),
            source: self.source.describe(),
            instead,
            outputs: Vec::new(),
            tolerance,
            latency: None,
        };
        let expected = base.session.run(&inputs)?;
        let got = other.session.run(&inputs)?;
        match compare::outputs(&expected, &got, |_, t| label_axis(t)) {
            Ok(outputs) => verdict.outputs = outputs,
            Err(error @ ailurus_runtime::Error::Incomparable { .. }) => {
                return Err(failed(error.to_string(), verdict));
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(reason) = verdict.fault() {
            return Err(failed(reason, verdict));
        }
        if let Some(rounds) = self.rounds {
            let times = latency::sessions(rounds, &*base.session, &*other.session, &inputs)?;
            verdict.latency = Some(times);
        }
        Ok(verdict)
    }
}

impl Verdict {
    /// True when nothing is wrong.
    pub fn holds(&self) -> bool {
        self.fault().is_none()
    }

    /// What is wrong, if anything is.
    fn fault(&self) -> Option<String> {
        let tolerance = Tolerance { relative_l2: self.tolerance.unwrap_or(f64::INFINITY), max_abs: f64::INFINITY };
        let bad = self.outputs.iter().find(|d| !d.is_within(tolerance))?;
        Some(if bad.nan_mismatches > 0 {
            format!(
                "the output `{}` has {} values that are NaN in only one of the models",
                bad.name, bad.nan_mismatches
            )
        } else {
            format!(
                "the output `{}` differs by {:.2e} (relative L2), more than {:.0e}",
                bad.name, bad.relative_l2, tolerance.relative_l2
            )
        })
    }
}

fn failed(reason: String, verdict: Verdict) -> Error {
    Error::Verification { reason, verdict: Box::new(verdict) }
}

/// True when every patch stays a cluster of its own.
fn keeps_everything(plan: &Plan) -> bool {
    let t = &plan.tokens;
    match t.keep {
        Keep::Ratio { num, den } => num == den,
        Keep::Tokens(_) => t.patches.is_some() && t.patches == t.clusters,
    }
}

/// What rounding alone may do: runtimes fuse the two graphs differently.
fn float_tolerance(plan: &Plan) -> f64 {
    if DataType::from_onnx(plan.cut.dtype) == DataType::F16 { 3e-2 } else { 1e-3 }
}

/// Maps of class scores have their classes on axis 1.
fn label_axis(tensor: &Tensor) -> Option<usize> {
    match tensor.dims() {
        [_, classes, h, w] if *classes > 1 && h * w > 1 => Some(1),
        _ => None,
    }
}
