//! `cargo xtask bench-operators`: what merging costs beside a transformer block.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::generate::{self, Head, Vit};
use crate::tools::{self, Tools};
use crate::{python, workspace};

/// Options of `bench-operators`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds in which every way is timed once
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Folder of `ailurus` and `ailurus-rewrite` [default: built in release]
    #[arg(long)]
    tools: Option<PathBuf>,
    /// Python to measure with, for one that has PyTorch [default: the pinned environment]
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Sides of the patch grids: 1024 and 4096 patches.
const SIDES: [usize; 2] = [32, 64];

pub(crate) fn run(args: &Args) -> Result<()> {
    let tools = Tools::find(args.tools.as_deref())?;
    let library = tools::kernel_library()?;
    let interpreter = python::ensure_ready(false)?;
    let interpreter = args.python.as_ref().unwrap_or(&interpreter);
    let folder = workspace::cache().join("bench");
    std::fs::create_dir_all(&folder)?;
    println!(
        "| patches | metric | threads | block, ms | kernels, ms (of the block) | functions, ms | NumPy, ms | PyTorch, ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut memory = Vec::new();
    for side in SIDES {
        let original = folder.join(format!("block-{side}.onnx"));
        let vit = Vit {
            depth: 3,
            width: 1024,
            heads: 16,
            grid: (side, side),
            patch: 16,
            mlp: 4096,
            prefix: 1,
            classes: 19,
            head: Head::Linear,
        };
        generate::write(&vit, &original, false)?;
        for metric in ["keys", "stream"] {
            let rewritten = folder.join(format!("merged-{side}-{metric}.onnx"));
            tools.rewrite(&original, &rewritten, &["--layer", "1", "--keep", "0.25", "--metric", metric])?;
            let mut command = Command::new(interpreter);
            command.arg(workspace::script("operators.py")).args(["--rounds", &args.rounds.to_string()]);
            command.arg("--original").arg(&original).arg("--rewritten").arg(&rewritten).arg("--plugin").arg(&library);
            let result: Value = serde_json::from_str(&python::output(&mut command)?).context("no JSON")?;
            for measured in result["measured"].as_array().context("nothing was measured")? {
                println!("{}", row(side * side, metric, measured)?);
            }
            memory.push(format!("{} patches, {metric}: {}", side * side, needs(&result["memory_mb"])));
            std::fs::remove_file(&rewritten)?;
        }
        std::fs::remove_file(&original)?;
    }
    println!("\nMemory of a run: {}.", memory.join("; "));
    Ok(())
}

fn row(patches: usize, metric: &str, measured: &Value) -> Result<String> {
    let ms = |way: &str| measured["ms"][way].as_f64();
    let shown = |way: &str| ms(way).map_or("–".into(), |t| format!("{t:.1}"));
    let (block, kernels) = (ms("block").context("no block")?, ms("kernels").context("no kernels")?);
    let share = 100.0 * kernels / block;
    Ok(format!(
        "| {patches} | {metric} | {} | {block:.0} | {kernels:.2} ({share:.1} %) | {} | {} | {} |",
        measured["threads"],
        shown("functions"),
        shown("numpy"),
        shown("torch"),
    ))
}

/// Megabytes by way.
fn needs(memory: &Value) -> String {
    let list = memory.as_object().into_iter().flatten();
    let list = list.filter_map(|(way, mb)| Some(format!("{way} {:.0} MB", mb.as_f64()?)));
    list.collect::<Vec<_>>().join(", ")
}
