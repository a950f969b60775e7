//! `ailurus inspect`: what is known about a model, and what a cut would change.

use ailurus_analyze::Report;
use ailurus_rewrite::plan::{Coverage, DimSpec, MetricPlan, Plan};
use serde::Serialize;

use super::report;
use crate::cli::args::InspectArgs;
use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::cli::{Outcome, format};
use crate::pipeline;

/// What `--json` prints.
#[derive(Serialize)]
struct Inspection<'a> {
    model: &'a std::path::Path,
    bytes: u64,
    ir_version: i64,
    producer: String,
    #[serde(flatten)]
    report: Report,
    plan: Option<Plan>,
}

pub fn run(args: &InspectArgs, printer: &Printer) -> Outcome {
    let layer = args.tuning.layer(args.layer.as_ref());
    if layer.is_none() && !args.tuning.is_default() {
        return Err(Failure::Usage("how tokens are merged matters only with --layer".into()));
    }
    if let Some(output) = &args.report {
        return report::run(args, output, printer);
    }
    printer.progress("analyzing");
    let model = pipeline::load(&args.input)?;
    let analysis = pipeline::analyze(&model, args.tuning.trunk.as_deref())?;
    let plan = match &layer {
        Some(layer) => Some(pipeline::plan(&analysis, &args.tuning.options(layer.clone())?.rewrite)?),
        None => None,
    };
    let header = &model.header;
    let found = Inspection {
        model: &args.input,
        bytes: model.source_len(),
        ir_version: header.ir_version,
        producer: format!("{} {}", header.producer_name, header.producer_version).trim().to_owned(),
        report: analysis.report(),
        plan,
    };
    if args.json {
        printer.json(&found)?;
    } else {
        printer.result(&text(&found))?;
    }
    Ok(())
}

fn text(i: &Inspection) -> String {
    let (r, t) = (&i.report, &i.report.tokens);
    let mut out = format!("{}\n", i.model.display());
    let mut line = |name: &str, text: String| out += &format!("  {name:<9} {text}\n");
    let by = if i.producer.is_empty() { String::new() } else { format!(", by {}", i.producer) };
    line("model", format!("{}, {} nodes, opset {}, IR {}{by}", format::bytes(i.bytes), r.nodes, r.opset, i.ir_version));
    let number = |n: Option<usize>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    line("grid", format!("{} x {}", number(t.grid_h), number(t.grid_w)));
    line(
        "tokens",
        format!(
            "{} (prefix {}, suffix {}), {} channels",
            format::sequence(t.prefix, t.patches, t.suffix),
            t.prefix,
            t.suffix,
            t.channels.map_or_else(|| "?".to_owned(), |c| c.to_string())
        ),
    );
    line("work", format!("{} for one image", format::flops(r.flops)));
    if r.post_norm {
        line("stream", "normalised in place (post-norm)".into());
    }
    if t.permuted {
        line("order", "tokens are permuted after patch embedding".into());
    }
    if let Some(what) = &r.not_understood {
        line("unknown", format!("{what} is not understood; blocks behind it, if there are any, were not seen"));
    }
    for other in &r.other_attention {
        line("decoder", format!("attention at {other}"));
    }
    out.push('\n');
    out += &blocks(r, i.plan.as_ref());
    if let Some(plan) = &i.plan {
        out.push('\n');
        out += &cut(plan);
    }
    out
}

fn blocks(r: &Report, plan: Option<&Plan>) -> String {
    let mut table = Table::new(&["block", "work", "stream behind it", "attention", "runs on"]);
    for b in &r.blocks {
        let runs = plan.map_or("", |p| if b.index <= p.layer { "all tokens" } else { "clusters" });
        table.row(vec![
            b.index.to_string(),
            format::flops(b.flops),
            b.output.clone(),
            match &b.window {
                Some(window) => format!("{}, in windows of {window}", b.attention),
                None => b.attention.clone(),
            },
            runs.to_owned(),
        ]);
    }
    let text = table.render("  ");
    if plan.is_some() { text } else { text.replace("  runs on", "") }
}

fn cut(p: &Plan) -> String {
    let t = &p.tokens;
    let mut out = format!("  cut behind block {} at `{}`\n", p.layer, p.cut.value);
    let mut line = |name: &str, text: String| out += &format!("  {name:<9} {text}\n");
    let show = |n: Option<usize>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    line(
        "rows",
        format!(
            "{} tokens -> {} rows ({} clusters)",
            show(t.sequence()),
            show(t.rows()),
            t.clusters.map_or_else(|| "a share of the patches as".to_owned(), |c| c.to_string())
        ),
    );
    line(
        "metric",
        match &p.metric {
            MetricPlan::Stream => "stream".into(),
            MetricPlan::Keys(k) => format!(
                "keys of block {}, mean of {} heads: {} columns of `{}`",
                p.layer + 1,
                k.columns.heads,
                k.columns.head_dim,
                k.weight
            ),
        },
    );
    line(
        "work",
        format!(
            "{} -> {}, a promise of {:.2}x",
            format::flops(p.flops.before),
            format::flops(p.flops.after),
            p.promise()
        ),
    );
    for note in &p.notes {
        line("note", note.clone());
    }
    let mut frontier = Table::new(&["frontier", "layout", "unfold"]);
    for u in &p.unfolds {
        frontier.row(vec![u.value.clone(), word(&u.layout), word(&u.mode)]);
    }
    out.push('\n');
    out += &frontier.render("  ");
    if !p.operands.is_empty() {
        let mut operands = Table::new(&["shape operand of the node behind", "becomes"]);
        for o in &p.operands {
            let dims: Vec<String> = o.dims.iter().map(dim).collect();
            operands.row(vec![o.node.clone(), format!("[{}]", dims.join(", "))]);
        }
        out.push('\n');
        out += &operands.render("  ");
    }
    if !p.tables.is_empty() {
        let mut tables = Table::new(&["table read by the node behind", "input", "made anew as"]);
        for t in &p.tables {
            let dims: Vec<String> = t.dims().iter().map(usize::to_string).collect();
            tables.row(vec![t.node.clone(), t.input.to_string(), format!("[{}]", dims.join(", "))]);
        }
        out.push('\n');
        out += &tables.render("  ");
    }
    if !p.gathers.is_empty() {
        let mut gathers = Table::new(&["table read by the node behind", "input", "rows for"]);
        for g in &p.gathers {
            let rows = match g.coverage {
                Coverage::Sequence => "every token",
                Coverage::Patches => "patches",
            };
            gathers.row(vec![g.node.clone(), g.input.to_string(), rows.to_owned()]);
        }
        out.push('\n');
        out += &gathers.render("  ");
    }
    out
}

fn dim(d: &DimSpec) -> String {
    match d {
        DimSpec::Number(n) => n.to_string(),
        DimSpec::Same => "as it is".into(),
        DimSpec::Rows(1) => "rows".into(),
        DimSpec::Rows(n) => format!("{n}·rows"),
        DimSpec::Clusters(1) => "clusters".into(),
        DimSpec::Clusters(n) => format!("{n}·clusters"),
        DimSpec::Tokens(1) => "tokens".into(),
        DimSpec::Tokens(n) => format!("{n}·tokens"),
        DimSpec::Patches(1) => "patches".into(),
        DimSpec::Patches(n) => format!("{n}·patches"),
        DimSpec::Images(1) => "images".into(),
        DimSpec::Images(n) => format!("{n}·images"),
    }
}

/// The name of a plain variant, as in JSON.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(s)) => s.replace('_', ", "),
        other => other.map(|v| v.to_string()).unwrap_or_default(),
    }
}
