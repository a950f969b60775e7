//! `ailurus plan`: every change, as JSON.

use crate::cli::Outcome;
use crate::cli::args::PlanArgs;
use crate::cli::printer::Printer;
use crate::pipeline;

pub fn run(args: &PlanArgs, printer: &Printer) -> Outcome {
    let options = args.tuning.options_at(args.layer.as_ref())?;
    printer.progress("analyzing");
    let model = pipeline::load(&args.input)?;
    let analysis = pipeline::analyze(&model, args.tuning.trunk.as_deref())?;
    let plan = pipeline::plan(&analysis, &options.rewrite)?;
    printer.json(&plan)?;
    Ok(())
}
