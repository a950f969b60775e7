//! `cargo xtask wheels`: the pinned Python packages and older releases of ONNX Runtime, once.

use anyhow::Result;

use crate::{python, releases};

/// Options of `wheels`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build the environment anew even when it is current
    #[arg(long)]
    force: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let interpreter = python::ensure_ready(args.force)?;
    let library = python::onnxruntime_library(&interpreter)?;
    let releases = releases::ensure_ready(&interpreter, args.force)?;
    if !args.quiet {
        println!("export AILURUS_PYTHON={}", interpreter.display());
        println!("export ORT_DYLIB_PATH={}", library.display());
        println!("export AILURUS_ORT_VERSIONS={}", releases.folder.display());
        for version in releases.left_out {
            println!("# ONNX Runtime {version} is left out: it has no wheels for this Python");
        }
    }
    Ok(())
}
