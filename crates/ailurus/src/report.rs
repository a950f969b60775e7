//! A model without weights as a file, to be attached to an issue.

use std::path::{Path, PathBuf};

use ailurus_onnx::{Model, WriteOptions};
use ailurus_rewrite::report::{self, Report};
use serde::Serialize;

use crate::{Error, Result};

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct ReportSummary {
    /// The model read.
    pub input: PathBuf,
    /// The report.
    pub output: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What it says.
    pub report: Report,
}

/// Writes what describes a model and not what it learned: its graph without weights, and what the analysis says about it,
/// also where it refuses the model. With options, what a cut there gives is in the report as well.
///
/// The file appears complete or not at all, and never in the place of the model or of its data.
///
/// # Errors
/// When the model cannot be read or the report cannot be written.
pub fn report_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    trunk: Option<&str>,
    options: Option<&ailurus_rewrite::Options>,
) -> Result<ReportSummary> {
    let (input, output) = (input.as_ref(), output.as_ref());
    let in_input = |error: Error| error.in_file(input);
    let model = Model::load(input).map_err(|e| in_input(e.into()))?;
    if model.is_read_from(output) {
        return Err(ailurus_onnx::Error::SameFile { path: output.to_owned(), replaceable: false }.into());
    }
    let written = WriteOptions::default();
    model.check_output(output, &written)?;
    let said = report::report(&model, trunk, options);
    let stripped = report::strip(&model, &said).map_err(|e| in_input(e.into()))?;
    let bytes = stripped.write(output, &written)?.bytes;
    Ok(ReportSummary { input: input.to_owned(), output: output.to_owned(), bytes, report: said })
}
