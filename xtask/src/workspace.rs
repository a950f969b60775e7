//! Where things are.

use std::path::{Path, PathBuf};

/// The folder that holds the workspace manifest.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder for everything fetched or generated: `AILURUS_CACHE`, or `.cache` in the workspace.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("AILURUS_CACHE").filter(|v| !v.is_empty()).map_or_else(|| root().join(".cache"), PathBuf::from)
}

/// A Python script that ships with xtask.
pub(crate) fn script(name: &str) -> PathBuf {
    root().join("xtask/python").join(name)
}
