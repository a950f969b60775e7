//! The table in docs/tensorrt.md.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::model::{ARCHITECTURES, Report};
use super::survey::{After, METHODS, Row};

/// What a table begins with, and what it ends with.
const MARK: &str = "<!-- made by `cargo xtask tensorrt --survey` -->\n";
const MARK_PRETRAINED: &str = "<!-- made by `cargo xtask tensorrt --survey --pretrained` -->\n";
const END: &str = "<!-- until here -->\n";

/// A line for the terminal.
pub(super) fn summary(row: &Row) -> String {
    let after = row.after.iter().zip(METHODS).map(|(after, method)| match after {
        After::Refused(code) => format!("; {method}: not rewritten ({code})"),
        After::Rewritten(after) => format!("; {method}: {}, plugins: {}", said(after), after.plugins.len()),
    });
    format!("original: {}{}", said(&row.before), after.collect::<String>())
}

fn said(report: &Report) -> &'static str {
    match (report.parsed, report.builds()) {
        (false, _) => "not parsed",
        (true, false) => "parsed, not built",
        (true, true) => "built",
    }
}

/// Puts the table where the last one was.
pub(super) fn write(rows: &[Row], pretrained: bool, to: &Path) -> Result<()> {
    let text = std::fs::read_to_string(to).with_context(|| format!("reading {}", to.display()))?;
    let mark = if pretrained { MARK_PRETRAINED } else { MARK };
    let (head, rest) = text.split_once(mark).context("the mark for the table is missing")?;
    let (_, tail) = rest.split_once(END).context("the end of the table is missing")?;
    let text = format!("{head}{mark}{}{END}{tail}", table(rows));
    std::fs::write(to, text).with_context(|| format!("writing {}", to.display()))
}

fn table(rows: &[Row]) -> String {
    // Those that a method rewrites: before and after.
    let rewritten = |method: usize| -> [Vec<&Report>; 2] {
        let pairs = rows.iter().filter_map(|row| match &row.after[method] {
            After::Rewritten(after) => Some((&row.before, after)),
            After::Refused(_) => None,
        });
        let (before, after) = pairs.unzip();
        [before, after]
    };
    let before: Vec<&Report> = rows.iter().map(|row| &row.before).collect();
    let [clusters, grids] = [rewritten(0), rewritten(1)];

    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(
        out,
        "\nBuilt: engines for {}. Of {} models {} are rewritten, {} of them also with `--method expedit`{}.\n",
        ARCHITECTURES.join(", "),
        rows.len(),
        clusters[0].len(),
        grids[0].len(),
        if clusters[0].len() < rows.len() { "; the others are refused" } else { "" }
    );
    let _ = writeln!(out, "| | models | parsed | built |\n|---|---|---|---|");
    for (name, reports) in [
        ("all originals", &before),
        ("originals of those that are rewritten", &clusters[0]),
        ("rewritten", &clusters[1]),
        ("originals of those that are rewritten with `--method expedit`", &grids[0]),
        ("rewritten with `--method expedit`", &grids[1]),
    ] {
        let count = |which: fn(&Report) -> bool| reports.iter().filter(|r| which(r)).count();
        let (parsed, built) = (count(|r| r.parsed), count(Report::builds));
        let _ = writeln!(out, "| {name} | {} | {parsed} | {built} |", reports.len());
    }
    let _ = writeln!(
        out,
        "\n| model | open sizes | original | layers | rewritten | layers | of them plugins | `--method expedit` | layers | of \
         them plugins |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for row in rows {
        let _ = writeln!(out, "{}", line(row));
    }
    let objections: Vec<String> = rows.iter().flat_map(objections).collect();
    if !objections.is_empty() {
        let _ = writeln!(out, "\nWhat TensorRT objects to:\n");
        let _ = writeln!(out, "{}", objections.join("\n"));
    }
    out.push('\n');
    out
}

fn line(row: &Row) -> String {
    let layers = |r: &Report| if r.parsed { format!("{} |", r.layers) } else { "|".into() };
    let open = open(&row.before);
    let mut line = format!("| {} |{open}| {} | {}", row.name, said(&row.before), layers(&row.before));
    for after in &row.after {
        line += &match after {
            After::Refused(code) => format!(" refused, {code} | | |"),
            After::Rewritten(after) => format!(" {} | {} {} |", said(after), layers(after), after.plugins.len()),
        };
    }
    line
}

/// Which sizes of the inputs are open.
fn open(report: &Report) -> &'static str {
    let any = |range: fn(usize) -> bool| {
        report.inputs.values().any(|dims| dims.iter().enumerate().any(|(axis, &d)| d < 0 && range(axis)))
    };
    match (any(|axis| axis == 0), any(|axis| axis > 0)) {
        (false, false) => " ",
        (true, false) => " batch ",
        (false, true) => " image ",
        (true, true) => " batch, image ",
    }
}

fn objections(row: &Row) -> Vec<String> {
    let about = |what: &str, report: &Report| {
        (!report.builds()).then(|| format!("- {}{what}: `{}`", row.name, report.objection().replace('`', "'")))
    };
    let after = row.after.iter().zip([", rewritten", ", `--method expedit`"]).filter_map(|(after, what)| match after {
        After::Rewritten(after) => about(what, after),
        After::Refused(_) => None,
    });
    about("", &row.before).into_iter().chain(after).collect()
}
