//! What tests share: running only where their needs are met, and saying so where they are not.
//!
//! A skipped test prints one line, `SKIPPED <what>: <why>`, which the test harness does not
//! capture. `AILURUS_NO_SKIP`, a list such as `onnxruntime,zoo` or `all`, turns the skips for
//! these needs into failures: a build that could have fetched something uses it.

pub mod onnx;

use std::io::Write;
use std::path::PathBuf;

use crate::{Error, OnnxRuntime};

/// Reports that a test cannot run because `need` is not there.
///
/// # Panics
/// When `AILURUS_NO_SKIP` names the need.
pub fn skip(need: &str, why: &str) {
    let strict = std::env::var("AILURUS_NO_SKIP").unwrap_or_default();
    let required = strict.split(',').map(str::trim).any(|n| n == need || n == "all");
    assert!(!required, "{need} is required by AILURUS_NO_SKIP: {why}");
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: needs {need}: {why}\n", thread.name().unwrap_or("a test"));
    // Not eprintln, which the harness swallows; in one piece, because tests run side by side.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// ONNX Runtime, or a visible skip (need `onnxruntime`).
///
/// # Panics
/// When a library is found but does not work, which is a fault and not a reason to skip.
pub fn onnx_runtime() -> Option<OnnxRuntime> {
    match OnnxRuntime::find() {
        Ok(runtime) => Some(runtime),
        Err(error @ Error::LibraryNotFound { .. }) => {
            skip("onnxruntime", &format!("{error}; `cargo xtask wheels` fetches it"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// The library of native kernels for ONNX Runtime, where cargo built one beside this program.
pub fn find_kernel_library() -> Option<PathBuf> {
    let name = format!("{}ailurus_ort{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let program = std::env::current_exe().ok()?;
    program.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// The library of native kernels for ONNX Runtime, which cargo builds beside the tests of packages that depend on
/// `ailurus-ort`.
///
/// # Panics
/// When it is not there: then the package does not depend on it.
pub fn kernel_library() -> PathBuf {
    find_kernel_library().expect("the package has to depend on ailurus-ort")
}

/// The folder of the model zoo, or a visible skip (need `zoo`): `AILURUS_ZOO`, else
/// `shared/zoo` in a folder above, or beside one.
pub fn zoo() -> Option<PathBuf> {
    let found = match std::env::var_os("AILURUS_ZOO").filter(|v| !v.is_empty()) {
        Some(folder) => Some(PathBuf::from(folder)),
        None => {
            std::env::current_dir().ok().and_then(|d| d.ancestors().map(|a| a.join("shared/zoo")).find(|p| p.is_dir()))
        }
    };
    let found = found.filter(|f| f.is_dir());
    if found.is_none() {
        skip("zoo", "set AILURUS_ZOO to its folder");
    }
    found
}
