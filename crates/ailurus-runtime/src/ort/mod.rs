//! ONNX Runtime through its C interface, loaded while the program runs.

mod library;
mod locate;
mod session;
mod value;

use std::path::{Path, PathBuf};

use self::library::Library;
use crate::{Model, Result, Runtime, Session, SessionOptions};

/// The runtime's name in messages.
const NAME: &str = "ONNX Runtime";

/// ONNX Runtime 1.17 or newer.
#[derive(Debug, Clone, Copy)]
pub struct OnnxRuntime {
    library: &'static Library,
}

impl OnnxRuntime {
    /// Finds and loads the library: `ORT_DYLIB_PATH`, else the Python package `onnxruntime` of
    /// `AILURUS_PYTHON`, of `.cache/venv` in this folder or one above, or of `python3`.
    pub fn find() -> Result<Self> {
        Self::from_library(&locate::library()?)
    }

    /// Loads this library. It stays loaded for the rest of the process.
    pub fn from_library(path: &Path) -> Result<Self> {
        Ok(OnnxRuntime { library: library::load(path)? })
    }

    /// The library's version, such as `1.22.1`.
    pub fn version(&self) -> &str {
        &self.library.version
    }

    /// The library's file.
    pub fn library(&self) -> PathBuf {
        self.library.path.clone()
    }
}

impl Runtime for OnnxRuntime {
    fn name(&self) -> String {
        format!("{NAME} {}", self.version())
    }

    fn load(&self, model: Model<'_>, options: &SessionOptions) -> Result<Box<dyn Session>> {
        Ok(Box::new(session::OrtSession::new(self.library, model, options)?))
    }
}
