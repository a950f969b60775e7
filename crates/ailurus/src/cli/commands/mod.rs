//! One file per command.

mod explain;
mod inspect;
mod plan;
mod rewrite;
mod verify;
mod view;

use super::Outcome;
use super::args::Command;
use super::printer::Printer;

/// Runs a command.
pub fn run(command: Command, printer: &Printer) -> Outcome {
    match command {
        Command::Rewrite(args) => rewrite::run(&args, printer),
        Command::Inspect(args) => inspect::run(&args, printer),
        Command::Plan(args) => plan::run(&args, printer),
        Command::View(args) => view::run(&args, printer),
        Command::Verify(args) => verify::run(&args, printer),
        Command::Explain(args) => explain::run(&args, printer),
    }
}
