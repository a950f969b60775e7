//! `ailurus bench`: how much faster one model is than another.

use super::peak;
use crate::bench::{Measurement, Memory, Step};
use crate::cli::args::BenchArgs;
use crate::cli::printer::Printer;
use crate::cli::table::Table;
use crate::cli::{Outcome, format};

pub fn run(args: &BenchArgs, printer: &Printer) -> Outcome {
    let bench = args.resolve()?;
    let mut measured = bench.files(&args.original, &args.other, |step| match step {
        Step::Load => printer.progress("loading both models"),
        Step::WarmUp => printer.progress("warming up"),
        Step::Pair(pair, pairs) => printer.progress(&format!("measuring, pair {pair} of {pairs}")),
    })?;
    if !args.no_memory {
        printer.progress("measuring memory");
        memory(args, &mut measured);
    }
    if args.json {
        printer.json(&measured)?;
    } else {
        printer.result(&text(&measured))?;
    }
    Ok(())
}

/// Adds the peak memory of both. A failure here leaves the rest worth reading.
fn memory(args: &BenchArgs, measured: &mut Measurement) {
    let mut peak = |name: &str, model| match peak::of(model, &args.native, &measured.plugins) {
        Ok(bytes) => Some(bytes),
        Err(reason) => {
            measured.notes.push(format!("no peak memory of {name}: {reason}"));
            None
        }
    };
    let (a_bytes, b_bytes) = (peak("A", &args.original), peak("B", &args.other));
    measured.memory = Some(Memory { a_bytes, b_bytes });
}

fn text(m: &Measurement) -> String {
    let mut out = format!("A {}\nB {}\n", m.a.display(), m.b.display());
    let mut line = |name: &str, text: String| out += &format!("  {name:<9} {text}\n");
    let threads = m.threads.map_or_else(|| "threads as it chooses".to_owned(), |n| format::count(n, "thread"));
    line("runtime", format!("{} on the {}, {threads}", m.runtime, m.provider));
    for plugin in &m.plugins {
        line("plugin", plugin.display().to_string());
    }
    for (at, input) in m.inputs.iter().enumerate() {
        let source = if at == 0 { format!("{}: ", m.source) } else { String::new() };
        line(
            if at == 0 { "input" } else { "" },
            format!("{source}`{}` {} [{}]", input.name, input.data_type, format::dims(&input.dims)),
        );
    }
    let pairs = format::count(m.rounds.pairs, "pair");
    line("rounds", format!("{pairs} in turn, behind {} of each", format::count(m.rounds.warm_up, "warm-up run")));
    let table = table(m);
    let mut tail = String::new();
    let mut line = |name: &str, text: String| tail += &format!("  {name:<9} {text}\n");
    let i = m.interval;
    let sure = i.confidence * 100.0;
    line("speed-up", format!("{:.2}x ({sure:.0} % sure: {:.2}x to {:.2}x)", m.latency.speed_up, i.low, i.high));
    if let (Some(promise), Some(achieved)) = (m.promise, m.achieved) {
        let (share, i) = (achieved.share * 100.0, achieved.interval.times(100.0));
        line(
            "promise",
            format!("{promise:.2}x by operations; {share:.0} % of it reached ({:.0} % to {:.0} %)", i.low, i.high),
        );
    }
    for note in &m.notes {
        line("note", note.clone());
    }
    format!("{out}\n{table}\n{tail}")
}

fn table(m: &Measurement) -> String {
    let header = ["", "median", "fastest", "spread", "peak memory"];
    let mut table = Table::new(if m.memory.is_some() { &header } else { &header[..4] });
    let memory =
        |bytes: fn(Memory) -> Option<u64>| m.memory.map(|memory| bytes(memory).map_or_else(String::new, format::bytes));
    for (name, d, bytes) in
        [("A", m.latency.base, memory(|m| m.a_bytes)), ("B", m.latency.other, memory(|m| m.b_bytes))]
    {
        let ms = |v: f64| format!("{v:.2} ms");
        let cells = [name.to_owned(), ms(d.median_ms), ms(d.min_ms), ms(d.spread_ms)];
        table.row(cells.into_iter().chain(bytes).collect());
    }
    table.render("  ")
}
