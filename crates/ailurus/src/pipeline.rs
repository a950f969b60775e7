//! The way from file to file: load, analyze, plan, rewrite, verify, emit.

use std::path::Path;
#[cfg(feature = "runtime")]
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ailurus_analyze::{Analysis, Code, Refusal};
use ailurus_onnx::{ExternalData, Model, WriteOptions, WriteReport};
use ailurus_rewrite::{Emit, Plan};

use crate::{Error, Options, Result, Summary};

/// Reads a model file; its weights stay in the file. Fused skip connections are taken apart, since they hide the residual
/// stream; runtimes fuse them again.
///
/// # Errors
/// When it cannot be read or is no ONNX model.
pub fn load(path: impl AsRef<Path>) -> Result<Model> {
    let path = path.as_ref();
    let read = Model::load(path).map_err(Error::from).and_then(|model| Ok(ailurus_rewrite::prepare(model)?));
    read.map_err(|error| error.in_file(path))
}

/// Finds out what the graph means. `trunk` names a tensor, a node, an input or a module of the encoder to take, where there
/// are several.
///
/// # Errors
/// A refusal when it holds no vision transformer that can be handled, or several and no name.
pub fn analyze<'m>(model: &'m Model, trunk: Option<&str>) -> Result<Analysis<'m>> {
    Ok(Analysis::of_trunk(model, trunk)?)
}

/// Works out every change to the model.
///
/// # Errors
/// A refusal when the layer is out of range or something behind the cut cannot run on clusters.
pub fn plan(analysis: &Analysis, options: &ailurus_rewrite::Options) -> Result<Plan> {
    Ok(ailurus_rewrite::plan(analysis, options)?)
}

/// Checks a saved plan against a model, and brings up to date what follows from edits of it ([`ailurus_rewrite::replay`]).
///
/// # Errors
/// When it is of another model, or says something that this model does not.
pub fn replay(analysis: &Analysis, saved: &Plan) -> Result<Plan> {
    Ok(ailurus_rewrite::replay(analysis, saved)?)
}

/// Carries a plan out, in memory.
///
/// # Errors
/// When the model was rewritten before, or the plan was made for another model.
pub fn rewrite(model: &Model, plan: &Plan, emit: Emit) -> Result<Model> {
    // The analysis sees to this as well, but a plan that is replayed needs none.
    if model.header.metadata.contains_key("ailurus.plan") {
        return Err(Refusal::new(
            Code::AIL0212,
            "this file was written by ailurus: its tokens are merged already",
            "start from the original model",
        )
        .into());
    }
    Ok(ailurus_rewrite::apply(model, plan, emit)?)
}

/// Writes a model file: complete, or not at all.
///
/// # Errors
/// When it cannot be written; the output path is as it was then.
pub fn emit(
    model: &Model,
    path: impl AsRef<Path>,
    external_data: ExternalData,
    overwrite_input: bool,
) -> Result<WriteReport> {
    Ok(model.write(path, &write_options(external_data, overwrite_input))?)
}

fn write_options(external_data: ExternalData, overwrite_source: bool) -> WriteOptions {
    WriteOptions { external_data, overwrite_source, ..WriteOptions::default() }
}

/// Refuses early what writing would refuse after all the work; external data is looked at later.
fn preflight(model: &Model, output: &Path, options: &WriteOptions) -> Result<()> {
    Ok(model.check_output(output, options)?)
}

/// Rewrites a model file.
///
/// # Errors
/// When any step fails; the output path is as it was then.
pub fn rewrite_file(input: impl AsRef<Path>, output: impl AsRef<Path>, options: &Options) -> Result<Summary> {
    Rewriter::new(options.clone()).run(input, output)
}

/// A step of the way, for progress displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the structure of the file.
    Load,
    /// Finding out what the graph means.
    Analyze,
    /// Working out the changes.
    Plan,
    /// Making the changes.
    Rewrite,
    /// Running original and rewritten model.
    Verify,
    /// Writing the file.
    Emit,
}

/// The whole way as one object, for callers that want more than [`rewrite_file`]: a plan of their
/// own, a dry run, verification, progress.
pub struct Rewriter<'a> {
    options: Options,
    plan: Option<Plan>,
    dry_run: bool,
    observer: Option<&'a dyn Fn(Stage)>,
    #[cfg(feature = "runtime")]
    check: Option<crate::verify::Check>,
}

impl<'a> Rewriter<'a> {
    /// Goes the way with these options.
    pub fn new(options: Options) -> Self {
        Rewriter {
            options,
            plan: None,
            dry_run: false,
            observer: None,
            #[cfg(feature = "runtime")]
            check: None,
        }
    }

    /// Carries out this saved plan instead of making one; see [`replay`].
    #[must_use]
    pub fn replay(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Does everything but write the output.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Runs original and rewritten model before anything is written; when they do not fit
    /// together, nothing is.
    #[cfg(feature = "runtime")]
    #[must_use]
    pub fn check(mut self, check: crate::verify::Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Is told when a step begins.
    #[must_use]
    pub fn observe(mut self, observer: &'a dyn Fn(Stage)) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Goes the way.
    ///
    /// # Errors
    /// When any step fails; the output path is as it was then.
    pub fn run(&self, input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<Summary> {
        let (input, output) = (input.as_ref(), output.as_ref());
        let start = Instant::now();
        self.begin(Stage::Load);
        let model = load(input)?;
        preflight(&model, output, &self.write_options())?;
        #[cfg(feature = "runtime")]
        if self.check.is_some() {
            crate::engine::runnable(&model)?;
        }
        let plan = self.plan_for(&model)?;
        self.begin(Stage::Rewrite);
        let rewritten = rewrite(&model, &plan, self.options.emit).map_err(|error| match error {
            Error::Model(_) => error.in_file(input),
            other => other,
        })?;
        let mut summary = Summary::of(input.to_owned(), &plan, self.options.emit);
        if ailurus_rewrite::report::is_report(&model) {
            summary.notes.push("the model carries no weights (a report), and neither does the output".into());
        }
        #[cfg_attr(not(feature = "runtime"), allow(unused_mut, reason = "nothing can be verified"))]
        let mut paused = Duration::ZERO;
        #[cfg(feature = "runtime")]
        if let Some(check) = &self.check {
            self.begin(Stage::Verify);
            let begun = Instant::now();
            let folder = (!self.dry_run).then(|| parent(output));
            summary.check = Some(check.run(&model, &rewritten, &plan, self.options.emit, folder.as_deref())?);
            paused = begun.elapsed();
        }
        if self.dry_run {
            rewritten.check_write(output, &self.write_options())?;
        } else {
            self.begin(Stage::Emit);
            let report = emit(&rewritten, output, self.options.external_data, self.options.overwrite_input)?;
            summary.output = Some(report.into());
        }
        summary.seconds = start.elapsed().saturating_sub(paused).as_secs_f64();
        Ok(summary)
    }

    fn plan_for(&self, model: &Model) -> Result<Plan> {
        self.begin(Stage::Analyze);
        let trunk = self.plan.as_ref().map_or(&self.options.trunk, |plan| &plan.trunk);
        let analysis = analyze(model, trunk.as_deref())?;
        self.begin(Stage::Plan);
        match &self.plan {
            Some(saved) => replay(&analysis, saved),
            None => plan(&analysis, &self.options.rewrite),
        }
    }

    fn write_options(&self) -> WriteOptions {
        write_options(self.options.external_data, self.options.overwrite_input)
    }

    fn begin(&self, stage: Stage) {
        tracing::debug!(?stage, "begin");
        if let Some(observer) = self.observer {
            observer(stage);
        }
    }
}

/// The folder a file lies in.
#[cfg(feature = "runtime")]
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
