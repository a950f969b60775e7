//! What TensorRT for RTX makes of a model: the report of `tensorrt_rtx.py`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace;

/// The devices for which engines are built: Ampere, Ada and Blackwell.
pub(super) const ARCHITECTURES: [&str; 3] = ["SM80", "SM89", "SM120"];

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Report {
    /// It was parsed.
    pub parsed: bool,
    /// What the parser objects to.
    #[serde(default)]
    pub errors: Vec<String>,
    /// Errors in the log.
    #[serde(default)]
    pub messages: Vec<String>,
    /// AiluRus operators in the file, by name.
    #[serde(default)]
    pub operators: BTreeMap<String, usize>,
    /// Layers of the network.
    #[serde(default)]
    pub layers: usize,
    /// Layers that are plugins.
    #[serde(default)]
    pub plugins: Vec<String>,
    /// Sizes of the inputs; those that are open are -1.
    #[serde(default)]
    pub inputs: BTreeMap<String, Vec<i64>>,
    /// Engines, by architecture.
    #[serde(default)]
    pub engines: BTreeMap<String, Engine>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Engine {
    /// Its size; none if it could not be built.
    pub bytes: Option<u64>,
}

impl Report {
    /// Engines for every architecture.
    pub fn builds(&self) -> bool {
        ARCHITECTURES.iter().all(|a| self.engines.get(*a).is_some_and(|e| e.bytes.is_some()))
    }

    /// Every operator became a plugin, and nothing else did.
    pub fn uses_plugins(&self) -> bool {
        let operators: usize = self.operators.values().sum();
        operators > 0 && operators == self.plugins.len()
    }

    /// Why it was not parsed or built, in a line that is not too long.
    pub fn objection(&self) -> String {
        const LONGEST: usize = 110;
        let first = self.errors.first().or(self.messages.first()).map_or("no reason given", String::as_str);
        let line = first.lines().next().unwrap_or_default().trim();
        match line.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{} ...", line[..at].trim_end()),
            None => line.to_owned(),
        }
    }
}

/// Has a model parsed, and engines built.
pub(super) fn examine(python: &Path, rtx: &Path, model: &Path, plugins: Option<&Path>) -> Result<Report> {
    let mut command = Command::new(python);
    command.arg(workspace::script("tensorrt_rtx.py")).arg(rtx).arg(model).args(ARCHITECTURES);
    if let Some(plugins) = plugins {
        command.arg("--plugins").arg(plugins);
    }
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        // TensorRT itself may end the process.
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Ok(Report { errors: vec![format!("{}: {last}", output.status)], ..Report::default() });
    }
    let text = String::from_utf8(output.stdout).context("the report is no text")?;
    let line = text.lines().last().context("there is no report")?;
    serde_json::from_str(line).with_context(|| format!("no report: {line}"))
}
