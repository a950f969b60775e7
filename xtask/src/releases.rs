//! Releases of ONNX Runtime that the tests of our library run in beside the pinned one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{python, workspace};

/// A release and where it runs.
struct Release {
    version: &'static str,
    /// Python 3.x, the first and the last that it has wheels for.
    pythons: std::ops::RangeInclusive<u32>,
    /// What has to be older than in the pinned environment, too.
    with: &'static [&'static str],
}

/// One that is too old for the library, the oldest that is not, and one between that and the pinned one. The first two
/// were built for NumPy 1.
const RELEASES: [Release; 3] = [
    Release { version: "1.16.3", pythons: 8..=11, with: &["numpy==1.26.4"] },
    Release { version: "1.17.3", pythons: 8..=12, with: &["numpy==1.26.4"] },
    Release { version: "1.22.1", pythons: 10..=13, with: &[] },
];

/// What there is after [`ensure_ready`].
pub(crate) struct Ready {
    /// Holds a folder of packages for each release.
    pub(crate) folder: PathBuf,
    /// Releases without wheels for this Python.
    pub(crate) left_out: Vec<&'static str>,
}

/// Fetches the releases that are not there yet and that run in this interpreter.
pub(crate) fn ensure_ready(interpreter: &Path, force: bool) -> Result<Ready> {
    let folder = workspace::cache().join("onnxruntime");
    let minor = python::output(Command::new(interpreter).args(["-c", "import sys; print(sys.version_info.minor)"]))?;
    let minor: u32 = minor.trim().parse().context("the number of a Python version")?;
    let (fit, rest) = for_python(minor);
    for release in fit {
        let target = folder.join(release.version);
        // The name of the interpreter's version is in the file names of what was installed.
        let stamp = format!("Python 3.{minor}\nonnxruntime=={}\n{}\n", release.version, release.with.join("\n"));
        let current = std::fs::read_to_string(target.join("ailurus-pins.txt")).is_ok_and(|s| s == stamp);
        if force || !current {
            install(interpreter, release, &target)?;
            std::fs::write(target.join("ailurus-pins.txt"), stamp)?;
        }
    }
    Ok(Ready { folder, left_out: rest.iter().map(|r| r.version).collect() })
}

/// The releases that have wheels for Python 3.`minor`, and those that have none.
fn for_python(minor: u32) -> (Vec<&'static Release>, Vec<&'static Release>) {
    RELEASES.iter().partition(|r| r.pythons.contains(&minor))
}

fn install(interpreter: &Path, release: &Release, target: &Path) -> Result<()> {
    if target.exists() {
        std::fs::remove_dir_all(target).with_context(|| format!("removing the old {}", target.display()))?;
    }
    eprintln!("fetching ONNX Runtime {} into {}", release.version, target.display());
    python::run(python::pip_install(target).arg(format!("onnxruntime=={}", release.version)).args(release.with))
        .with_context(|| format!("pip could not install ONNX Runtime {}", release.version))?;
    python::run(Command::new(interpreter).args(["-c", "import onnxruntime"]).env("PYTHONPATH", target))
        .with_context(|| format!("ONNX Runtime {} does not load", release.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_python_has_fewer_releases() {
        let versions = |minor| for_python(minor).0.iter().map(|r| r.version).collect::<Vec<_>>();
        assert_eq!(versions(11), ["1.16.3", "1.17.3", "1.22.1"]);
        assert_eq!(versions(12), ["1.17.3", "1.22.1"]);
        assert_eq!(versions(13), ["1.22.1"]);
        assert_eq!(for_python(14).1.len(), 3);
    }

    /// The tests of the library name what they want.
    #[test]
    fn what_the_tests_ask_for_is_fetched() {
        let tests = std::fs::read_to_string(workspace::root().join("crates/ailurus-ort/tests/versions.rs")).unwrap();
        for release in &RELEASES {
            assert!(tests.contains(&format!("\"{}\"", release.version)), "no test runs in {}", release.version);
        }
    }
}
