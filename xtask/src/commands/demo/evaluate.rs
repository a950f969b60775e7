//! The evaluation: a Python script in the pinned environment, its results as data.

use std::collections::BTreeMap;
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
        let mut command = Command::new(self.interpreter);
        command.arg(workspace::script("quality.py")).args(["--task", self.task.name()]);
        command.arg("--base").arg(self.base).arg("--images").arg(self.images);
        for (flag, n) in [("--limit", limit), ("--runs", runs), ("--threads", threads)] {
            command.arg(flag).arg(n.to_string());
        }
        for r in &rewritten {
            command.arg("--model").arg(&r.path);
        }
        let text = python::output(&mut command)?;
        let measured: Measured = serde_json::from_str(&text).context("the evaluation printed no JSON")?;
        ensure!(measured.models.len() == rewritten.len(), "the evaluation lost a model");
        Ok(Evaluation { task: self.task, measured, rewritten })
    }
}
