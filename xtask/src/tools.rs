//! The command line tools and the libraries of the workspace, built in release.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{python, workspace};

/// The programs `ailurus-rewrite` and `ailurus`, and the library for ONNX Runtime where it was built.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) folder: PathBuf,
}

impl Tools {
    /// The tools in a folder, or else built.
    pub(crate) fn find(folder: Option<&Path>) -> Result<Self> {
        folder.map_or_else(Self::build, |folder| Ok(Self { folder: folder.to_owned() }))
    }

    fn build() -> Result<Self> {
        build(&["--package", "ailurus", "--bins"])?;
        Ok(Self { folder: target()? })
    }

    /// A call of one of the programs.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join(name).with_extension(std::env::consts::EXE_EXTENSION))
    }

    /// Rewrites a model with these flags and returns the summary.
    pub(crate) fn rewrite(&self, model: &Path, out: &Path, flags: &[impl AsRef<OsStr>]) -> Result<Value> {
        eprintln!("rewriting {}", out.display());
        let mut command = self.command("ailurus-rewrite");
        command.arg(model).arg(out).args(flags).args(["--json", "--force"]);
        let text = python::output(&mut command)?;
        ensure!(out.is_file(), "{} was not written", out.display());
        serde_json::from_str(&text).context("--json printed no JSON")
    }
}

/// The library for ONNX Runtime, built.
pub(crate) fn kernel_library() -> Result<PathBuf> {
    library("ailurus-ort")
}

/// The library of a package, built.
pub(crate) fn library(package: &str) -> Result<PathBuf> {
    build(&["--package", package])?;
    let stem = package.replace('-', "_");
    let name = format!("{}{stem}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = target()?.join(name);
    ensure!(path.is_file(), "cargo did not write {}", path.display());
    Ok(path)
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

fn build(what: &[&str]) -> Result<()> {
    python::run(cargo().args(["build", "--release"]).args(what))
}

/// The folder of what is built in release, which is cargo's to know.
fn target() -> Result<PathBuf> {
    let text = python::output(cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(Path::new(target).join("release"))
}
