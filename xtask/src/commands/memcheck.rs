//! `cargo xtask memcheck`: the tests of the ONNX Runtime library under valgrind.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{python, workspace};

/// Options of `memcheck`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out tests whose binary has this name
    #[arg(long)]
    skip: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let interpreter = python::ensure_ready(false)?;
    let library = python::onnxruntime_library(&interpreter)?;
    let suppressions = workspace::root().join("crates/ailurus-ort/tests/valgrind.supp");
    let tests = tests()?;
    ensure!(!tests.is_empty(), "cargo built no tests");
    for (name, path) in tests.into_iter().filter(|(name, _)| !args.skip.contains(name)) {
        eprintln!("valgrind: {name}");
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--error-exitcode=99", "--leak-check=full"]);
        command.args(["--errors-for-leak-kinds=definite", "--show-leak-kinds=definite"]);
        command.arg(format!("--suppressions={}", suppressions.display()));
        // One test at a time: valgrind runs one thread at a time anyway, and findings are easier to place.
        command.arg(path).arg("--test-threads=1").env("ORT_DYLIB_PATH", &library);
        python::run(&mut command).with_context(|| format!("{name} (is valgrind installed?)"))?;
    }
    Ok(())
}

/// Names and programs of the library's tests that load it.
fn tests() -> Result<Vec<(String, PathBuf)>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command.args(["test", "--package", "ailurus-ort", "--no-run", "--message-format=json-render-diagnostics"]);
    for test in ["operators", "faults", "concurrency"] {
        command.args(["--test", test]);
    }
    let text = python::output(&mut command)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let test = |message: Value| {
        let path = message["executable"].as_str()?.into();
        let kind = message["target"]["kind"].as_array()?.iter().any(|k| k == "test");
        kind.then(|| Some((message["target"]["name"].as_str()?.to_owned(), path)))?
    };
    Ok(messages.filter_map(test).collect())
}
