//! Every model before and after rewriting.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fetch::Fetched;
use super::model::{Report, examine};
use super::{Args, report};
use crate::tools::{self, Tools};
use crate::{python, workspace};

/// Engines are built on one core each.
const WORKERS: usize = 2;

/// The two ways to rewrite a model, as `--method` names them.
pub(super) const METHODS: [&str; 2] = ["ailurus", "expedit"];

/// A model and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub name: String,
    pub before: Report,
    /// By method.
    pub after: [After; METHODS.len()],
}

#[derive(Clone, Debug)]
pub(super) enum After {
    /// The code of the refusal.
    Refused(String),
    Rewritten(Report),
}

impl Row {
    /// What must not be: the original builds, and a rewritten model does not, or not with the plugins.
    pub fn faults(&self) -> Vec<String> {
        let fault = |(after, method): (&After, &str)| match after {
            After::Rewritten(after) if self.before.builds() && !after.builds() => {
                Some(format!("{} builds, and does not with {method}: {}", self.name, after.objection()))
            }
            After::Rewritten(after) if after.parsed && !after.uses_plugins() => Some(format!(
                "{} with {method}: the operators {:?} became the plugins {:?}",
                self.name, after.operators, after.plugins
            )),
            _ => None,
        };
        self.after.iter().zip(METHODS).filter_map(fault).collect()
    }
}

pub(super) fn run(args: &Args, fetched: &Fetched) -> Result<()> {
    let python = python::ensure_ready(false)?;
    let tools = Tools::find(args.tools.as_deref())?;
    let plugins = args.plugins.clone().map_or_else(|| tools::library("ailurus-trt"), Ok)?;
    let work = workspace::cache().join("tensorrt/work");
    std::fs::create_dir_all(&work)?;
    let models = if args.pretrained { pretrained(&args.models, &python)? } else { models(&args.models)? };

    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let work_off = || -> Result<()> {
            while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
                let row = examine_all(&python, fetched, &tools, &plugins, model, &work)
                    .with_context(|| format!("{}", model.display()))?;
                eprintln!("{}: {}", row.name, report::summary(&row));
                rows.lock().map_err(|_| anyhow::anyhow!("a worker panicked"))?.push(row);
            }
            Ok(())
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work_off)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    let mut rows = rows.into_inner()?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    report::write(&rows, args.pretrained, &workspace::root().join("docs/tensorrt.md"))?;
    let faults: Vec<String> = rows.iter().flat_map(Row::faults).collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// The pretrained models of the folders, which are fetched if there are none given, in all forms.
fn pretrained(folders: &[PathBuf], python: &Path) -> Result<Vec<PathBuf>> {
    let folders = if folders.is_empty() { vec![super::super::models::fetch(None, None)?] } else { folders.to_vec() };
    let forms = workspace::cache().join("tensorrt/pretrained");
    std::fs::create_dir_all(&forms)?;
    for model in models(&folders)? {
        eprintln!("writing the forms of {}", model.display());
        python::run(Command::new(python).arg(workspace::script("variants.py")).arg(&model).arg(&forms))?;
    }
    models(&[forms])
}

/// All models of the folders; of two with one name, the first.
fn models(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut folders = folders.to_vec();
    if folders.is_empty() {
        folders.push(workspace::root().join("fixtures"));
        folders.extend(std::env::var_os("AILURUS_ZOO").filter(|v| !v.is_empty()).map(PathBuf::from));
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let is_new = !found.iter().any(|f| f.file_name() == path.file_name());
            if path.extension().is_some_and(|e| e == "onnx") && is_new {
                found.push(path);
            }
        }
    }
    found.sort();
    ensure!(!found.is_empty(), "no models");
    Ok(found)
}

fn examine_all(
    python: &Path,
    fetched: &Fetched,
    tools: &Tools,
    plugins: &Path,
    model: &Path,
    work: &Path,
) -> Result<Row> {
    let name = model.file_stem().context("a model has a name")?.to_string_lossy().into_owned();
    let before = examine(python, &fetched.rtx, model, None)?;
    let to = work.join(format!("{name}.onnx"));
    let mut grid = None;
    let mut after = |method: &str| -> Result<After> {
        let mut rewrite = tools.command("ailurus-rewrite");
        rewrite.arg(model).arg(&to).args(["--layer", "1/2", "--method", method, "--json", "--force"]);
        if method == "expedit" {
            rewrite.arg("--grid").arg(half_of(grid));
        }
        let output = rewrite.output().with_context(|| format!("starting {rewrite:?}"))?;
        if output.status.success() {
            let summary: Value = serde_json::from_slice(&output.stdout).context("--json printed no JSON")?;
            grid = summary["tokens"]["grid"].as_array().and_then(|g| Some((g.first()?.as_u64()?, g.get(1)?.as_u64()?)));
            return Ok(After::Rewritten(examine(python, &fetched.rtx, &to, Some(plugins))?));
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let at = said.find("AIL").with_context(|| format!("a refusal without a code: {said}"))?;
        Ok(After::Refused(said[at..].chars().take_while(char::is_ascii_alphanumeric).collect()))
    };
    let after = [after(METHODS[0])?, after(METHODS[1])?];
    Ok(Row { name, before, after })
}

/// Half of the rows and of the columns of patches, as `--grid` takes them. Where the grid is not known any will do that is not
/// finer than an image's.
fn half_of(grid: Option<(u64, u64)>) -> String {
    let (h, w) = grid.unwrap_or((2, 2));
    format!("{}x{}", h.div_ceil(2), w.div_ceil(2))
}
