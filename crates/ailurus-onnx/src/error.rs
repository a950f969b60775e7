//! Everything that can go wrong with an ONNX file or an edit of it.

use std::{io, path::PathBuf};

/// Error of this crate. The text says what failed, where, why and what to do next; [`Error::code`] is stable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model file cannot be opened or mapped.
    #[error("cannot read model `{}`: {source}", path.display())]
    Open {
        /// Model file.
        path: PathBuf,
        /// Reason given by the system.
        source: io::Error,
    },
    /// The bytes are no ONNX model at all.
    #[error("{} is not an ONNX model: {reason}", shown(path))]
    NotOnnx {
        /// Model file, if there is one.
        path: Option<PathBuf>,
        /// What was found instead.
        reason: String,
    },
    /// The wire format is broken: cut short, lengths out of range, groups, bad UTF-8.
    #[error("broken ONNX data at byte {offset}: {reason}; the file is damaged or cut short, fetch or export it again")]
    Malformed {
        /// Position in the file.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// Messages are nested deeper than any real model does.
    #[error("messages at byte {offset} are nested more than {limit} deep; refusing to follow")]
    TooDeep {
        /// Position in the file.
        offset: usize,
        /// Deepest nesting accepted.
        limit: usize,
    },
    /// A form of ONNX this library does not handle.
    #[error("{what} is not supported; export the model again without it")]
    Unsupported {
        /// The form and where it occurs.
        what: String,
    },
    /// A node or output reads a name that nothing defines.
    #[error("{reader} reads `{name}`, which nothing defines; the model is invalid, `onnx.checker` says more")]
    Undefined {
        /// Name that is missing.
        name: String,
        /// Who reads it.
        reader: String,
    },
    /// A name is defined twice (single assignment broken).
    #[error("`{name}` is defined twice: {first} and {second}; every value name must have one definition")]
    Duplicate {
        /// The name.
        name: String,
        /// First definition.
        first: String,
        /// Second definition.
        second: String,
    },
    /// Nodes depend on each other in a circle.
    #[error("{node} depends on its own output; no execution order exists")]
    Cycle {
        /// A node of the circle.
        node: String,
    },
    /// A name of the outer graph is defined again inside a subgraph.
    #[error("`{name}` would be shadowed inside a subgraph of {node}; choose another name")]
    Shadowed {
        /// The name.
        name: String,
        /// Node holding the subgraph.
        node: String,
    },
    /// An external data path that could leave the model's folder.
    #[error(
        "tensor `{tensor}` refers to external data `{location}`: {reason}; external data must lie inside the model's folder"
    )]
    UnsafePath {
        /// Tensor.
        tensor: String,
        /// Path as written in the model.
        location: String,
        /// Why it is refused.
        reason: String,
    },
    /// An external data file cannot be read.
    #[error("cannot read external data file `{}` of tensor `{tensor}`: {source}; put the file beside the model", path.display())]
    ExternalOpen {
        /// Tensor.
        tensor: String,
        /// Data file.
        path: PathBuf,
        /// Reason given by the system.
        source: io::Error,
    },
    /// An external data file ends before the tensor does.
    #[error(
        "external data file `{}` has {have} bytes, but tensor `{tensor}` needs {need}; fetch the file again",
        path.display()
    )]
    ExternalShort {
        /// Tensor.
        tensor: String,
        /// Data file.
        path: PathBuf,
        /// Bytes in the file.
        have: u64,
        /// Bytes up to the end of the tensor.
        need: u64,
    },
    /// The elements of a tensor are not available in the form asked for.
    #[error("tensor `{tensor}`: {reason}")]
    Payload {
        /// Tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// An edit that makes no sense.
    #[error("edit refused: {reason}")]
    Edit {
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot {action} `{}`: {source}; nothing was changed at the destination", path.display())]
    Write {
        /// What was tried.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Reason given by the system.
        source: io::Error,
    },
    /// The output is the input.
    #[error("`{}` {}; choose another output{}", path.display(),
        if *replaceable { "is the file being read" } else { "is read for the output" },
        if *replaceable { ", or ask for overwriting explicitly" } else { "" })]
    SameFile {
        /// The file.
        path: PathBuf,
        /// It may be overwritten where that is asked for; files with data of tensors may not.
        replaceable: bool,
    },
    /// External data cannot stay where it is.
    #[error(
        "external data `{}` does not lie inside the output folder `{}`; write with external data copied (`copy`) or gathered in one file (`single`)",
        data.display(), folder.display()
    )]
    ExternalOutside {
        /// Data file.
        data: PathBuf,
        /// Folder of the output.
        folder: PathBuf,
    },
    /// The file would exceed what protobuf can hold.
    #[error("`{}` would hold {bytes} bytes in one protobuf message, more than the 2 GB any runtime loads; keep its weights in external data", path.display())]
    TooLarge {
        /// Output file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
}

impl Error {
    /// Stable code of the error, for scripts and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "AIL0101",
            Self::NotOnnx { .. } => "AIL0102",
            Self::Malformed { .. } => "AIL0103",
            Self::TooDeep { .. } => "AIL0104",
            Self::Unsupported { .. } => "AIL0105",
            Self::Undefined { .. } => "AIL0106",
            Self::Duplicate { .. } => "AIL0107",
            Self::Cycle { .. } => "AIL0108",
            Self::Shadowed { .. } => "AIL0109",
            Self::UnsafePath { .. } => "AIL0110",
            Self::ExternalOpen { .. } => "AIL0111",
            Self::ExternalShort { .. } => "AIL0112",
            Self::Payload { .. } => "AIL0113",
            Self::Edit { .. } => "AIL0114",
            Self::Write { .. } => "AIL0115",
            Self::SameFile { .. } => "AIL0116",
            Self::ExternalOutside { .. } => "AIL0117",
            Self::TooLarge { .. } => "AIL0118",
        }
    }

    pub(crate) fn malformed(offset: usize, reason: impl Into<String>) -> Self {
        Self::Malformed { offset, reason: reason.into() }
    }

    pub(crate) fn edit(reason: impl Into<String>) -> Self {
        Self::Edit { reason: reason.into() }
    }

    pub(crate) fn payload(tensor: &str, reason: impl Into<String>) -> Self {
        Self::Payload { tensor: tensor.into(), reason: reason.into() }
    }
}

fn shown(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(|| "the data".into(), |p| format!("`{}`", p.display()))
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
