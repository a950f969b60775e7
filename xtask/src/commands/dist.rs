//! `cargo xtask dist`: the library for ONNX Runtime as a package to unpack and use.

use std::path::PathBuf;

use anyhow::Result;

use crate::dist;

/// Options of `dist`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pack the programs `ailurus` and `ailurus-rewrite`, too; the package is then named `ailurus`
    #[arg(long)]
    with_cli: bool,
    /// Folder to write to [default: `dist` in cargo's target folder]
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let package = dist::make(args.with_cli, args.out.as_deref())?;
    println!("{}", package.display());
    Ok(())
}
