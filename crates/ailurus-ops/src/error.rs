//! Errors of this crate. Codes are stable; `AIL03xx` belongs to the operators.

/// What an operator can object to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is outside its range.
    #[error("{operator}: {name} = {value} is not allowed: {reason}")]
    InvalidParameter {
        /// Operator name.
        operator: &'static str,
        /// Attribute name.
        name: &'static str,
        /// The value, as text.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// A node lacks an attribute that has no default.
    #[error("{operator}: attribute `{name}` is missing")]
    MissingAttribute {
        /// Operator name.
        operator: &'static str,
        /// Attribute name.
        name: &'static str,
    },
    /// A node carries an attribute the operator does not know.
    #[error("{operator}: unknown attribute `{name}`")]
    UnknownAttribute {
        /// Operator name.
        operator: &'static str,
        /// Attribute name.
        name: String,
    },
    /// An attribute has the wrong kind.
    #[error("{operator}: attribute `{name}` must be {expected}")]
    WrongAttributeKind {
        /// Operator name.
        operator: &'static str,
        /// Attribute name.
        name: String,
        /// Expected kind.
        expected: &'static str,
    },
    /// More clusters are asked for than there are patches.
    #[error("{operator}: {asked} clusters asked for, but there are only {patches} patches")]
    TooManyClusters {
        /// Operator name.
        operator: &'static str,
        /// Clusters asked for.
        asked: usize,
        /// Patches on the grid.
        patches: usize,
    },
    /// The grid of centres is finer than that of the patches.
    #[error("{operator}: centres on a grid of {clusters:?} asked for, but there are only {grid:?} patches")]
    ClusterGridTooFine {
        /// Operator name.
        operator: &'static str,
        /// Rows and columns of centres asked for.
        clusters: (usize, usize),
        /// Rows and columns of patches.
        grid: (usize, usize),
    },
    /// An input does not have the expected shape.
    #[error("{operator}: input `{input}`: expected {expected}, got {got}")]
    Shape {
        /// Operator name.
        operator: &'static str,
        /// Input name.
        input: &'static str,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// A row number points outside the rows there are.
    #[error("{operator}: index {value} at position {position} is outside 0..{rows}")]
    IndexOutOfRange {
        /// Operator name.
        operator: &'static str,
        /// Offending value.
        value: i64,
        /// Its position in the flat index tensor.
        position: usize,
        /// Number of rows.
        rows: usize,
    },
    /// The problem does not fit the limits of the implementation.
    #[error("{operator}: {what} is too large")]
    TooLarge {
        /// Operator name.
        operator: &'static str,
        /// What is too large.
        what: String,
    },
    /// A grid is needed, and is neither an attribute nor an input.
    #[error("{operator}: the patch grid is not static, so it must be given as the input `grid`")]
    GridUnknown {
        /// Operator name.
        operator: &'static str,
    },
    /// The caller's body options cannot be served.
    #[error("{operator}: no body of standard operators: {reason}")]
    NoBody {
        /// Operator name.
        operator: &'static str,
        /// Why not.
        reason: String,
    },
    /// Weights to be folded do not have the stated shape.
    #[error("key weights cannot be averaged over heads: {0}")]
    Fold(String),
}

impl Error {
    /// The stable code of this error, for documentation and `ailurus explain`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidParameter { .. } => "AIL0301",
            Self::MissingAttribute { .. } => "AIL0302",
            Self::UnknownAttribute { .. } => "AIL0303",
            Self::WrongAttributeKind { .. } => "AIL0304",
            Self::TooManyClusters { .. } | Self::ClusterGridTooFine { .. } => "AIL0305",
            Self::Shape { .. } => "AIL0306",
            Self::IndexOutOfRange { .. } => "AIL0307",
            Self::TooLarge { .. } => "AIL0308",
            Self::GridUnknown { .. } => "AIL0309",
            Self::NoBody { .. } => "AIL0310",
            Self::Fold(_) => "AIL0311",
        }
    }
}

/// Result with [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Checks that a flat slice has the length its shape says; the one place where shapes meet memory.
pub(crate) fn check_len(operator: &'static str, input: &'static str, got: usize, shape: &[usize]) -> Result<()> {
    match shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)) {
        Some(n) if n == got => Ok(()),
        Some(n) => Err(Error::Shape {
            operator,
            input,
            expected: format!("{n} elements for shape {shape:?}"),
            got: format!("{got}"),
        }),
        None => Err(Error::TooLarge { operator, what: format!("shape {shape:?} of `{input}`") }),
    }
}
