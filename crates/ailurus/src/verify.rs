//! Original and rewritten model side by side: interface, differences and time.

mod aggregate;

use std::path::{Path, PathBuf};

use ailurus_onnx::{DataType, Model};
use ailurus_rewrite::options::Keep;
use ailurus_rewrite::plan::ClusterPlan;
use ailurus_rewrite::{Emit, Plan};
use ailurus_runtime::compare::{self, Difference, Tolerance};
use ailurus_runtime::latency::{self, Latency, Rounds};
use ailurus_runtime::{SessionOptions, Tensor, ValueInfo};
use serde::Serialize;

use self::aggregate::Gathered;
pub use self::aggregate::{Aggregate, Means};
pub use crate::engine::Engine;
use crate::engine::{self, Loaded};
use crate::inputs::{self, Normalization, Slot, Source};
use crate::interface::{self, Mismatch};
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
    /// How both models are prepared: threads, libraries of operators ([`crate::plugin::find`]).
    pub session: SessionOptions,
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
            session: SessionOptions::default(),
            tolerance: None,
            rounds: Some(Rounds::default()),
        }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The runtime, with its version; empty where the interfaces differ, since nothing is run then.
    pub runtime: String,
    /// Libraries of operators that were registered.
    pub plugins: Vec<PathBuf>,
    /// What went in, in words.
    pub source: String,
    /// The form in which the operators were run, where it is not the one that is written.
    pub instead: Option<Emit>,
    /// What the models declare differently.
    pub interface: Vec<Mismatch>,
    /// Differences by output; of several pictures those of the worst, which may be another for each output.
    pub outputs: Vec<Difference>,
    /// The same over several pictures, by output; empty for one.
    pub pictures: Vec<Aggregate>,
    /// The relative L2 difference that was allowed, where one was.
    pub tolerance: Option<f64>,
    /// Time of both; of several pictures on the first.
    pub latency: Option<Latency>,
    /// Things worth knowing.
    pub notes: Vec<String>,
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
        let (runtime, options) = (self.engine.runtime_for(&self.session)?, &self.session);
        let base = match original.source_path() {
            Some(path) => engine::load_file(&*runtime, path, options)?,
            None => engine::load(&*runtime, original, folder, options)?,
        };
        let emitted = match emit {
            // Bare nodes need a runtime with our library.
            Emit::Custom if options.custom_op_libraries.is_empty() => Emit::Function,
            emit => emit,
        };
        let other = if emitted == emit {
            engine::load(&*runtime, rewritten, folder, options)?
        } else {
            engine::load(&*runtime, &pipeline::rewrite(original, plan, emitted)?, folder, options)?
        };
        let exact = self.tolerance.or_else(|| keeps_everything(plan).then(|| float_tolerance(plan)));
        let mut verdict = self.verdict(runtime.name(), exact);
        verdict.instead = (emitted != emit).then_some(emitted);
        self.compare(&base, &other, verdict, &|_, _| {})
    }

    /// Compares two files. Where their interfaces differ, nothing is run.
    ///
    /// # Errors
    /// As [`Check::run`].
    pub fn files(&self, original: &Path, other: &Path) -> Result<Verdict> {
        self.files_observed(original, other, &|_, _| {})
    }

    /// As [`Check::files`]; `begin` is told the number of each source, from 1 on, and how many there are.
    ///
    /// # Errors
    /// As [`Check::run`].
    pub fn files_observed(&self, original: &Path, other: &Path, begin: &dyn Fn(usize, usize)) -> Result<Verdict> {
        let (base, model) = (engine::read(original)?, engine::read(other)?);
        let mismatches = interface::mismatches(&base, &model);
        if !mismatches.is_empty() {
            let reason = Error::Interface { mismatches: mismatches.clone() }.to_string();
            let mut verdict = self.verdict(String::new(), self.tolerance);
            verdict.interface = mismatches;
            return Err(failed(reason, verdict));
        }
        let (runtime, options) = (self.engine.runtime_for(&self.session)?, &self.session);
        let mut verdict = self.verdict(runtime.name(), self.tolerance);
        verdict.notes.extend(swapped(&base, &model));
        let base = engine::open(&*runtime, &base, original, options)?;
        let other = engine::open(&*runtime, &model, other, options)?;
        self.compare(&base, &other, verdict, begin)
    }

    /// A verdict with nothing measured yet.
    fn verdict(&self, runtime: String, tolerance: Option<f64>) -> Verdict {
        Verdict {
            runtime,
            plugins: self.session.custom_op_libraries.clone(),
            source: self.source.describe(),
            instead: None,
            interface: Vec::new(),
            outputs: Vec::new(),
            pictures: Vec::new(),
            tolerance,
            latency: None,
            notes: Vec::new(),
        }
    }

    fn compare(
        &self,
        base: &Loaded,
        other: &Loaded,
        mut verdict: Verdict,
        begin: &dyn Fn(usize, usize),
    ) -> Result<Verdict> {
        let declared = base.session.inputs();
        let classes = ClassAxis::of(declared);
        let mut gathered = Gathered::default();
        let mut first = None;
        let sources = self.source.each()?;
        for (at, source) in sources.iter().enumerate() {
            begin(at + 1, sources.len());
            let (inputs, notes) = inputs::make_noted(declared, source, &self.normalization)?;
            verdict.notes.extend(notes);
            let given = borrowed(&inputs);
            let (expected, got) = (base.session.run(&given)?, other.session.run(&given)?);
            match compare::outputs(&expected, &got, |_, t| classes.axis(t.dims())) {
                Ok(outputs) => gathered.add(source, outputs),
                Err(error @ ailurus_runtime::Error::Incomparable { .. }) => {
                    let place = if sources.len() > 1 { format!(" on {}", source.describe()) } else { String::new() };
                    return Err(failed(format!("{error}{place}"), verdict));
                }
                Err(error) => return Err(error.into()),
            }
            first.get_or_insert(inputs);
        }
        (verdict.outputs, verdict.pictures) = gathered.finish(matches!(self.source, Source::Images(_)));
        if let Some(reason) = verdict.fault() {
            return Err(failed(reason, verdict));
        }
        if let (Some(rounds), Some(inputs)) = (self.rounds, first) {
            let times = latency::sessions(rounds, &*base.session, &*other.session, &borrowed(&inputs))?;
            verdict.latency = Some(times);
        }
        Ok(verdict)
    }
}

/// Inputs as runs take them.
pub(crate) fn borrowed(inputs: &inputs::Inputs) -> Vec<(&str, &Tensor)> {
    inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

/// A word about two models in the wrong order.
pub(crate) fn swapped(original: &Model, other: &Model) -> Option<String> {
    let rewritten = |m: &Model| m.header.metadata.contains_key("ailurus.plan");
    (rewritten(original) && !rewritten(other))
        .then(|| "the first model was rewritten by ailurus and the second was not: the original goes first".into())
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
        let place = self.pictures.iter().find(|p| p.name == bad.name);
        let place = place.map_or_else(String::new, |p| format!(" on {}", p.worst));
        Some(if bad.nan_mismatches > 0 {
            format!(
                "the output `{}` has {} values that are NaN in only one of the models{place}",
                bad.name, bad.nan_mismatches
            )
        } else {
            format!(
                "the output `{}` differs by {:.2e} (relative L2){place}, more than {:.0e}",
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
    if let ClusterPlan::Expedit { expedit } = &plan.cluster
        && (expedit.parity || expedit.temperature == 0.0)
    {
        // Weights are shared with other clusters even where each patch is one.
        return false;
    }
    match t.keep {
        Keep::Ratio { num, den } => num == den,
        Keep::Tokens(_) => t.patches.is_some() && t.patches == t.clusters,
    }
}

/// What rounding alone may do: runtimes fuse the two graphs differently.
fn float_tolerance(plan: &Plan) -> f64 {
    if DataType::from_onnx(plan.cut.dtype) == DataType::F16 { 3e-2 } else { 1e-3 }
}

/// Which axis of an output holds the scores of classes. Files do not say so; how outputs are laid out does:
/// `[batch, classes]`, and `[batch, classes, height, width]` or, in a model whose picture input has its colours last,
/// `[batch, height, width, classes]`. Other shapes may mean anything and have none.
#[derive(Clone, Copy)]
struct ClassAxis {
    channels_last: bool,
}

impl ClassAxis {
    fn of(inputs: &[ValueInfo]) -> Self {
        ClassAxis { channels_last: inputs.iter().find_map(Slot::of).is_some_and(|slot| slot.is_channels_last()) }
    }

    fn axis(self, dims: &[usize]) -> Option<usize> {
        match *dims {
            [_, classes] if classes > 1 => Some(1),
            [_, h, w, classes] if self.channels_last => (classes > 1 && h * w > 1).then_some(3),
            [_, classes, h, w] => (classes > 1 && h * w > 1).then_some(1),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let axis = |channels_last, dims: &[usize]| ClassAxis { channels_last }.axis(dims);
        assert_eq!(axis(false, &[1, 6, 96, 96]), Some(1));
        assert_eq!(axis(true, &[1, 96, 96, 6]), Some(3));
        assert_eq!(axis(false, &[8, 1000]), Some(1));
        // Depth, tokens, boxes, vectors: no classes, or nobody knows.
        for dims in [&[1, 1, 96, 96][..], &[1, 96, 96], &[1, 145, 48], &[4, 1], &[7], &[], &[1, 6, 1, 1]] {
            assert_eq!(axis(false, dims), None, "{dims:?}");
        }
        assert_eq!(axis(true, &[1, 96, 96, 1]), None);
    }
}
