//! Checks every model of a folder: `cargo run -p ailurus-tests --example sweep -- FOLDER [PART-OF-NAME..]`.
//!
//! With `--plan` in front of the folder nothing is run: each model is analysed and planned for its middle layer.
//!
//! A model is `NAME.onnx`, its inputs `NAME.npz` (arrays `in_<input>`), or noise where there is none.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use ailurus_tests::{case::Case, check::Outcome, run, sweep};
use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut folder = arguments.next().context("usage: sweep [--plan] FOLDER [PART-OF-NAME..]")?;
    let plan_only = folder == "--plan";
    if plan_only {
        folder = arguments.next().context("usage: sweep [--plan] FOLDER [PART-OF-NAME..]")?;
    }
    let parts: Vec<String> = arguments.collect();
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| folder.clone())?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .filter(|p| {
            let name = p.file_stem().unwrap_or_default().to_string_lossy();
            parts.is_empty() || parts.iter().any(|part| name.contains(part.as_str()))
        })
        .collect();
    paths.sort();
    if plan_only {
        for path in &paths {
            println!("{}: {}", path.file_stem().unwrap_or_default().to_string_lossy(), planned(path));
        }
        return Ok(());
    }
    let cases: Vec<Case> =
        paths.iter().filter_map(|p| Case::load(p).inspect_err(|e| eprintln!("{e:#}")).ok()).collect();
    let runtime = run::onnx_runtime().context("ONNX Runtime was not found")?;
    let outcomes = sweep::run(&runtime, &cases);
    let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|o| wanted(o)).count();
    println!(
        "{} files: {} verified, {} refused, {} failed",
        outcomes.len(),
        count(|o| matches!(o, Outcome::Verified(_))),
        count(|o| matches!(o, Outcome::Refused { .. })),
        count(|o| matches!(o, Outcome::Failed(_)))
    );
    Ok(())
}

fn planned(path: &std::path::Path) -> String {
    let plan = || -> Result<String> {
        let model = ailurus_rewrite::prepare(ailurus_onnx::Model::load(path)?)?;
        let analysis = ailurus_analyze::Analysis::of(&model)?;
        let options = ailurus_rewrite::Options::new((analysis.blocks() / 2).max(1));
        let plan = ailurus_rewrite::plan(&analysis, &options)?;
        let t = plan.tokens;
        Ok(format!("{} blocks, {} + {:?} + {}, {}", plan.blocks, t.prefix, t.grid, t.suffix, plan.notes.join("; ")))
    };
    plan().unwrap_or_else(|e| format!("{e:#}").replace('\n', " "))
}
