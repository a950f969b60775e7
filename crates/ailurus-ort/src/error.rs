//! Errors of this crate. Codes are stable; `AIL09xx` belongs to the library for ONNX Runtime.

/// What can go wrong between ONNX Runtime and a kernel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// ONNX Runtime is older than the interface.
    #[error("ONNX Runtime {found} is too old for this library: 1.17 or newer is needed")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// A kernel panicked, which is a fault of this library.
    #[error("internal error: {0}; please report it with the model's report (`ailurus inspect MODEL --report FILE`)")]
    Panic(String),
    /// ONNX Runtime refused a call.
    #[error("ONNX Runtime: {0}")]
    Ort(String),
    /// A tensor does not have the type the node was made for.
    #[error("{operator}: input `{input}` has the element type number {got}, not {expected}")]
    InputType {
        /// Operator name.
        operator: &'static str,
        /// Input name.
        input: &'static str,
        /// ONNX number of the type expected.
        expected: i32,
        /// ONNX number of the type that came.
        got: i32,
    },
    /// An input is missing.
    #[error("{operator}: input `{input}` is missing")]
    MissingInput {
        /// Operator name.
        operator: &'static str,
        /// Input name.
        input: &'static str,
    },
    /// The launcher of CUDA kernels objects.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] ailurus_cuda::Error),
    /// The operator objects.
    #[error(transparent)]
    Operator(#[from] ailurus_ops::Error),
}

impl Error {
    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::TooOld { .. } => "AIL0901",
            Self::Panic(_) => "AIL0902",
            Self::Ort(_) => "AIL0903",
            Self::InputType { .. } => "AIL0904",
            Self::MissingInput { .. } => "AIL0905",
            #[cfg(feature = "cuda")]
            Self::Cuda(error) => error.code(),
            Self::Operator(error) => error.code(),
        }
    }
}

/// Result with [`enum@Error`].
pub(crate) type Result<T> = std::result::Result<T, Error>;
