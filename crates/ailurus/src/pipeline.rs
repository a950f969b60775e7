//! The way from file to file: load, analyze, plan, rewrite, verify, emit.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ailurus_analyze::{Analysis, Code, Refusal};
use ailurus_onnx::{ExternalData, Model, WriteOptions, WriteReport};
use ailurus_rewrite::{Emit, Plan};

use crate::{Options, Result, Summary};

/// Reads a model file; its weights stay in the file. Fused skip connections are taken apart, since they hide the residual
/// stream; runtimes fuse them again.
///
/// # Errors
/// When it cannot be read or is no ONNX model.
pub fn load(path: impl AsRef<Path>) -> Result<Model> {
    Ok(ailurus_rewrite::prepare(Model::load(path)?)?)
}

/// Finds out what the graph means.
///
/// # Errors
/// A refusal when it holds no vision transformer that can be handled.
pub fn analyze(model: &Model) -> Result<Analysis<'_>> {
    Ok(Analysis::of(model)?)
}

/// Works out every change to the model.
///
/// # Errors
/// A refusal when the layer is out of range or something behind the cut cannot run on clusters.
pub fn plan(analysis: &Analysis, options: &ailurus_rewrite::Options) -> Result<Plan> {
    Ok(ailurus_rewrite::plan(analysis, options)?)
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
    let options = WriteOptions { external_data, overwrite_source: overwrite_input, ..WriteOptions::default() };
    Ok(model.write(path, &options)?)
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

    /// Carries out this plan instead of making one.
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
        if !self.dry_run {
            self.preflight(input, output)?;
        }
        let plan = self.plan_for(&model)?;
        self.begin(Stage::Rewrite);
        let rewritten = rewrite(&model, &plan, self.options.emit)?;
        let mut summary = Summary::of(input.to_owned(), &plan, self.options.emit);
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
        if !self.dry_run {
            self.begin(Stage::Emit);
            let report = emit(&rewritten, output, self.options.external_data, self.options.overwrite_input)?;
            summary.output = Some(report.into());
        }
        summary.seconds = start.elapsed().saturating_sub(paused).as_secs_f64();
        Ok(summary)
    }

    fn plan_for(&self, model: &Model) -> Result<Plan> {
        if let Some(plan) = &self.plan {
            return Ok(plan.clone());
        }
        self.begin(Stage::Analyze);
        let analysis = analyze(model)?;
        self.begin(Stage::Plan);
        plan(&analysis, &self.options.rewrite)
    }

    /// Refuses early what writing would refuse after all the work.
    fn preflight(&self, input: &Path, output: &Path) -> Result<()> {
        let same = matches!((input.canonicalize(), output.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if same && !self.options.overwrite_input {
            return Err(ailurus_onnx::Error::SameFile { path: output.to_owned(), replaceable: true }.into());
        }
        let source = match std::fs::metadata(parent(output)) {
            Ok(meta) if meta.is_dir() => return Ok(()),
            Ok(_) => std::io::Error::other("its folder is a file"),
            Err(error) => error,
        };
        Err(ailurus_onnx::Error::Write { action: "create", path: output.to_owned(), source }.into())
    }

    fn begin(&self, stage: Stage) {
        tracing::debug!(?stage, "begin");
        if let Some(observer) = self.observer {
            observer(stage);
        }
    }
}

/// The folder a file lies in.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
