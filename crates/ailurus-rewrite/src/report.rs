//! A model as a report: its graph without weights, and what the analysis says about it.
//!
//! A report can be attached to an issue where the model itself is too large or not to be shown. It is a model file: the
//! analysis, the planner and the rewriter take it as they take the original, and give the same plan and the same graph.

use crate::{Error, Options, plan, prepare};
use ailurus_analyze::{Analysis, Refusal, abs::MAX_TRACKED};
use ailurus_onnx::{GraphEdit, Model, Strip};
use serde::Serialize;

/// Metadata property that holds the report as JSON, and by which a report is recognised.
pub const KEY: &str = "ailurus.report";

/// Floats up to this number stay: scales of `Resize`, and constants that shapes are computed with.
const FLOATS: usize = 8;

/// What a report says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this library.
    pub version: &'static str,
    /// What the analysis found, or why it refused.
    pub analysis: Outcome<ailurus_analyze::Report>,
    /// The layer asked for, as it was typed.
    pub layer: Option<String>,
    /// What a cut there would give, or why it is refused; nothing when none was asked for or the analysis refused.
    pub plan: Option<Outcome<PlanReport>>,
}

/// A plan in short: all of it can be made again from the report.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// Blocks that run on all tokens.
    pub layer: usize,
    /// Value of the stream that is merged.
    pub cut: String,
    /// What the operation count promises.
    pub promise: f64,
}

/// How a step went.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It gave this.
    Found(T),
    /// The model cannot be handled.
    Refused(Refusal),
    /// Something else went wrong.
    Failed {
        /// stable code
        code: String,
        /// what was wrong
        message: String,
    },
}

impl<T> Outcome<T> {
    fn of(result: Result<T, Error>) -> Self {
        match result {
            Ok(found) => Self::Found(found),
            Err(Error::Refused(refusal)) => Self::Refused(*refusal),
            Err(error) => Self::Failed { code: error.code(), message: error.to_string() },
        }
    }
}

/// What can be said about a model, and about a cut if one is asked for.
///
/// `trunk` names the encoder to take where there are several.
pub fn report(model: &Model, trunk: Option<&str>, options: Option<&Options>) -> Report {
    let mut out = Report {
        version: env!("CARGO_PKG_VERSION"),
        analysis: Outcome::Failed { code: String::new(), message: String::new() },
        layer: options.map(|o| o.layer.to_string()),
        plan: None,
    };
    let prepared = prepare(model.clone());
    let analysis = match &prepared {
        Ok(model) => Analysis::of_trunk(model, trunk).map_err(Error::from),
        Err(error) => {
            out.analysis = Outcome::Failed { code: error.code(), message: error.to_string() };
            return out;
        }
    };
    out.plan = analysis.as_ref().ok().zip(options).map(|(analysis, options)| {
        let made = plan(analysis, options);
        Outcome::of(made.map(|p| PlanReport { layer: p.layer, cut: p.cut.value.clone(), promise: p.promise() }))
    });
    out.analysis = Outcome::of(analysis.map(|a| a.report()));
    out
}

/// The model without weights and with a report in its metadata. Give it the model as it was loaded, not a prepared one.
///
/// Small constants stay: integers and booleans of up to as many elements as the analysis follows, floats of up to eight.
/// So do names of nodes, tensors and modules. Documentation, stack traces and all other metadata do not.
///
/// # Errors
/// When the model cannot be encoded.
pub fn strip(model: &Model, report: &Report) -> Result<Model, Error> {
    let strip = Strip {
        integers: MAX_TRACKED,
        floats: FLOATS,
        // the analysis recognises by it what was rewritten before
        metadata: vec!["ailurus.plan".to_owned(), "ailurus.version".to_owned()],
        node_metadata: vec![crate::layer::SCOPES.to_owned()],
    };
    let mut edit = GraphEdit::new(model.without_weights(&strip)?);
    let json = serde_json::to_string(report).map_err(|e| Error::Plan(e.to_string()))?;
    edit.set_metadata(KEY, &json);
    Ok(edit.finish()?)
}

/// True for a model that carries no weights: it can be analysed and rewritten, but not run.
pub fn is_report(model: &Model) -> bool {
    model.header.metadata.contains_key(KEY) || model.missing_payload().is_some()
}
