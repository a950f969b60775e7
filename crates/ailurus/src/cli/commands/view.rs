//! `ailurus view`: a picture of the clusters.

use crate::cli::Outcome;
use crate::cli::args::ViewArgs;
use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use crate::{inputs, pipeline, view};

pub fn run(args: &ViewArgs, printer: &Printer) -> Outcome {
    let options = args.tuning.options_at(args.layer.as_ref())?;
    let normalization = args.run.normalization()?;
    if !args.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        let text = format!("the picture is written as PNG: `{}` must end in .png", args.output.display());
        return Err(Failure::Usage(text));
    }
    let target = args.output.canonicalize().ok();
    for source in [&args.input, &args.image] {
        if target.is_some() && source.canonicalize().ok() == target {
            let text = format!("the picture would replace `{}`", source.display());
            return Err(Failure::Usage(text));
        }
    }
    // Whatever lies there, weights of the model for one, is only replaced when it is a picture of this kind.
    if args.output.is_file() && !is_replaceable(&args.output) {
        let text = format!("`{}` exists and is no PNG picture; it is not replaced", args.output.display());
        return Err(Failure::Usage(text));
    }
    printer.progress("analyzing");
    let model = pipeline::load(&args.input)?;
    let analysis = pipeline::analyze(&model, args.tuning.trunk.as_deref())?;
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
        plan.layer,
        clusters.runtime,
    ))?;
    Ok(())
}

/// True for an empty file and for a PNG.
fn is_replaceable(path: &std::path::Path) -> bool {
    use std::io::Read;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(8).read_to_end(&mut head));
    read.is_ok() && (head.is_empty() || head == *b"\x89PNG\r\n\x1a\n")
}
