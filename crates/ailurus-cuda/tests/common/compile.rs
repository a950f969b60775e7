//! Programs in C++ that tests make and run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Compiles sources of this crate, given by their paths in it. The compiler's output if it does not succeed.
pub fn compile(to: &Path, sources: &[&str], flags: &[&str]) -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiler = std::env::var_os("CXX").filter(|v| !v.is_empty()).unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    command.args([
        "-std=c++14",
        "-O1",
        "-g",
        "-ffp-contract=off",
        "-Wall",
        "-Wextra",
        "-Wno-unknown-pragmas",
        "-Werror",
    ]);
    command.args(flags).arg("-o").arg(to).args(sources.iter().map(|s| folder.join(s)));
    // Libraries follow what needs them.
    command.args(["-ldl", "-lpthread"]);
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Runs a program.
pub fn run(program: &PathBuf, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().expect("the program that was just made starts")
}
