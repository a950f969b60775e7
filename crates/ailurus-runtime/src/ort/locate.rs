//! Where the library is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Prints the package's folder without importing it, which would load the library.
const ASK: &str = "import importlib.util as u
s = u.find_spec('onnxruntime')
print(next(iter(s.submodule_search_locations)) if s else '')";

/// Finds the library, see [`super::OnnxRuntime::find`].
pub(super) fn library() -> Result<PathBuf> {
    if let Some(path) = variable("ORT_DYLIB_PATH") {
        // A variable that names nothing is a mistake worth hearing about, not a reason to go on.
        return if path.is_file() {
            Ok(path)
        } else if let Some(found) = in_folder(&path) {
            Ok(found)
        } else {
            Err(Error::LibraryNotFound { tried: vec![format!("ORT_DYLIB_PATH={}", path.display())] })
        };
    }
    let mut tried = vec!["ORT_DYLIB_PATH (not set)".to_owned()];
    for python in pythons() {
        if let Some(found) = in_package(&python) {
            return Ok(found);
        }
        tried.push(format!("the package onnxruntime (1.20 or newer) of {}", python.display()));
    }
    Err(Error::LibraryNotFound { tried })
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// The interpreters to ask, in order.
fn pythons() -> Vec<PathBuf> {
    if let Some(python) = variable("AILURUS_PYTHON") {
        return vec![python];
    }
    let in_cache = if cfg!(windows) { "venv/Scripts/python.exe" } else { "venv/bin/python" };
    let mut out = Vec::new();
    if let Some(cache) = variable("AILURUS_CACHE") {
        out.push(cache.join(in_cache));
    } else if let Ok(here) = std::env::current_dir() {
        out.extend(here.ancestors().map(|a| a.join(".cache").join(in_cache)));
    }
    out.retain(|p| p.exists());
    out.push(PathBuf::from(if cfg!(windows) { "python" } else { "python3" }));
    out
}

fn in_package(python: &Path) -> Option<PathBuf> {
    let out = Command::new(python)
        .args(["-I", "-c", ASK])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|o| o.status.success())?;
    let folder = String::from_utf8(out.stdout).ok()?;
    let folder = folder.trim();
    if folder.is_empty() { None } else { in_folder(&Path::new(folder).join("capi")) }
}

/// The library in a folder; of several, the one with the longest name (it carries the version).
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(is_library))
        .collect();
    found.sort_by_key(|p| (p.as_os_str().len(), p.clone()));
    found.pop()
}

fn is_library(name: &str) -> bool {
    name.starts_with("libonnxruntime.so")
        || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
        || name == "onnxruntime.dll"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(is_library("libonnxruntime.so.1.31.1"));
        assert!(is_library("libonnxruntime.so"));
        assert!(is_library("libonnxruntime.1.22.0.dylib"));
        assert!(!is_library("libonnxruntime_providers_shared.so"));
    }

    #[test]
    fn the_versioned_library_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(in_folder(folder.path()), None);
        assert_eq!(in_folder(&folder.path().join("absent")), None);
        for name in ["libonnxruntime.so", "libonnxruntime.so.1.2.3", "libonnxruntime_x.so"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = in_folder(folder.path()).unwrap();
        assert!(found.ends_with("libonnxruntime.so.1.2.3"));
    }

    #[test]
    fn a_missing_interpreter_has_no_package() {
        assert_eq!(in_package(Path::new("/nonexistent/python")), None);
    }
}
