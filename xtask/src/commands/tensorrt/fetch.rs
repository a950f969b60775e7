//! Libraries of TensorRT that work without a device, and headers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{packages, python, workspace};

/// Folder in the cache, the packages in it, and a file by which to see that they are there.
const SETS: [(&str, &[&str], &str); 4] = [
    (
        RTX,
        &["tensorrt_rtx_cu13_libs==1.7.1.116", "tensorrt_rtx_cu13_bindings==1.7.1.116"],
        "tensorrt_rtx_libs/libtensorrt_rtx.so.1",
    ),
    (
        "dispatch-11.4.0.106",
        &["tensorrt_dispatch_cu13_libs==11.4.0.106"],
        "tensorrt_dispatch_libs/libnvinfer_dispatch.so.11",
    ),
    ("lean-11.4.0.106", &["tensorrt_lean_cu13_libs==11.4.0.106"], "tensorrt_lean_libs/libnvinfer_lean.so.11"),
    ("lean-10.16.1.11", &["tensorrt_lean_cu13_libs==10.16.1.11"], "tensorrt_lean_libs/libnvinfer_lean.so.10"),
];

const RTX: &str = "rtx-1.7.1.116";

/// The crate in which TensorRT's headers are published, under Apache-2.0.
const HEADERS: (&str, &str) = ("trtx-sys", "0.9.1");

/// What was fetched.
pub(crate) struct Fetched {
    /// Folder of everything: `AILURUS_TENSORRT`.
    pub folder: PathBuf,
    /// Folders of the headers of TensorRT 11: `TENSORRT_INCLUDE`.
    pub include: PathBuf,
    /// Folder of TensorRT for RTX and its Python module.
    pub rtx: PathBuf,
}

/// Fetches what is not there yet: 0.45 GB.
pub(crate) fn fetch() -> Result<Fetched> {
    let folder = workspace::cache().join("tensorrt");
    for (name, names, file) in SETS {
        packages::fetch(&folder.join(name), names, file)?;
    }
    let rtx = folder.join(RTX);
    unversioned_name(&rtx.join("tensorrt_rtx_libs"))?;
    let headers = folder.join("headers");
    let newest = headers.join("TRT-Enterprise-11.4");
    if !newest.join("NvInferRuntime.h").is_file() {
        copy(&published_headers(&folder)?, &headers)?;
    }
    let include: OsString = std::env::join_paths([newest, headers]).context("the cache folder has an odd name")?;
    Ok(Fetched { folder, include: include.into(), rtx })
}

/// The parser looks for the builder under a name that the package does not have.
fn unversioned_name(folder: &Path) -> Result<()> {
    let link = folder.join("libtensorrt_rtx.so");
    if !link.exists() {
        #[cfg(unix)]
        std::os::unix::fs::symlink("libtensorrt_rtx.so.1", &link)?;
        #[cfg(not(unix))]
        std::fs::copy(folder.join("libtensorrt_rtx.so.1"), &link)?;
    }
    Ok(())
}

/// The folder of headers in the crate, which cargo fetches as a dependency of a package that is never built: building the
/// crate itself would need a C++ parser.
fn published_headers(folder: &Path) -> Result<PathBuf> {
    let (name, version) = HEADERS;
    let package = folder.join("fetch");
    std::fs::create_dir_all(package.join("src"))?;
    std::fs::write(package.join("src/lib.rs"), "")?;
    let manifest = package.join("Cargo.toml");
    std::fs::write(
        &manifest,
        format!(
            "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\n{name} = {{ version = \"={version}\", default-features = false }}\n"
        ),
    )?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--format-version=1", "--quiet", "--manifest-path"]).arg(&manifest);
    let metadata: Value = serde_json::from_str(&python::output(&mut command)?)?;
    let found = metadata["packages"].as_array().and_then(|all| all.iter().find(|p| p["name"] == name));
    let path = found.and_then(|p| p["manifest_path"].as_str()).with_context(|| format!("cargo has no {name}"))?;
    Ok(Path::new(path).parent().context("a manifest lies in a folder")?.join("TensorRT-Headers"))
}

/// Copies a folder with what is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
