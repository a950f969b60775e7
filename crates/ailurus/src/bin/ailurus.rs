//! `ailurus`: every command.

fn main() -> std::process::ExitCode {
    ailurus::cli::main::<ailurus::cli::args::Cli>(std::env::args_os())
}
