//! The command line: flags ([`args`]), what they mean (`resolve`), one file per command
//! (`commands`), and one place that prints (`printer`).

pub mod args;
mod commands;
mod failure;
mod faults;
mod format;
mod printer;
mod resolve;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use failure::Failure;
use printer::Printer;

/// A program: its flags, and what they run.
pub trait Program: Parser {
    /// The command that was asked for.
    fn command(self) -> args::Command;
}

impl Program for args::Cli {
    fn command(self) -> args::Command {
        self.command
    }
}

impl Program for args::RewriteCli {
    fn command(self) -> args::Command {
        args::Command::Rewrite(self.rewrite)
    }
}

/// Runs a program; the result is its exit code (0 done, 1 refused, 2 usage, 3 verification failed).
pub fn main<P: Program>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let printer = Printer::new();
    let command = match P::try_parse_from(arguments) {
        Ok(program) => program.command(),
        Err(error) => {
            // clap knows which of help and errors goes where, and in what colours.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match faults::guard(|| commands::run(command, &printer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// What commands return.
type Outcome<T = ()> = Result<T, Failure>;
