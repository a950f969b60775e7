//! `cargo xtask models`: the pretrained models of the demo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{python, workspace};

/// Options of `models`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder to write to [default: `models` in the cache folder]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Data folder with `camvid/head.npz`; without it the CamVid model is not built
    #[arg(long)]
    data: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let out = fetch(args.out.as_deref(), args.data.as_deref())?;
    println!("{}", out.display());
    Ok(())
}

/// Fetches what is missing and returns the folder.
pub(crate) fn fetch(out: Option<&Path>, data: Option<&Path>) -> Result<PathBuf> {
    let out = out.map_or_else(|| workspace::cache().join("models"), Path::to_path_buf);
    let interpreter = python::ensure_ready(false)?;
    let mut command = Command::new(interpreter);
    command.arg(workspace::script("real_models.py")).arg(&out);
    // The environment has no pip of its own: the script downloads with the host's.
    command.arg("--pip").arg(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()));
    if let Some(data) = data {
        let head = data.join("camvid/head.npz");
        ensure!(head.is_file(), "{} is missing", head.display());
        command.arg("--head").arg(head);
    }
    python::run(&mut command)?;
    Ok(out)
}
