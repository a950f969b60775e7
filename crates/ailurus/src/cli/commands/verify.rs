//! `ailurus verify`: two models on the same input.

use crate::Error;
use crate::cli::args::VerifyArgs;
use crate::cli::printer::Printer;
use crate::cli::{Outcome, format};

pub fn run(args: &VerifyArgs, printer: &Printer) -> Outcome {
    let check = args.resolve()?;
    printer.progress("loading both models");
    let begin = |at: usize, all: usize| match all {
        1 => printer.progress("running both models"),
        _ => printer.progress(&format!("running both models, picture {at} of {all}")),
    };
    let (verdict, failure) = match check.files_observed(&args.original, &args.other, &begin) {
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
