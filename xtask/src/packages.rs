//! Packages of NVIDIA from the Python package index, in the cache folder. They are NVIDIA's property: nothing of them is
//! committed or handed on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::python;

/// The interpreter whose pip fetches packages.
pub(crate) fn host_python() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

/// Fetches packages into a folder, unless the file by which to see that they are there is; returns its path.
pub(crate) fn fetch(folder: &Path, packages: &[&str], file: &str) -> Result<PathBuf> {
    let wanted = folder.join(file);
    if !wanted.exists() {
        eprintln!("fetching {}", packages.join(", "));
        let mut pip = Command::new(host_python());
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]);
        pip.args(["--only-binary", ":all:", "--target"]).arg(folder).args(packages);
        python::run(&mut pip).context("pip could not fetch NVIDIA's packages")?;
    }
    ensure!(wanted.exists(), "{} is not in the packages {packages:?}", wanted.display());
    Ok(wanted)
}
