//! Writes a folder of sources that builds, without Rust, the plugin library for TensorRT and a library of kernels for the
//! CUDA provider of ONNX Runtime: the CUDA kernels, as sources and as PTX, the launcher, what faces the two runtimes, a
//! CMakeLists.txt and a README.
//!
//! Everything is in this crate as texts: it needs neither CUDA nor TensorRT nor a C++ compiler.

mod error;
mod texts;

#[path = "../../ailurus-cuda/src/images.rs"]
mod images;

pub use error::{Error, Result};

use std::path::{Path, PathBuf};

/// A file: its path in the folder, with `/`, and its text.
pub type File = (&'static str, String);

/// All files of the folder.
pub fn files() -> Vec<File> {
    let texts = texts::KERNELS.iter().chain(texts::LAUNCHER).chain(texts::PLUGIN).chain(texts::ONNXRUNTIME);
    let texts = texts.chain(texts::BUILD);
    let mut files: Vec<File> = texts.map(|(path, text)| (*path, (*text).to_owned())).collect();
    files.push(("launcher/images.cpp", images::definitions([(0, texts::PTX.as_bytes())])));
    files
}

/// Looks whether [`emit`] may write into the folder.
///
/// # Errors
/// When it is there and not empty.
pub fn check(folder: &Path) -> Result<()> {
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::NotEmpty { path: folder.to_owned() });
    }
    Ok(())
}

/// Writes the folder and returns the paths of the files.
///
/// # Errors
/// When the folder is there and not empty, in which case nothing is written, or when a file cannot be written.
pub fn emit(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    check(folder)?;
    let mut written = Vec::new();
    for (name, text) in files() {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(failed(parent))?;
        std::fs::write(&path, text).map_err(failed(&path))?;
        written.push(path);
    }
    Ok(written)
}
