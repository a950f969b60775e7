//! Errors of this crate. Codes are stable; they are in the range of the TensorRT plugins.

use std::path::PathBuf;

/// Why the sources could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder has files in it.
    #[error("the folder `{}` is not empty; nothing was written", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot write `{}`: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEmpty { .. } => "AIL1012",
            Self::Io { .. } => "AIL1013",
        }
    }
}

/// Result with [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
