//! `cargo xtask tensorrt`: NVIDIA's packages for the tests of the TensorRT plugins, and the survey of models.

mod fetch;
mod model;
mod report;
mod survey;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use fetch::fetch;

/// Options of `tensorrt`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rewrite every model, have TensorRT for RTX parse and build it before and after, and write the table in
    /// docs/tensorrt.md
    #[arg(long)]
    survey: bool,
    /// Survey pretrained models instead, in 32 and in 16 bits, with open and with fixed batch: the second table
    #[arg(long, requires = "survey")]
    pretrained: bool,
    /// Folders with models for the survey [default: fixtures, and AILURUS_ZOO if set; pretrained ones are fetched]
    #[arg(long, value_name = "DIR")]
    models: Vec<PathBuf>,
    /// Folder with `ailurus-rewrite`, which is built if this is not given
    #[arg(long, value_name = "DIR")]
    tools: Option<PathBuf>,
    /// The library of plugins, which is built if this is not given
    #[arg(long, value_name = "FILE")]
    plugins: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let fetched = fetch()?;
    if !args.quiet {
        println!("export AILURUS_TENSORRT={}", fetched.folder.display());
        println!("export TENSORRT_INCLUDE={}", fetched.include.display());
    }
    if args.survey {
        survey::run(args, &fetched)?;
    }
    Ok(())
}
