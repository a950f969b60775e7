//! Checks every model of a folder: `cargo run -p ailurus-tests --example sweep -- FOLDER [PART-OF-NAME..]`.
//!
//! A model is `NAME.onnx`, its inputs `NAME.npz` (arrays `in_<input>`), or noise where there is none.

use ailurus_tests::{case::Case, check::Outcome, run, sweep};
use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("usage: sweep FOLDER [PART-OF-NAME..]")?;
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
    let cases: Vec<Case> = paths.iter().filter_map(|p| Case::load(p).inspect_err(|e| eprintln!("{e:#}")).ok()).collect();
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
