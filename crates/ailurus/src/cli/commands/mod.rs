//! One file per command.

mod bench;
mod explain;
mod inspect;
mod peak;
mod plan;
mod plugins;
mod presets;
mod report;
mod rewrite;
mod verify;
mod view;

use super::Outcome;
use super::args::Command;
use super::printer::Printer;

/// Runs a command.
pub fn run(command: Command, printer: &Printer) -> Outcome {
    match command {
        Command::Rewrite(args) => rewrite::run(&args, printer)
            .map_err(|f| f.about(&args.input, args.layer.as_ref(), args.tuning.trunk.as_deref())),
        Command::Inspect(args) => inspect::run(&args, printer)
            .map_err(|f| f.about(&args.input, args.layer.as_ref(), args.tuning.trunk.as_deref())),
        Command::Plan(args) => plan::run(&args, printer)
            .map_err(|f| f.about(&args.input, args.layer.as_ref(), args.tuning.trunk.as_deref())),
        Command::View(args) => view::run(&args, printer)
            .map_err(|f| f.about(&args.input, args.layer.as_ref(), args.tuning.trunk.as_deref())),
        Command::Verify(args) => verify::run(&args, printer),
        Command::Bench(args) => bench::run(&args, printer),
        Command::PeakMemory(args) => peak::run(&args, printer),
        Command::Presets(args) => presets::run(&args, printer),
        Command::Plugins(args) => plugins::run(&args, printer),
        Command::Explain(args) => explain::run(&args, printer),
    }
}
