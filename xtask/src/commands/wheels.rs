//! `cargo xtask wheels`: the pinned Python packages, once.

use anyhow::Result;

use crate::python;

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
    if !args.quiet {
        println!("export AILURUS_PYTHON={}", interpreter.display());
        println!("export ORT_DYLIB_PATH={}", library.display());
    }
    Ok(())
}
