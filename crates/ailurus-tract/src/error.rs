//! What can go wrong in the embedded runtime.

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the embedded runtime; [`Error::code`] gives its stable code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read as a model.
    #[error("tract cannot read the model: {0}")]
    Read(String),
    /// The model uses an operator that tract does not have.
    #[error("tract has no operator {operator:?} (node {node:?})")]
    Operator {
        /// The operator.
        operator: String,
        /// The first node that uses it.
        node: String,
    },
    /// The model calls a function defined in the file.
    #[error("tract knows no model-local functions, but node {node:?} calls {function:?}; inline them first")]
    Function {
        /// The function.
        function: String,
        /// The first node that calls it.
        node: String,
    },
    /// Types or shapes could not be worked out for these inputs.
    #[error("tract cannot prepare the model for inputs of shape {shapes}: {reason}")]
    Prepare {
        /// The inputs' shapes.
        shapes: String,
        /// What tract says.
        reason: String,
    },
    /// The model failed while it ran.
    #[error("tract failed while running the model: {0}")]
    Run(String),
    /// A value has a type that cannot go in or out.
    #[error("{what} is of type {kind}, which tract cannot exchange here")]
    ValueType {
        /// Which value.
        what: String,
        /// Its type.
        kind: String,
    },
}

impl Error {
    /// The error's stable code, the same in every release.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Read(_) => "AIL0601",
            Error::Operator { .. } => "AIL0602",
            Error::Function { .. } => "AIL0603",
            Error::Prepare { .. } => "AIL0604",
            Error::Run(_) => "AIL0605",
            Error::ValueType { .. } => "AIL0606",
        }
    }
}

impl From<Error> for ailurus_runtime::Error {
    fn from(error: Error) -> Self {
        ailurus_runtime::Error::Backend { code: error.code(), source: Box::new(error) }
    }
}
