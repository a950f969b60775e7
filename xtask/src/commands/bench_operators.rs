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
    /// Only the operators of this method
    #[arg(long)]
    method: Option<Method>,
    /// Python to measure with, for one that has PyTorch [default: the pinned environment]
    #[arg(long)]
    python: Option<PathBuf>,
}

/// A method of clustering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Ailurus,
    Expedit,
}

/// Sides of the patch grids: 1024 and 4096 patches.
const SIDES: [usize; 2] = [32, 64];

/// Sides of patch grids that are merged to grids, and of those, with the number of centres that a patch is made of again:
/// some with the default, and what is published for Segmenter on Pascal-Context, ADE20K and Cityscapes.
const GRIDS: [(usize, usize, usize); 6] =
    [(32, 16, 4), (32, 20, 4), (40, 28, 4), (30, 20, 20), (40, 28, 20), (48, 32, 20)];

pub(crate) fn run(args: &Args) -> Result<()> {
    let tools = Tools::find(args.tools.as_deref())?;
    let library = tools::kernel_library()?;
    let interpreter = python::ensure_ready(false)?;
    let interpreter = args.python.as_ref().unwrap_or(&interpreter);
    let folder = workspace::cache().join("bench");
    std::fs::create_dir_all(&folder)?;
    let bench = Bench { tools, library, interpreter: interpreter.clone(), folder, rounds: args.rounds };
    let mut memory = Vec::new();
    if args.method != Some(Method::Expedit) {
        clusters(&bench, &mut memory)?;
    }
    if args.method != Some(Method::Ailurus) {
        grids(&bench, &mut memory)?;
    }
    println!("\nMemory of a run: {}.", memory.join("; "));
    Ok(())
}

fn clusters(bench: &Bench, memory: &mut Vec<String>) -> Result<()> {
    println!(
        "| patches | metric | threads | block, ms | kernels, ms (of the block) | functions, ms | NumPy, ms | PyTorch, ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for side in SIDES {
        for metric in ["keys", "stream"] {
            let result = bench.run(side, &["--keep", "0.25", "--metric", metric])?;
            for measured in result["measured"].as_array().context("nothing was measured")? {
                println!(
                    "{}",
                    row(&format!("{} | {metric}", side * side), measured, &["functions", "numpy", "torch"])?
                );
            }
            memory.push(format!("{} patches, {metric}: {}", side * side, needs(&result["memory_mb"])));
        }
    }
    Ok(())
}

fn grids(bench: &Bench, memory: &mut Vec<String>) -> Result<()> {
    println!("\n| patches | centres | nearest | threads | block, ms | kernel, ms (of the block) | function, ms |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (side, centres, neighbors) in GRIDS {
        let (grid, neighbors) = (format!("{centres}x{centres}"), neighbors.to_string());
        let result = bench.run(side, &["--method", "expedit", "--grid", &grid, "--neighbors", &neighbors])?;
        for measured in result["measured"].as_array().context("nothing was measured")? {
            let what = format!("{} | {} | {neighbors}", side * side, centres * centres);
            println!("{}", row(&what, measured, &["functions"])?);
        }
        let what = format!("{} patches to {}, {neighbors} nearest", side * side, centres * centres);
        memory.push(format!("{what}: {}", needs(&result["memory_mb"])));
    }
    Ok(())
}

/// What measurements need.
struct Bench {
    tools: Tools,
    library: PathBuf,
    interpreter: PathBuf,
    folder: PathBuf,
    rounds: usize,
}

impl Bench {
    /// Measures on blocks of a ViT-L with a square of patches, rewritten with some options.
    fn run(&self, side: usize, options: &[&str]) -> Result<Value> {
        let (original, rewritten) = (self.folder.join("block.onnx"), self.folder.join("merged.onnx"));
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
        self.tools.rewrite(&original, &rewritten, &[&["--layer", "1"], options].concat())?;
        let mut command = Command::new(&self.interpreter);
        command.arg(workspace::script("operators.py")).args(["--rounds", &self.rounds.to_string()]);
        command.arg("--original").arg(&original).arg("--rewritten").arg(&rewritten).arg("--plugin").arg(&self.library);
        let result = serde_json::from_str(&python::output(&mut command)?).context("no JSON")?;
        std::fs::remove_file(&original)?;
        std::fs::remove_file(&rewritten)?;
        Ok(result)
    }
}

/// A row of a table: what was measured, the share of the block that the kernels take, other ways.
fn row(what: &str, measured: &Value, others: &[&str]) -> Result<String> {
    let ms = |way: &str| measured["ms"][way].as_f64();
    let (block, kernels) = (ms("block").context("no block")?, ms("kernels").context("no kernels")?);
    let share = 100.0 * kernels / block;
    let others = others.iter().map(|way| ms(way).map_or(" –".into(), |t| format!(" {t:.1}"))).collect::<Vec<_>>();
    let threads = &measured["threads"];
    Ok(format!("| {what} | {threads} | {block:.0} | {kernels:.2} ({share:.1} %) |{} |", others.join(" |")))
}

/// Megabytes by way.
fn needs(memory: &Value) -> String {
    let list = memory.as_object().into_iter().flatten();
    let list = list.filter_map(|(way, mb)| Some(format!("{way} {:.0} MB", mb.as_f64()?)));
    list.collect::<Vec<_>>().join(", ")
}
