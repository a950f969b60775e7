//! Errors of planning and rewriting.

use ailurus_analyze::Refusal;

/// What can go wrong between an analysis and a rewritten model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model cannot be handled.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The model cannot be read or edited.
    #[error(transparent)]
    Model(#[from] ailurus_onnx::Error),
    /// Parameters of an operator do not fit.
    #[error(transparent)]
    Operator(#[from] ailurus_ops::Error),
    /// A plan names something that the model does not have.
    #[error(
        "AIL0401: the plan names {what} `{name}`, which this model does not have\n  next: replay a plan only on the model it was made for"
    )]
    Foreign {
        /// kind of thing
        what: &'static str,
        /// its name
        name: String,
    },
    /// Options that do not go together.
    #[error("AIL0403: the options do not go together: {0}")]
    Options(&'static str),
    /// Windows hold too few patches.
    #[error(
        "AIL0404: windows of two by two patches leave at least {least} tokens, and {wanted} are asked for\n  next: keep {least} or more (--tokens {least}), or use --method ailurus"
    )]
    Windows {
        /// tokens asked for
        wanted: usize,
        /// fewest tokens
        least: usize,
    },
    /// A plan contradicts itself.
    #[error("AIL0402: the plan is not usable: {0}\n  next: make a new plan with `ailurus plan`")]
    Plan(String),
    /// A saved plan says something that the model it is carried out on does not.
    #[error(
        "AIL0402: the plan is not usable: its `{field}` is {saved}, where the analysis of this model gives {derived}\n  next: edit only tokens.keep, cluster, metric, proportional and the modes of unfolds, from which the rest follows; or make a new plan with `ailurus plan`"
    )]
    Edited {
        /// field of the plan
        field: String,
        /// what it is
        saved: String,
        /// what it would have to be
        derived: String,
    },
}

impl From<Refusal> for Error {
    fn from(r: Refusal) -> Self {
        Self::Refused(Box::new(r))
    }
}

impl Error {
    /// Stable code.
    pub fn code(&self) -> String {
        match self {
            Self::Refused(r) => format!("{:?}", r.code),
            Self::Model(e) => e.code().to_owned(),
            Self::Operator(e) => e.code().to_owned(),
            Self::Foreign { .. } => "AIL0401".to_owned(),
            Self::Options(_) => "AIL0403".to_owned(),
            Self::Windows { .. } => "AIL0404".to_owned(),
            Self::Plan(_) | Self::Edited { .. } => "AIL0402".to_owned(),
        }
    }
}
