//! Why a command did not do its job, and the exit code that says so.

use std::fmt;

use crate::Error;

/// A command's failure.
#[derive(Debug)]
pub enum Failure {
    /// The flags make no sense together.
    Usage(String),
    /// Something went wrong on the way.
    Error(Error),
    /// A fault of the program itself.
    Fault(String),
    /// Standard output cannot be written.
    Output(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

impl From<ailurus_analyze::Refusal> for Failure {
    fn from(refusal: ailurus_analyze::Refusal) -> Self {
        Failure::Error(refusal.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Output(error)
    }
}

impl Failure {
    /// 1 refused, 2 usage, 3 verification failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Error(error) if error.is_verification() => 3,
            Failure::Error(_) | Failure::Output(_) | Failure::Fault(_) => 1,
        }
    }
}

/// The message alone; code, place and advice are separate parts of the diagnostic.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) => f.write_str(text),
            Failure::Error(error) => {
                f.write_str(&error.message())?;
                match error.node() {
                    Some(node) => write!(f, "\nat node {node}"),
                    None => Ok(()),
                }
            }
            Failure::Fault(text) => write!(f, "internal fault: {text}"),
            Failure::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl miette::Diagnostic for Failure {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Failure::Error(error) => Some(Box::new(error.code())),
            Failure::Usage(_) | Failure::Output(_) | Failure::Fault(_) => None,
        }
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Failure::Error(error) => {
                let more = format!("`ailurus explain {}` tells more", error.code());
                Some(Box::new(match error.next() {
                    Some(next) => format!("{next}\n{more}"),
                    None => more,
                }))
            }
            Failure::Usage(_) => Some(Box::new("`--help` lists the options")),
            Failure::Fault(_) => Some(Box::new("nothing was written; please report this, with the model if you can")),
            Failure::Output(_) => None,
        }
    }
}
