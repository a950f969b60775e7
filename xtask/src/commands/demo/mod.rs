//! `cargo xtask demo`: the whole way on real models, and what it costs and gains.

pub(crate) mod evaluate;
mod figure;
mod report;
pub(crate) mod rewrite;
pub(crate) mod task;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use self::task::{Setting, Task};
use super::{methods, models};
use crate::tools::Tools;
use crate::{python, workspace};

/// Options of `demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data folder: `ecssd/` and `camvid/` with NAME.jpg and NAME.png, and `camvid/head.npz`
    #[arg(long)]
    images: PathBuf,
    /// Where the table goes; the picture goes beside it
    #[arg(long, default_value = "docs/results.md")]
    out: PathBuf,
    /// Folder of the fetched models [default: `models` in the cache folder]
    #[arg(long)]
    models: Option<PathBuf>,
    /// Cuts and shares to try, such as `4:0.5`, instead of each task's own list
    #[arg(long = "setting", value_name = "LAYER:KEEP")]
    settings: Vec<Setting>,
    /// Only this task
    #[arg(long)]
    task: Option<Task>,
    /// Images to use of each task; 0 for all
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Pairs of runs to time
    #[arg(long, default_value_t = 11)]
    runs: usize,
    /// Folder of `ailurus` and `ailurus-rewrite` [default: built in release]
    #[arg(long)]
    tools: Option<PathBuf>,
    /// Threads of ONNX Runtime; 0 for its own choice
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.images.is_dir(), "{} is no folder", args.images.display());
    let data = args.images.join("camvid/head.npz").is_file().then_some(args.images.as_path());
    let models = models::fetch(args.models.as_deref(), data)?;
    let work = workspace::cache().join("demo");
    std::fs::create_dir_all(&work)?;
    let tools = Tools::find(args.tools.as_deref())?;
    let interpreter = python::ensure_ready(false)?;

    let mut evaluations = Vec::new();
    let mut rows = Vec::new();
    for task in Task::ALL.into_iter().filter(|t| args.task.is_none_or(|only| only == *t)) {
        let (base, images) = (models.join(task.model()), args.images.join(task.name()));
        if !base.is_file() || !images.is_dir() {
            eprintln!("{}: left out, its model or images are not here", task.name());
            continue;
        }
        let settings = if args.settings.is_empty() { task.settings() } else { args.settings.clone() };
        let rewritten =
            settings.iter().map(|s| rewrite::rewrite(&tools, &base, &work, *s)).collect::<Result<Vec<_>>>()?;
        let job = evaluate::Job { interpreter: &interpreter, task, base: &base, images: &images };
        evaluations.push(job.run(rewritten, args.limit, args.runs, args.threads)?);
        rows.push(figure::Row::make(task, &base, &images, &tools, &work)?);
    }
    ensure!(!evaluations.is_empty(), "there was nothing to evaluate");

    if let Some(folder) = args.out.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let picture = args.out.with_extension("png");
    figure::draw(&interpreter, &rows, &picture)?;
    let mut text = report::markdown(&evaluations, &rows, &picture);
    // Another command writes the last section.
    let old = std::fs::read_to_string(&args.out).unwrap_or_default();
    text.extend(old.find(methods::HEADING).map(|at| &old[at..]));
    std::fs::write(&args.out, text).with_context(|| format!("writing {}", args.out.display()))?;
    println!("{}", args.out.display());
    Ok(())
}
