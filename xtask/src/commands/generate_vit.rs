//! `cargo xtask generate-vit`: a random Vision Transformer of any size.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::generate::{self, Head, Vit};

/// Options of `generate-vit`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Model file to write
    output: PathBuf,
    /// Number of blocks
    #[arg(long, default_value_t = 12)]
    depth: usize,
    /// Channels of the stream
    #[arg(long, default_value_t = 384)]
    width: usize,
    /// Attention heads
    #[arg(long, default_value_t = 6)]
    heads: usize,
    /// Rows and columns of patches
    #[arg(long, default_value = "14x14", value_parser = grid)]
    grid: (usize, usize),
    /// Pixels per patch side
    #[arg(long, default_value_t = 16)]
    patch: usize,
    /// Channels inside the MLP (default: four times the width)
    #[arg(long)]
    mlp: Option<usize>,
    /// Tokens before the patches
    #[arg(long, default_value_t = 1)]
    prefix: usize,
    /// Channels of the output map
    #[arg(long, default_value_t = 19)]
    classes: usize,
    /// What follows the encoder
    #[arg(long, value_enum, default_value_t = Head::Linear)]
    head: Head,
    /// Put the weights into OUTPUT.data
    #[arg(long)]
    external: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let vit = Vit {
        depth: args.depth,
        width: args.width,
        heads: args.heads,
        grid: args.grid,
        patch: args.patch,
        mlp: args.mlp.unwrap_or(4 * args.width),
        prefix: args.prefix,
        classes: args.classes,
        head: args.head,
    };
    generate::write(&vit, &args.output, args.external)
}

fn grid(text: &str) -> Result<(usize, usize)> {
    let (h, w) = text.split_once('x').context("write it as HxW")?;
    let (h, w) = (h.parse()?, w.parse()?);
    if h == 0 || w == 0 {
        bail!("no side may be zero");
    }
    Ok((h, w))
}
