//! Why a command did not do its job, and the exit code that says so.

use std::fmt;
use std::path::Path;

use ailurus_rewrite::Layer;

use crate::Error;

/// A command's failure.
#[derive(Debug)]
pub enum Failure {
    /// The flags make no sense together.
    Usage(String),
    /// Something went wrong on the way.
    Error(Error),
    /// A model cannot be handled; this command writes a report of it.
    Model(Error, String),
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
    /// Adds how to report a model that cannot be handled.
    pub fn about(self, input: &Path, layer: Option<&Layer>, trunk: Option<&str>) -> Self {
        match self {
            Failure::Error(Error::Refused(refusal)) if refusal.code.is_about_model() => {
                let layer = layer.map_or_else(String::new, |l| format!(" --layer {}", quoted(&l.to_string())));
                let input = quoted(&input.display().to_string());
                let trunk = trunk.map(|t| format!(" --trunk {}", quoted(t))).unwrap_or_default();
                let command = format!("ailurus inspect {input}{layer}{trunk} --report report.onnx");
                Failure::Model(Error::Refused(refusal), command)
            }
            other => other,
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Failure::Error(error) | Failure::Model(error, _) => Some(error),
            Failure::Usage(_) | Failure::Fault(_) | Failure::Output(_) => None,
        }
    }

    /// What to try, in terms of this program where the library's are not enough.
    fn next(&self) -> Option<String> {
        let error = self.error()?;
        match error {
            Error::Model(ailurus_onnx::Error::SameFile { replaceable: true, .. }) => {
                Some("`--force` lets the output replace the model".into())
            }
            Error::Model(ailurus_onnx::Error::ExternalOutside { .. }) => {
                Some("say `--external-data copy` or `--external-data single`".into())
            }
            other => other.next(),
        }
    }

    /// 1 refused, 2 usage, 3 verification failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Error(error) if error.is_verification() => 3,
            Failure::Error(_) | Failure::Model(..) | Failure::Output(_) | Failure::Fault(_) => 1,
        }
    }
}

/// The message alone; code, place and advice are separate parts of the diagnostic.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) => f.write_str(text),
            Failure::Error(error) | Failure::Model(error, _) => {
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
        Some(Box::new(self.error()?.code()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let more = |error: &Error| format!("`ailurus explain {}` tells more", error.code());
        Some(match self {
            Failure::Error(_) | Failure::Model(..) => {
                let lines = self.next().into_iter().chain(self.error().map(more));
                let report = match self {
                    Failure::Model(_, command) => {
                        Some(format!("`{command}` writes a file without weights that can be attached to an issue"))
                    }
                    _ => None,
                };
                Box::new(lines.chain(report).collect::<Vec<_>>().join("\n"))
            }
            Failure::Usage(_) => Box::new("`--help` lists the options"),
            Failure::Fault(_) => Box::new("nothing was written; please report this, with the model if you can"),
            Failure::Output(_) => return None,
        })
    }
}

/// An argument as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:+=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        assert_eq!(quoted("a/b.onnx"), "a/b.onnx");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
