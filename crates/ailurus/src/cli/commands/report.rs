//! `ailurus inspect --report`: a file without weights, for an issue.

use std::path::Path;

use ailurus_rewrite::report::{Outcome as Said, Report};

use crate::cli::args::InspectArgs;
use crate::cli::printer::Printer;
use crate::cli::{Outcome, format};
use crate::report::{self, ReportSummary};

pub fn run(args: &InspectArgs, output: &Path, printer: &Printer) -> Outcome {
    let layer = args.tuning.layer(args.layer.as_ref());
    let options = layer.map(|layer| args.tuning.options(layer)).transpose()?;
    printer.progress("analyzing");
    let summary =
        report::report_file(&args.input, output, args.tuning.trunk.as_deref(), options.as_ref().map(|o| &o.rewrite))?;
    if args.json {
        printer.json(&summary)?;
    } else {
        printer.result(&text(&summary))?;
    }
    Ok(())
}

fn text(s: &ReportSummary) -> String {
    let mut out = format!("{} -> {}\n", s.input.display(), s.output.display());
    let mut line = |name: &str, text: String| out += &format!("  {name:<9} {text}\n");
    line("report", format!("{}, a model file without weights", format::bytes(s.bytes)));
    line("analysis", analysis(&s.report));
    if let Some(layer) = &s.report.layer {
        line("layer", format!("{layer}{}", plan(&s.report)));
    }
    line("holds", "operators, shapes, small constants; names of nodes, tensors and modules".into());
    line("left out", "weights, documentation, stack traces, other metadata".into());
    out
}

fn analysis(r: &Report) -> String {
    match &r.analysis {
        Said::Found(found) => {
            let t = &found.tokens;
            let blocks = format::count(found.blocks.len(), "block");
            format!("{blocks}, {} tokens", format::sequence(t.prefix, t.patches, t.suffix))
        }
        other => trouble(other),
    }
}

fn plan(r: &Report) -> String {
    match &r.plan {
        None => String::new(),
        Some(Said::Found(p)) => format!(": cut behind block {} at `{}`", p.layer, p.cut),
        Some(other) => format!(": {}", trouble(other)),
    }
}

fn trouble<T>(said: &Said<T>) -> String {
    match said {
        Said::Found(_) => String::new(),
        Said::Refused(r) => format!("refused, {:?}: {}", r.code, r.reason),
        Said::Failed { code, message } => format!("failed, {code}: {message}"),
    }
}
