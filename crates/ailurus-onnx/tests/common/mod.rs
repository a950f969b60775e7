//! Shared helpers.
#![allow(dead_code, clippy::print_stderr)]

use std::path::{Path, PathBuf};

/// Files of the model zoo; empty, and said so, when the folder is absent.
pub fn zoo() -> Vec<PathBuf> {
    let folder = match std::env::var_os("AILURUS_ZOO") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/zoo"),
    };
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no model zoo at {}; set AILURUS_ZOO", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "onnx"));
    files.sort();
    files
}
