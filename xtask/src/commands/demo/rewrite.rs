//! Calls of the command line tools.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::task::Setting;
use crate::python;
use crate::tools::Tools;

/// A rewritten model.
pub(crate) struct Rewritten {
    pub(crate) setting: Setting,
    pub(crate) path: PathBuf,
    /// Tokens that run through the rest of the encoder, and before.
    pub(crate) tokens: Option<(u64, u64)>,
    /// Operations after and before.
    pub(crate) flops: (f64, f64),
}

/// Rewrites a model into a folder.
pub(crate) fn rewrite(tools: &Tools, base: &Path, folder: &Path, setting: Setting) -> Result<Rewritten> {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let path = folder.join(format!("{stem}-{}.onnx", setting.slug()));
    let flags = ["--layer", &setting.layer.to_string(), "--keep", &setting.keep.to_string()];
    with_flags(tools, base, path, &flags, setting)
}

/// Rewrites a model with these flags.
pub(crate) fn with_flags(
    tools: &Tools,
    base: &Path,
    path: PathBuf,
    flags: &[impl AsRef<OsStr>],
    setting: Setting,
) -> Result<Rewritten> {
    let summary = tools.rewrite(base, &path, flags)?;
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
pub(crate) fn view(tools: &Tools, base: &Path, image: &Path, setting: Setting, out: &Path) -> Result<()> {
    let mut command = tools.command("ailurus");
    command.arg("view").arg(base).arg(image).arg(out);
    command.args(["--layer", &setting.layer.to_string()]);
    command.args(["--keep", &setting.keep.to_string()]);
    // Its summary is not of interest here.
    python::output(&mut command).map(drop)
}
