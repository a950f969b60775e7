//! `ailurus verify`: two models on the same input.

use crate::Error;
use crate::cli::args::VerifyArgs;
use crate::cli::printer::Printer;
use crate::cli::{Outcome, format};

pub fn run(args: &VerifyArgs, printer: &Printer) -> Outcome {
    let check = args.resolve()?;
    printer.progress("running both models");
    let (verdict, failure) = match check.files(&args.original, &args.other) {
        Ok(verdict) => (verdict, None),
        Err(Error::Verification { verdict, reason }) => {
            let copy = (*verdict).clone();
            (copy, Some(Error::Verification { verdict, reason }))
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        printer.json(&verdict)?;
    } else {
        printer.result(&format!(
            "{} against {}\n{}",
            args.other.display(),
            args.original.display(),
            format::verdict(&verdict)
        ))?;
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}
