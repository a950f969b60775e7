//! `ailurus rewrite`, also known as `ailurus-rewrite`.

use crate::cli::args::RewriteArgs;
use crate::cli::printer::Printer;
use crate::cli::{Outcome, format};
use crate::{Error, Rewriter, Stage};

pub fn run(args: &RewriteArgs, printer: &Printer) -> Outcome {
    let wanted = args.resolve()?;
    let observer = |stage| {
        printer.progress(match stage {
            Stage::Load => "reading the model",
            Stage::Analyze => "analyzing",
            Stage::Plan => "planning",
            Stage::Rewrite => "rewriting",
            Stage::Verify => "running both models",
            Stage::Emit => "writing",
        });
    };
    let mut rewriter = Rewriter::new(wanted.options).dry_run(args.dry_run).observe(&observer);
    if let Some(plan) = wanted.plan {
        rewriter = rewriter.replay(plan);
    }
    if let Some(check) = wanted.check {
        rewriter = rewriter.check(check);
    }
    let sources = args.emit_plugins.as_deref().filter(|_| !args.dry_run);
    if let Some(folder) = sources {
        // A folder in the way is found before anything is written.
        ailurus_plugins::check(folder).map_err(Error::from)?;
    }
    let summary = match rewriter.run(&args.input, &args.output) {
        Ok(summary) => summary,
        Err(error) => {
            // What was measured helps to see what went wrong.
            if let (Error::Verification { verdict, .. }, false) = (&error, args.json) {
                printer.result(&format::verdict(verdict))?;
            }
            // What a plan says that the model does not is a fault of that file.
            return Err(match (&args.plan, error) {
                (Some(plan), error @ Error::Rewrite(_)) => error.in_file(plan).into(),
                (_, error) => error.into(),
            });
        }
    };
    if let Some(folder) = sources {
        ailurus_plugins::emit(folder).map_err(Error::from)?;
    }
    if args.json {
        printer.json(&summary)?;
    } else {
        printer.result(&format::summary(&summary))?;
    }
    Ok(())
}
