//! `cargo xtask methods`: the methods of merging beside each other, on real models, at equal numbers of tokens.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let bench = Bench { args, tools: &tools, interpreter: &interpreter, library: library.as_deref(), work: &work };
    let (mut methods, mut tables) = (String::new(), String::new());
    for task in Task::ALL.into_iter().filter(|t| args.task.is_none_or(|only| only == *t)) {
        let (base, images) = (models.join(task.model()), args.images.join(task.name()));
        ensure!(base.is_file() && images.is_dir(), "{}: its model or images are not here", task.name());
        let ways =
            |grid| ways(grid).into_iter().map(|(name, flags)| Way { name, model: base.clone(), flags }).collect();
        section(&mut methods, "method", &bench.run(task, &base, &images, ways)?);
        let everywhere = work.join(format!("{}-positions.onnx", task.name()));
        python::run(Command::new(&interpreter).arg(workspace::script("positions.py")).arg(&base).arg(&everywhere))?;
        let measured = bench.run(task, &base, &images, |grid| ways_of_tables(grid, &base, &everywhere))?;
        section(&mut tables, "positions are added", &measured);
        std::fs::remove_file(&everywhere)?;
    }
    let old = std::fs::read_to_string(&args.out).unwrap_or_default();
    let before = old.split(HEADING).next().unwrap_or_default().trim_end();
    let text = format!("{before}\n\n{}\n\n{methods}{TABLES}\n\n{}\n", introduction(), tables.trim_end());
    std::fs::write(&args.out, text.trim_start()).with_context(|| format!("writing {}", args.out.display()))?;
    println!("{}", args.out.display());
    Ok(())
}

/// A rewritten model: what to call it, what to rewrite, and how.
struct Way {
    name: String,
    model: PathBuf,
    flags: Vec<String>,
}

/// Expedit on the model as it is, and on one that adds its positions in every block, with tables treated in both ways.
fn ways_of_tables((h, w): (usize, usize), base: &Path, everywhere: &Path) -> Vec<Way> {
    let grid = format!("{h}x{w}");
    let way = |name: &str, model: &Path, more: &[&str]| {
        let flags = [&["--method", "expedit", "--grid", &grid], more].concat();
        Way { name: name.into(), model: model.into(), flags: flags.into_iter().map(str::to_owned).collect() }
    };
    vec![
        way("once, in front of the blocks", base, &[]),
        way("in every block, resized", everywhere, &["--tables", "resize"]),
        way("in every block, gathered", everywhere, &["--tables", "gather"]),
    ]
}

/// What measures.
struct Bench<'a> {
    args: &'a Args,
    tools: &'a Tools,
    interpreter: &'a Path,
    library: Option<&'a Path>,
    work: &'a Path,
}

impl Bench<'_> {
    /// All ways, for every layer and grid, against the original; with the names of the ways.
    fn run(
        &self,
        task: Task,
        base: &Path,
        images: &Path,
        ways: impl Fn((usize, usize)) -> Vec<Way>,
    ) -> Result<(Evaluation, Vec<String>)> {
        let (mut names, mut rewritten) = (Vec::new(), Vec::new());
        for &layer in &self.args.layers {
            for way in grids(task).into_iter().flat_map(&ways) {
                let file = self.work.join(format!("{}-{}.onnx", task.name(), rewritten.len()));
                let flags = [vec!["--layer".into(), layer.to_string()], way.flags].concat();
                let setting = Setting { layer, keep: 1.0 };
                rewritten.push(rewrite::with_flags(self.tools, &way.model, file, &flags, setting)?);
                names.push(way.name);
            }
        }
        let job = Job { interpreter: self.interpreter, task, base, images };
        // Quality is what is measured here: one pair of runs says nothing of speed, and none is shown.
        let evaluation = job.with_plugin(rewritten, self.args.limit, self.library)?;
        evaluation.rewritten.iter().try_for_each(|r| std::fs::remove_file(&r.path))?;
        Ok((evaluation, names))
    }
}

/// Heads the tables of tables.
const TABLES: &str = "## Tables of positions: resized or gathered\n\nModels with a row of numbers per token in every block \
     (rotary positions, or positions added again) need rows for clusters. `--tables resize` interpolates between the rows of \
     the patches around the middle of a cluster's cell, `--tables gather` takes the nearest one's. No such model with learnt \
     weights was at hand, so these are the models above in another form: the stream is kept without positions, and \
     everything that reads it adds them first (`xtask/python/positions.py`). Unchanged otherwise, this is the same function; \
     cut, its clusters are found without positions. Rotary tables are treated alike but were not measured.";

fn introduction() -> String {
    format!(
        "{HEADING}\n\nWritten by `cargo xtask methods`; run it to repeat it. Every row is the model, cut behind the same \
         block, with the same number of patches kept (`windows` may keep up to two fewer) by another `--method`, otherwise \
         with default flags. In brackets the share of the original's score."
    )
}

fn section(out: &mut String, what: &str, (e, names): &(Evaluation, Vec<String>)) {
    let labels = e.measured.models.iter().any(|m| m.label_agreement.is_some());
    let _ = writeln!(out, "### {}\n\n{} images.\n", e.task.title(), e.measured.images);
    let mut head = vec!["cut after block", "tokens", what, "promised speed-up"];
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
