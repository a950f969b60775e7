//! The evaluation: a Python script in the pinned environment, its results as data.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::rewrite::Rewritten;
use super::task::Task;
use crate::{python, workspace};

/// What to evaluate.
pub(crate) struct Job<'a> {
    pub(crate) interpreter: &'a Path,
    pub(crate) task: Task,
    pub(crate) base: &'a Path,
    pub(crate) images: &'a Path,
}

/// The results of a task.
pub(crate) struct Evaluation {
    pub(crate) task: Task,
    pub(crate) measured: Measured,
    /// In the order of `measured.models`.
    pub(crate) rewritten: Vec<Rewritten>,
}

impl Evaluation {
    /// A measure of the original.
    pub(crate) fn base(&self, key: &str) -> f64 {
        self.measured.base.get(key).copied().unwrap_or(f64::NAN)
    }
}

/// What the script prints.
#[derive(Deserialize)]
pub(crate) struct Measured {
    pub(crate) images: usize,
    pub(crate) onnxruntime: String,
    pub(crate) base: BTreeMap<String, f64>,
    pub(crate) models: Vec<Scores>,
}

/// The scores of one rewritten model.
#[derive(Deserialize)]
pub(crate) struct Scores {
    pub(crate) cosine: f64,
    pub(crate) label_agreement: Option<f64>,
    pub(crate) latency_ms: Latency,
    pub(crate) speedup: f64,
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

impl Scores {
    /// A measure of the task.
    pub(crate) fn measure(&self, key: &str) -> f64 {
        self.rest.get(key).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
    }
}

/// Median latencies.
#[derive(Deserialize)]
pub(crate) struct Latency {
    pub(crate) base: f64,
    pub(crate) model: f64,
}

impl Job<'_> {
    pub(crate) fn run(
        &self,
        rewritten: Vec<Rewritten>,
        limit: usize,
        runs: usize,
        threads: usize,
    ) -> Result<Evaluation> {
        let flags = [("--limit", limit), ("--runs", runs), ("--threads", threads)];
        self.evaluate(rewritten, flags.iter().flat_map(|(flag, n)| [(*flag).into(), n.to_string().into()]))
    }

    /// Without a measurement of speed, perhaps with a library of operators.
    pub(crate) fn with_plugin(
        &self,
        rewritten: Vec<Rewritten>,
        limit: usize,
        plugin: Option<&Path>,
    ) -> Result<Evaluation> {
        let plugin = plugin.into_iter().flat_map(|path| [OsString::from("--plugin"), path.into()]);
        self.evaluate(
            rewritten,
            ["--limit".into(), limit.to_string().into(), "--runs".into(), "1".into()].into_iter().chain(plugin),
        )
    }

    fn evaluate(&self, rewritten: Vec<Rewritten>, flags: impl Iterator<Item = OsString>) -> Result<Evaluation> {
        let mut command = Command::new(self.interpreter);
        command.arg(workspace::script("quality.py")).args(["--task", self.task.name()]);
        command.arg("--base").arg(self.base).arg("--images").arg(self.images);
        command.args(flags);
        for r in &rewritten {
            command.arg("--model").arg(&r.path);
        }
        let text = python::output(&mut command)?;
        let measured: Measured = serde_json::from_str(&text).context("the evaluation printed no JSON")?;
        ensure!(measured.models.len() == rewritten.len(), "the evaluation lost a model");
        Ok(Evaluation { task: self.task, measured, rewritten })
    }
}
