//! `cargo xtask methods`: the methods of merging beside each other, on real models, at equal numbers of tokens.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::demo::evaluate::{Evaluation, Job, Scores};
use super::demo::rewrite::{self, Rewritten};
use super::demo::task::{Setting, Task};
use super::models;
use crate::tools::{self, Tools};
use crate::{python, workspace};

/// What the section of the page begins with; all behind it is written anew.
pub(crate) const HEADING: &str = "## Methods beside each other";

/// Options of `methods`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data folder: `ecssd/` and `camvid/` with NAME.jpg and NAME.png, and `camvid/head.npz`
    #[arg(long)]
    images: PathBuf,
    /// The page whose last section is written
    #[arg(long, default_value = "docs/results.md")]
    out: PathBuf,
    /// Folder of the fetched models [default: `models` in the cache folder]
    #[arg(long)]
    models: Option<PathBuf>,
    /// Only this task
    #[arg(long)]
    task: Option<Task>,
    /// Layers to cut behind
    #[arg(long = "layer", default_values_t = [4, 8])]
    layers: Vec<usize>,
    /// Images to use of each task; 0 for all
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Folder of `ailurus` and `ailurus-rewrite` [default: built in release]
    #[arg(long)]
    tools: Option<PathBuf>,
    /// Run on functions of standard operators instead of the library
    #[arg(long)]
    stock: bool,
}

/// Rows and columns of patches of a task's model, and the grids that they are merged to: about a half and a quarter.
fn grids(task: Task) -> [(usize, usize); 2] {
    match task {
        Task::Ecssd => [(26, 26), (20, 20)],
        Task::Camvid => [(18, 24), (13, 17)],
    }
}

/// Methods by name, with the flags that leave this many tokens.
fn ways((h, w): (usize, usize)) -> Vec<(String, Vec<String>)> {
    let (grid, tokens) = (format!("{h}x{w}"), (h * w).to_string());
    let way = |name: &str, flags: &[&str]| (name.to_owned(), flags.iter().map(|f| (*f).to_owned()).collect());
    let mut ways = vec![
        way("ailurus", &["--tokens", &tokens]),
        way("windows", &["--method", "windows", "--tokens", &tokens]),
        way("pool", &["--method", "pool", "--grid", &grid]),
    ];
    ways.extend([5, 3, 1].map(|n: usize| {
        let iterations = n.to_string();
        let name = format!("expedit, {n} iteration{}", if n == 1 { "" } else { "s" });
        way(&name, &["--method", "expedit", "--grid", &grid, "--iterations", &iterations])
    }));
    ways
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let data = args.images.join("camvid/head.npz").is_file().then_some(args.images.as_path());
    let models = models::fetch(args.models.as_deref(), data)?;
    let work = workspace::cache().join("methods");
    std::fs::create_dir_all(&work)?;
    let tools = Tools::find(args.tools.as_deref())?;
    let library = if args.stock { None } else { Some(tools::kernel_library()?) };
    let interpreter = python::ensure_ready(false)?;
    let mut page = String::new();
    for task in Task::ALL.into_iter().filter(|t| args.task.is_none_or(|only| only == *t)) {
        let (base, images) = (models.join(task.model()), args.images.join(task.name()));
        ensure!(base.is_file() && images.is_dir(), "{}: its model or images are not here", task.name());
        let (mut names, mut rewritten) = (Vec::new(), Vec::new());
        for &layer in &args.layers {
            for grid in grids(task) {
                for (name, flags) in ways(grid) {
                    let file = work.join(format!("{}-{}.onnx", task.name(), rewritten.len()));
                    let flags = [vec!["--layer".into(), layer.to_string()], flags].concat();
                    rewritten.push(rewrite::with_flags(&tools, &base, file, &flags, Setting { layer, keep: 1.0 })?);
                    names.push(name);
                }
            }
        }
        let job = Job { interpreter: &interpreter, task, base: &base, images: &images };
        // Quality is what is measured here: one pair of runs says nothing of speed, and none is shown.
        let evaluation = job.with_plugin(rewritten, args.limit, library.as_deref())?;
        section(&mut page, &evaluation, &names);
        evaluation.rewritten.iter().try_for_each(|r| std::fs::remove_file(&r.path))?;
    }
    let old = std::fs::read_to_string(&args.out).unwrap_or_default();
    let before = old.split(HEADING).next().unwrap_or_default().trim_end();
    let text = format!("{before}\n\n{}\n\n{}\n", introduction(), page.trim_end());
    std::fs::write(&args.out, text.trim_start()).with_context(|| format!("writing {}", args.out.display()))?;
    println!("{}", args.out.display());
    Ok(())
}

fn introduction() -> String {
    format!(
        "{HEADING}\n\nWritten by `cargo xtask methods`; run it to repeat it. Every row is the model, cut behind the same \
         block, with the same number of patches kept (`windows` may keep up to two fewer) by another `--method`, otherwise \
         with default flags. In brackets the share of the original's score."
    )
}

fn section(out: &mut String, e: &Evaluation, names: &[String]) {
    let labels = e.measured.models.iter().any(|m| m.label_agreement.is_some());
    let _ = writeln!(out, "### {}\n\n{} images.\n", e.task.title(), e.measured.images);
    let mut head = vec!["cut after block", "tokens", "method", "promised speed-up"];
    head.extend(e.task.measures().iter().map(|(_, heading)| *heading));
    head.extend(labels.then_some("labels equal"));
    head.push("cosine of outputs");
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    *out += &line(&head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    *out += &line(&vec!["---".to_owned(); head.len()]);
    for ((name, r), m) in names.iter().zip(&e.rewritten).zip(&e.measured.models) {
        *out += &line(&row(e, name, r, m));
    }
    out.push('\n');
}

fn row(e: &Evaluation, name: &str, r: &Rewritten, m: &Scores) -> Vec<String> {
    let tokens = r.tokens.map_or_else(String::new, |(after, _)| after.to_string());
    let mut cells =
        vec![r.setting.layer.to_string(), tokens, name.to_owned(), format!("{:.2}x", r.flops.1 / r.flops.0)];
    let score = |key: &str| (m.measure(key), e.base(key));
    cells.extend(e.task.measures().iter().map(|(key, _)| {
        let (value, base) = score(key);
        format!("{value:.3} ({:.1} %)", 100.0 * value / base)
    }));
    cells.extend(m.label_agreement.map(|a| format!("{:.1} %", 100.0 * a)));
    cells.push(format!("{:.4}", m.cosine));
    cells
}
