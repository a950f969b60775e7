//! `ailurus presets`: published placements.

use crate::cli::Outcome;
use crate::cli::args::PresetsArgs;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::presets::PRESETS;

pub fn run(args: &PresetsArgs, printer: &Printer) -> Outcome {
    if args.json {
        return Ok(printer.json(&PRESETS)?);
    }
    let mut table = Table::new(&["preset", "model", "layer", "grid", "iterations", "window", "neighbors"]);
    for p in &PRESETS {
        table.row(vec![
            p.name.to_owned(),
            p.model.to_owned(),
            p.layer.to_string(),
            format!("{}x{}", p.grid.0, p.grid.1),
            p.iterations.to_string(),
            p.window.to_string(),
            p.neighbors.to_string(),
        ]);
    }
    let mut text = table.render("");
    let mut sources: Vec<&str> = PRESETS.iter().map(|p| p.source).collect();
    sources.dedup();
    for source in sources {
        text += &format!("source: {source}\n");
    }
    Ok(printer.result(&text)?)
}
