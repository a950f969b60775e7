//! One error for the whole way from file to file.

use std::path::{Path, PathBuf};

use ailurus_analyze::Refusal;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong; [`Error::code`] gives the stable code, also of the errors it wraps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model cannot be read, edited or written.
    #[error(transparent)]
    Model(#[from] ailurus_onnx::Error),
    /// A model cannot be handled.
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// A plan cannot be made or carried out.
    #[error(transparent)]
    Rewrite(ailurus_rewrite::Error),
    /// A model cannot be run.
    #[cfg(feature = "runtime")]
    #[error(transparent)]
    Runtime(#[from] ailurus_runtime::Error),
    /// The rewritten model does not do what the original does.
    #[cfg(feature = "runtime")]
    #[error("verification failed: {reason}")]
    Verification {
        /// What was found.
        reason: String,
        /// All that was measured.
        verdict: Box<crate::verify::Verdict>,
    },
    /// A plan file cannot be used.
    #[error("cannot use the plan `{}`: {reason}", .path.display())]
    PlanFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A picture cannot be read.
    #[error("cannot read the image `{}`: {reason}", .path.display())]
    ImageFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The model's inputs cannot be made up from a picture or from noise.
    #[error("cannot make inputs for this model: {reason}")]
    Inputs {
        /// Why not.
        reason: String,
    },
    /// A folder or temporary file is in the way.
    #[error("cannot {action} `{}`: {source}; nothing was changed at the destination", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Reason given by the system.
        source: std::io::Error,
    },
    /// Something is wrong with one file, and the text does not say which.
    #[error("`{}`: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Error>,
    },
    /// A model without weights cannot be run.
    #[cfg(feature = "runtime")]
    #[error("{} carries no weights, so it cannot be run", shown(.path))]
    NoWeights {
        /// The model file, if there is one.
        path: Option<PathBuf>,
    },
    /// Two models have different inputs or outputs.
    #[cfg(feature = "runtime")]
    #[error("the models have different interfaces: {}", listed(.mismatches))]
    Interface {
        /// What differs.
        mismatches: Vec<crate::interface::Mismatch>,
    },
    /// The arrays of a file are not what a model takes.
    #[error("`{}`: {reason}", .path.display())]
    InputsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// What to do about it.
        next: String,
    },
    /// A folder gives no pictures.
    #[error("no pictures from `{}`: {reason}", .path.display())]
    Pictures {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The library of operators for ONNX Runtime is not where it was looked for.
    #[error("the library of operators for ONNX Runtime was not found; looked at: {}", .tried.join(", "))]
    OperatorsNotFound {
        /// The places looked at, in order.
        tried: Vec<String>,
    },
    /// A model holds bare operators, which ONNX Runtime does not know without the library.
    #[error("`{}` holds operators of ailurus without bodies, which ONNX Runtime does not know: {reason}", .path.display())]
    OperatorsNeeded {
        /// The model.
        path: PathBuf,
        /// What the runtime said.
        reason: String,
    },
    /// A library of operators is there, and is not what it should be.
    #[cfg(feature = "cli")]
    #[error("`{}` cannot be used: {reason}", .path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The sources of kernels and plugins cannot be written.
    #[cfg(feature = "cli")]
    #[error(transparent)]
    Sources(#[from] ailurus_plugins::Error),
    /// An option is outside its range.
    #[error("{option} = {value} is not allowed: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// The value given.
        value: String,
        /// Why not.
        reason: &'static str,
    },
}

#[cfg(feature = "runtime")]
fn listed(mismatches: &[crate::interface::Mismatch]) -> String {
    let mut texts: Vec<String> = mismatches.iter().take(LISTED).map(ToString::to_string).collect();
    if mismatches.len() > LISTED {
        texts.push(format!("and {} more", mismatches.len() - LISTED));
    }
    texts.join("; ")
}

/// Differences that a message names.
#[cfg(feature = "runtime")]
const LISTED: usize = 4;

#[cfg(feature = "runtime")]
fn shown(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(|| "the model".into(), |p| format!("`{}`", p.display()))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(Box::new(refusal))
    }
}

impl From<ailurus_rewrite::Error> for Error {
    fn from(error: ailurus_rewrite::Error) -> Self {
        // What the lower crate only passes on is shown as what it is.
        match error {
            ailurus_rewrite::Error::Refused(refusal) => Error::Refused(refusal),
            ailurus_rewrite::Error::Model(error) => Error::Model(error),
            error => Error::Rewrite(error),
        }
    }
}

impl Error {
    /// Names the file it is about, unless the text does so already.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        // refusals are about the graph, whatever file it was read from
        if matches!(self, Error::Refused(_) | Error::File { .. }) || self.to_string().contains(&*path.to_string_lossy())
        {
            return self;
        }
        Error::File { path: path.to_owned(), source: Box::new(self) }
    }

    /// The error's stable code, the same in every release.
    pub fn code(&self) -> String {
        match self {
            Error::Model(e) => e.code().to_owned(),
            Error::Refused(r) => format!("{:?}", r.code),
            Error::Rewrite(e) => e.code(),
            #[cfg(feature = "runtime")]
            Error::Runtime(e) => e.code().to_owned(),
            #[cfg(feature = "runtime")]
            Error::Verification { verdict, .. } if !verdict.interface.is_empty() => "AIL0708".to_owned(),
            #[cfg(feature = "runtime")]
            Error::Verification { .. } => "AIL0701".to_owned(),
            Error::PlanFile { .. } => "AIL0702".to_owned(),
            Error::ImageFile { .. } => "AIL0703".to_owned(),
            Error::Inputs { .. } => "AIL0704".to_owned(),
            Error::Io { .. } => "AIL0705".to_owned(),
            Error::Option { .. } => "AIL0706".to_owned(),
            Error::File { source, .. } => source.code(),
            #[cfg(feature = "runtime")]
            Error::NoWeights { .. } => "AIL0707".to_owned(),
            #[cfg(feature = "runtime")]
            Error::Interface { .. } => "AIL0708".to_owned(),
            Error::InputsFile { .. } => "AIL0709".to_owned(),
            Error::Pictures { .. } => "AIL0710".to_owned(),
            Error::OperatorsNotFound { .. } => "AIL0711".to_owned(),
            Error::OperatorsNeeded { .. } => "AIL0712".to_owned(),
            #[cfg(feature = "cli")]
            Error::Library { .. } => "AIL0713".to_owned(),
            #[cfg(feature = "cli")]
            Error::Sources(e) => e.code().to_owned(),
        }
    }

    /// True when the models were compared and found different.
    pub fn is_verification(&self) -> bool {
        matches!(self.code().as_str(), "AIL0701" | "AIL0708")
    }

    /// What is wrong, without code and advice.
    pub fn message(&self) -> String {
        match self {
            Error::Refused(r) => r.reason.clone(),
            Error::File { path, source } => format!("`{}`: {}", path.display(), source.message()),
            other => Text::of(other).message,
        }
    }

    /// The node it is about, where there is one.
    pub fn node(&self) -> Option<&str> {
        match self {
            Error::Refused(r) => r.node.as_deref(),
            Error::File { source, .. } => source.node(),
            _ => None,
        }
    }

    /// What to try.
    pub fn next(&self) -> Option<String> {
        match self {
            Error::Refused(r) => Some(r.next.clone()),
            Error::File { source, .. } => source.next(),
            Error::PlanFile { .. } => Some("make a plan with `ailurus plan MODEL --layer L > plan.json`".into()),
            Error::ImageFile { .. } => Some("give a picture in PNG or JPEG format".into()),
            #[cfg(feature = "runtime")]
            Error::NoWeights { .. } => Some(
                "it is a report made for an issue: run the model it was made from, or leave the running out".into(),
            ),
            #[cfg(feature = "runtime")]
            Error::Runtime(error) => runtime_advice(error).map(str::to_owned),
            #[cfg(feature = "runtime")]
            Error::Interface { .. } => Some(INTERFACE.into()),
            #[cfg(feature = "runtime")]
            Error::Verification { verdict, .. } if !verdict.interface.is_empty() => Some(INTERFACE.into()),
            Error::InputsFile { next, .. } => Some(next.clone()),
            Error::Pictures { .. } => Some("give a folder with pictures in PNG or JPEG format".into()),
            Error::OperatorsNotFound { .. } => Some(
                "give its path with `--plugin=PATH` or in AILURUS_ORT_LIBRARY, or put it beside the program; \
                 `cargo build --release -p ailurus-ort` builds it"
                    .into(),
            ),
            Error::OperatorsNeeded { .. } => {
                Some("run it with `--plugin`, or write it with function bodies (`--emit function`, the default)".into())
            }
            #[cfg(feature = "cli")]
            Error::Library { .. } => Some(
                "build it on this system: `cargo build --release -p ailurus-ort`, or `-p ailurus-trt` with TensorRT's headers"
                    .into(),
            ),
            #[cfg(feature = "cli")]
            Error::Sources(ailurus_plugins::Error::NotEmpty { .. }) => Some("give a new or empty folder".into()),
            other => Text::of(other).next,
        }
    }
}

/// What to try when a runtime, or what it is given, does not work.
#[cfg(feature = "runtime")]
fn runtime_advice(error: &ailurus_runtime::Error) -> Option<&'static str> {
    use ailurus_runtime::Error as Fault;
    match error {
        Fault::OperatorLibrary { .. } => {
            Some("give a library built for this system and this ONNX Runtime, or run without `--plugin`")
        }
        Fault::Provider { .. } => Some(
            "take the processor (`--provider cpu`), or point ORT_DYLIB_PATH at an ONNX Runtime that has the provider",
        ),
        Fault::Npz { .. } => Some("give an archive made by `numpy.savez`, of arrays of numbers in row-major order"),
        _ => None,
    }
}

#[cfg(feature = "runtime")]
const INTERFACE: &str = "give a model and another form of the same model, with the names and shapes it had";

/// The parts of a text such as `AIL0401: what is wrong; what to do` or `…\n  next: what to do`.
struct Text {
    message: String,
    next: Option<String>,
}

impl Text {
    fn of(error: &Error) -> Self {
        let text = error.to_string();
        let code = format!("{}: ", error.code());
        let text = text.strip_prefix(&code).unwrap_or(&text);
        let (message, next) = match text.split_once("\n  next: ") {
            Some((message, next)) => (message, Some(next.to_owned())),
            None => (text, None),
        };
        Text { message: message.trim_end().to_owned(), next }
    }
}
