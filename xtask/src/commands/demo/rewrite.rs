//! The command line tools of the workspace, built and called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::task::Setting;
use crate::{python, workspace};

/// The programs `ailurus-rewrite` and `ailurus`.
pub(crate) struct Tools {
    pub(crate) folder: PathBuf,
}

/// A rewritten model.
pub(crate) struct Rewritten {
    pub(crate) setting: Setting,
    pub(crate) path: PathBuf,
    /// Tokens that run through the rest of the encoder, and before.
    pub(crate) tokens: Option<(u64, u64)>,
    /// Operations after and before.
    pub(crate) flops: (f64, f64),
}

impl Tools {
    /// Builds them in release.
    pub(crate) fn build() -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command.current_dir(workspace::root());
        python::run(command.args(["build", "--release", "--package", "ailurus", "--bins"]))?;
        // The target folder is cargo's to know.
        let mut command = Command::new(cargo);
        command.current_dir(workspace::root());
        let text = python::output(command.args(["metadata", "--format-version=1", "--no-deps"]))?;
        let metadata: Value = serde_json::from_str(&text)?;
        let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
        Ok(Tools { folder: Path::new(target).join("release") })
    }

    fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join(name).with_extension(std::env::consts::EXE_EXTENSION))
    }

    /// Rewrites a model into a folder.
    pub(crate) fn rewrite(&self, base: &Path, folder: &Path, setting: Setting) -> Result<Rewritten> {
        let stem = base.file_stem().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("{stem}-{}.onnx", setting.slug()));
        eprintln!("rewriting {}", path.display());
        let mut command = self.command("ailurus-rewrite");
        command.arg(base).arg(&path).args(["--layer", &setting.layer.to_string()]);
        command.args(["--keep", &setting.keep.to_string(), "--json", "--force"]);
        let text = python::output(&mut command)?;
        let summary: Value = serde_json::from_str(&text).context("--json printed no JSON")?;
        ensure!(path.is_file(), "{} was not written", path.display());
        let number = |pointer: &str| {
            summary
                .pointer(pointer)
                .and_then(Value::as_f64)
                .with_context(|| format!("the summary of {} has no number {pointer}", path.display()))
        };
        let flops = (number("/flops/after")?, number("/flops/before")?);
        let count = |pointer: &str| summary.pointer(pointer).and_then(Value::as_u64);
        let tokens = count("/tokens/after").zip(count("/tokens/before"));
        Ok(Rewritten { setting, path, tokens, flops })
    }

    /// Draws the clusters of a setting on an image.
    pub(crate) fn view(&self, base: &Path, image: &Path, setting: Setting, out: &Path) -> Result<()> {
        let mut command = self.command("ailurus");
        command.arg("view").arg(base).arg(image).arg(out);
        command.args(["--layer", &setting.layer.to_string()]);
        command.args(["--keep", &setting.keep.to_string()]);
        // Its summary is not of interest here.
        python::output(&mut command).map(drop)
    }
}
