//! `cargo xtask test`: every test, with everything it can need.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::tensorrt;
use crate::{python, releases, workspace};

/// The need for older releases of ONNX Runtime.
const VERSIONS: &str = "onnxruntime-versions";

/// Options of `test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `cargo test`, such as `-p ailurus` or a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root()).arg("test");
    if args.cargo.is_empty() {
        // One failing crate must not hide what the others have to say.
        command.args(["--workspace", "--no-fail-fast"]);
    }
    command.args(&args.cargo);
    // What a test may do without, even where everything that can be fetched is required.
    let mut optional = vec!["gcc", "g++", "readelf", "cmake"];
    // What is there has to be used: a test that still skips for want of it is a fault.
    let mut needs = Vec::new();
    match tensorrt::fetch() {
        Ok(fetched) => {
            command.env("AILURUS_TENSORRT", &fetched.folder);
            if std::env::var_os("TENSORRT_INCLUDE").is_none() {
                command.env("TENSORRT_INCLUDE", &fetched.include);
            }
            needs.push("tensorrt");
        }
        Err(error) if strict() => {
            return Err(error.context("NVIDIA's packages are needed (AILURUS_REQUIRE_RUNTIMES)"));
        }
        Err(error) => eprintln!("warning: tests that need TensorRT will be skipped: {error:#}"),
    }
    let fetched = python::ensure_ready(false).and_then(|i| Ok((releases::ensure_ready(&i, false)?, i)));
    match fetched {
        Ok((releases, interpreter)) => {
            if std::env::var_os("ORT_DYLIB_PATH").is_none() {
                command.env("ORT_DYLIB_PATH", python::onnxruntime_library(&interpreter)?);
            }
            command.env("AILURUS_PYTHON", interpreter).env("AILURUS_ORT_VERSIONS", releases.folder);
            needs.extend(["onnxruntime", "python"]);
            if releases.left_out.is_empty() {
                needs.push(VERSIONS);
            } else {
                eprintln!("warning: no wheels for this Python of ONNX Runtime {}", releases.left_out.join(", "));
                optional.push(VERSIONS);
            }
            command.env("AILURUS_REQUIRE_RUNTIMES", "1");
        }
        Err(error) if strict() => {
            return Err(error.context("the pinned packages are needed (AILURUS_REQUIRE_RUNTIMES)"));
        }
        Err(error) => eprintln!("warning: tests that need ONNX Runtime or Python will be skipped: {error:#}"),
    }
    command.env("AILURUS_NO_SKIP", no_skip(&needs));
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let (passed, skipped) = watch(command)?;
    if !skipped.is_empty() {
        eprintln!("\nskipped:");
        skipped.iter().for_each(|line| eprintln!("  {line}"));
    }
    ensure!(passed, "tests failed");
    // Everything but the zoo of models, a device and releases that this Python is too new for can be fetched.
    let may_be_absent = |line: &String| {
        let device = line.contains("zoo") || line.contains("needs cuda");
        device || optional.iter().any(|need| line.contains(&format!("needs {need}:")))
    };
    if strict() && !skipped.iter().all(may_be_absent) {
        bail!("tests were skipped although what they need can be fetched");
    }
    Ok(())
}

/// True when everything that can be fetched has to be there.
fn strict() -> bool {
    std::env::var_os("AILURUS_REQUIRE_RUNTIMES").is_some_and(|v| v == "1")
}

/// The needs that are met now, and those the caller named.
fn no_skip(needs: &[&str]) -> String {
    match std::env::var("AILURUS_NO_SKIP") {
        Ok(more) if !more.is_empty() => format!("{},{more}", needs.join(",")),
        _ => needs.join(","),
    }
}

/// Runs a command; passes its errors on and picks out what tests say they skipped.
fn watch(mut command: Command) -> Result<(bool, BTreeSet<String>)> {
    let mut child =
        command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().with_context(|| format!("starting {command:?}"))?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let mut skipped = BTreeSet::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        std::io::stderr().write_all(&line)?;
        let text = String::from_utf8_lossy(&line);
        if let Some(at) = text.find("SKIPPED") {
            skipped.insert(text[at + "SKIPPED".len()..].trim_matches([':', ' ', '\n']).to_owned());
        }
        line.clear();
    }
    Ok((child.wait()?.success(), skipped))
}
