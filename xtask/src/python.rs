//! The private Python environment with the pinned packages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// What is installed: the stamp beside the environment holds this text, so an edit rebuilds it.
const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// The environment's folder.
fn folder() -> PathBuf {
    workspace::cache().join("venv")
}

/// The environment's interpreter.
pub(crate) fn interpreter() -> PathBuf {
    folder().join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// True when the environment exists and holds exactly the pinned packages.
fn is_current() -> bool {
    interpreter().exists()
        && std::fs::read_to_string(folder().join("ailurus-pins.txt")).is_ok_and(|s| s == REQUIREMENTS)
}

/// Makes sure that the environment is there and returns its interpreter.
pub(crate) fn ensure_ready(force: bool) -> Result<PathBuf> {
    if force || !is_current() {
        build()?;
    }
    Ok(interpreter())
}

/// Builds the environment from nothing.
///
/// `venv --without-pip` and `pip install --target` need neither ensurepip (a package of its own on
/// Debian) nor a recent pip, and a distribution's "externally managed" mark does not stop them.
fn build() -> Result<()> {
    let folder = folder();
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("removing the old environment {}", folder.display()))?;
    }
    std::fs::create_dir_all(workspace::cache())?;
    eprintln!("creating {}", folder.display());
    run(Command::new(host()).args(["-m", "venv", "--without-pip"]).arg(&folder))?;
    let site =
        output(Command::new(interpreter()).args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))?;
    run(pip_install(Path::new(site.trim())).arg("--requirement").arg(workspace::script("requirements.txt")))
        .context("pip could not install the pinned packages (Python 3.11 or newer is needed)")?;
    run(Command::new(interpreter()).args(["-c", "import onnx, onnxruntime, numpy, PIL"]))
        .context("the pinned packages do not load")?;
    std::fs::write(folder.join("ailurus-pins.txt"), REQUIREMENTS)?;
    Ok(())
}

/// The interpreter that environments are made with: `PYTHON`, or `python3`.
fn host() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

/// pip, ready to install wheels into a folder without what they depend on; what to install is still to be said.
///
/// It runs in the host interpreter: the wheels it picks must fit the environment's, which is the same interpreter.
pub(crate) fn pip_install(target: &Path) -> Command {
    let mut command = Command::new(host());
    command
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--target"])
        .arg(target);
    command
}

/// The ONNX Runtime library inside the environment.
pub(crate) fn onnxruntime_library(interpreter: &Path) -> Result<PathBuf> {
    let package =
        output(Command::new(interpreter).args([
            "-c",
            "import importlib.util as u; print(u.find_spec('onnxruntime').submodule_search_locations[0])",
        ]))?;
    let capi = Path::new(package.trim()).join("capi");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&capi)
        .with_context(|| format!("reading {}", capi.display()))?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| is_library(p))
        .collect();
    found.sort();
    found.pop().with_context(|| format!("no ONNX Runtime library in {}", capi.display()))
}

fn is_library(path: &Path) -> bool {
    path.file_name().and_then(|n| n.to_str()).is_some_and(|n| {
        n.starts_with("libonnxruntime.so")
            || (n.starts_with("libonnxruntime") && n.ends_with(".dylib"))
            || n == "onnxruntime.dll"
    })
}

/// Runs a command, its output shown; fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Runs a command and returns its standard output; its errors are shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} ended with {}", out.status);
    }
    String::from_utf8(out.stdout).with_context(|| format!("{command:?} printed no UTF-8"))
}
