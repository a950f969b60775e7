//! `ailurus view`: a picture of the clusters.

use crate::cli::Outcome;
use crate::cli::args::ViewArgs;
use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use crate::{inputs, pipeline, view};

pub fn run(args: &ViewArgs, printer: &Printer) -> Outcome {
    let options = args.tuning.options(args.layer)?;
    let normalization = args.run.normalization()?;
    let target = args.output.canonicalize().ok();
    for source in [&args.input, &args.image] {
        if target.is_some() && source.canonicalize().ok() == target {
            let text = format!("the picture would replace `{}`", source.display());
            return Err(Failure::Usage(text));
        }
    }
    printer.progress("analyzing");
    let model = pipeline::load(&args.input)?;
    let analysis = pipeline::analyze(&model)?;
    let plan = pipeline::plan(&analysis, &options.rewrite)?;
    let picture = inputs::read(&args.image)?;
    printer.progress("running the first blocks");
    let clusters = view::clusters(&model, &plan, &args.image, &normalization, args.run.engine())?;
    view::save(&view::draw(&picture, &clusters), &args.output)?;
    printer.result(&format!(
        "{}: {} patches ({} x {}) in {} clusters behind block {}, computed by {}\n",
        args.output.display(),
        clusters.of_patch.len(),
        clusters.rows,
        clusters.columns,
        clusters.count(),
        args.layer,
        clusters.runtime,
    ))?;
    Ok(())
}
