//! What can go wrong while a model is loaded, run or compared.

use std::path::PathBuf;

use crate::DataType;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate; [`Error::code`] gives its stable code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No ONNX Runtime library was found.
    #[error(
        "ONNX Runtime was not found (looked at: {}); set ORT_DYLIB_PATH to libonnxruntime, or \
         `pip install onnxruntime` and set AILURUS_PYTHON to that Python",
        .tried.join(", ")
    )]
    LibraryNotFound {
        /// The places looked at, in order.
        tried: Vec<String>,
    },
    /// The library exists but the system's loader refuses it.
    #[error("{} cannot be loaded as ONNX Runtime: {reason}", .path.display())]
    LibraryUnloadable {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The library is older than the interface needs.
    #[error("{} is ONNX Runtime {version}; 1.17 or newer is needed", .path.display())]
    LibraryIncompatible {
        /// The library.
        path: PathBuf,
        /// The version it reports.
        version: String,
    },
    /// A runtime refused the model.
    #[error("{runtime} cannot load the model: {reason}")]
    Load {
        /// The runtime's name.
        runtime: &'static str,
        /// What it said.
        reason: String,
    },
    /// A runtime failed while it ran the model.
    #[error("{runtime} failed while running the model: {reason}")]
    Run {
        /// The runtime's name.
        runtime: &'static str,
        /// What it said.
        reason: String,
    },
    /// The model has no input of that name.
    #[error("the model has no input {name:?}; its inputs are {}", .known.join(", "))]
    UnknownInput {
        /// The name given.
        name: String,
        /// The inputs it has.
        known: Vec<String>,
    },
    /// An input of the model was not given.
    #[error("no value was given for the input {name:?}")]
    MissingInput {
        /// The input.
        name: String,
    },
    /// An input has another element type than the model declares.
    #[error("the input {name:?} is {given}, the model declares {declared}")]
    InputType {
        /// The input.
        name: String,
        /// The type given.
        given: DataType,
        /// The type declared.
        declared: DataType,
    },
    /// A value is not a dense tensor of a type that [`crate::Tensor`] holds.
    #[error("{what} is {kind}, which is not supported here")]
    UnsupportedType {
        /// Which value.
        what: String,
        /// Its type in words.
        kind: String,
    },
    /// The number of elements does not follow from the dimensions.
    #[error("dimensions {dims:?} do not describe {elements} elements")]
    ShapeMismatch {
        /// The dimensions given.
        dims: Vec<usize>,
        /// The number of elements given.
        elements: usize,
    },
    /// Reading or writing a file failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not the npz or npy file that it should be.
    #[error("{}: {reason}", .path.display())]
    Npz {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Two values cannot be compared.
    #[error("{name:?} cannot be compared: {reason}")]
    Incomparable {
        /// The output.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A runtime does not take a library of operators.
    #[error("{runtime} does not take {} as a library of operators: {reason}", .path.display())]
    OperatorLibrary {
        /// The runtime's name.
        runtime: &'static str,
        /// The library.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// A runtime cannot compute there.
    #[error("{runtime} cannot use {provider} here: {reason}")]
    Provider {
        /// The runtime's name.
        runtime: &'static str,
        /// What was asked for.
        provider: crate::Provider,
        /// What it said.
        reason: String,
    },
    /// An error of a runtime implemented in another crate.
    #[error("{source}")]
    Backend {
        /// That crate's code for it.
        code: &'static str,
        /// The error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The error's stable code, the same in every release.
    pub fn code(&self) -> &'static str {
        match self {
            Error::LibraryNotFound { .. } => "AIL0501",
            Error::LibraryUnloadable { .. } => "AIL0502",
            Error::LibraryIncompatible { .. } => "AIL0503",
            Error::Load { .. } => "AIL0504",
            Error::Run { .. } => "AIL0505",
            Error::UnknownInput { .. } => "AIL0506",
            Error::MissingInput { .. } => "AIL0507",
            Error::InputType { .. } => "AIL0508",
            Error::UnsupportedType { .. } => "AIL0509",
            Error::ShapeMismatch { .. } => "AIL0510",
            Error::Io { .. } => "AIL0511",
            Error::Npz { .. } => "AIL0512",
            Error::Incomparable { .. } => "AIL0513",
            Error::OperatorLibrary { .. } => "AIL0514",
            Error::Provider { .. } => "AIL0515",
            Error::Backend { code, .. } => code,
        }
    }
}
