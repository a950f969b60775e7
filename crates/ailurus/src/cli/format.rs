//! Numbers and results as people read them.

use ailurus_rewrite::{Emit, UnfoldMode};

use crate::summary::{Summary, TokenSummary};
use crate::verify::Verdict;

/// `1.23 GFLOPs`.
pub fn flops(value: f64) -> String {
    let (scale, unit) = match value {
        v if v >= 1e12 => (1e12, "TFLOPs"),
        v if v >= 1e9 => (1e9, "GFLOPs"),
        _ => (1e6, "MFLOPs"),
    };
    format!("{:.2} {unit}", value / scale)
}

/// `1.2 MB`.
pub fn bytes(value: u64) -> String {
    match value {
        v if v >= 1_000_000_000 => format!("{:.2} GB", v as f64 / 1e9),
        v if v >= 1_000_000 => format!("{:.1} MB", v as f64 / 1e6),
        v => format!("{:.0} kB", (v as f64 / 1e3).ceil()),
    }
}

/// `1 table`, `2 tables`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// `1 + 144 + 0 (12 x 12)`: prefix, patches, suffix.
pub fn sequence(prefix: usize, patches: Option<usize>, suffix: usize) -> String {
    let patches = patches.map_or_else(|| "N".to_owned(), |n| n.to_string());
    match (prefix, suffix) {
        (0, 0) => patches,
        (p, 0) => format!("{p} + {patches}"),
        (p, s) => format!("{p} + {patches} + {s}"),
    }
}

/// `a`, `a and b`, or how many there are.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [a] => format!("`{a}`"),
        [a, b] => format!("`{a}` and `{b}`"),
        [a, .., z] => format!("{} values, from `{a}` to `{z}`", names.len()),
    }
}

/// What clusters do to the sequence.
pub fn tokens(t: &TokenSummary) -> String {
    let before = sequence(t.prefix, t.patches, t.suffix);
    let after = match (t.clusters, t.keep) {
        (Some(m), _) => sequence(t.prefix, Some(m), t.suffix),
        (None, ailurus_rewrite::options::Keep::Ratio { num, den }) => {
            format!("{num}/{den} of the patches")
        }
        (None, ailurus_rewrite::options::Keep::Tokens(m)) => sequence(t.prefix, Some(m), t.suffix),
    };
    let grid = t.grid.map_or_else(String::new, |(h, w)| format!(" (grid {h} x {w})"));
    format!("{before}{grid} -> {after}")
}

/// The summary of a rewrite.
pub fn summary(s: &Summary) -> String {
    let output = s.output.as_ref();
    let target = output.map_or_else(|| "(dry run)".to_owned(), |o| o.path.display().to_string());
    let mut out = format!("{} -> {target}\n", s.input.display());
    let mut line = |name: &str, text: String| out += &format!("  {name:<8} {text}\n");
    line("blocks", format!("{}; {} on all tokens, {} on clusters", s.blocks, s.layer, s.blocks - s.layer));
    line("cut", format!("`{}`", s.cut));
    line("tokens", tokens(&s.tokens));
    match s.method {
        "ailurus" => {}
        "windows" => line("method", "windows of two by two patches".to_owned()),
        method => line("method", format!("{method}, clusters form a grid")),
    }
    line(
        "metric",
        match s.metric {
            "keys" => format!("head-mean keys of block {}", s.layer + 1),
            other => other.to_owned(),
        },
    );
    for mode in [UnfoldMode::Residual, UnfoldMode::Copy] {
        let names: Vec<String> = s.unfolds.iter().filter(|u| u.1 == mode).map(|u| u.0.clone()).collect();
        if !names.is_empty() {
            let how = if mode == UnfoldMode::Residual { "residual" } else { "copy" };
            line("unfold", format!("{}, {how}", list(&names)));
        }
    }
    line(
        "edits",
        format!(
            "{}, {} gathered, {} rerouted{}",
            count(s.operands, "shape operand"),
            count(s.gathers, "table"),
            count(s.reroutes, "shape"),
            if s.tables > 0 { format!(", {} made anew", count(s.tables, "table")) } else { String::new() }
        ),
    );
    if s.proportional > 0 {
        line(
            "weights",
            match s.proportional {
                1 => "1 attention weighs clusters by their size".to_owned(),
                n => format!("{n} attentions weigh clusters by their size"),
            },
        );
    }
    line("work", format!("{} -> {}, a promise of {:.2}x", flops(s.flops.before), flops(s.flops.after), s.promise));
    for note in &s.notes {
        line("note", note.clone());
    }
    if let Some(o) = output {
        let emit = match s.emit {
            Emit::Function => "function bodies",
            Emit::Inline => "standard operators only",
            Emit::Custom => "operators without bodies",
        };
        line("output", format!("{}, {emit}, {:.2} s", bytes(o.bytes), s.seconds));
        for (path, size) in &o.data_files {
            line("", format!("{} {}", path.display(), bytes(*size)));
        }
    }
    if let Some(verdict) = &s.check {
        out += &self::verdict(verdict);
    }
    out
}

/// The outcome of a comparison.
pub fn verdict(v: &Verdict) -> String {
    let mut out = String::new();
    let mut name = "check";
    let mut line = |text: String| {
        out += &format!("  {name:<8} {text}\n");
        name = "";
    };
    if !v.interface.is_empty() {
        line("the interfaces differ; nothing was run".into());
        v.interface.iter().for_each(|m| line(m.to_string()));
        return out;
    }
    let instead = v.instead.map_or("", |_| ", the operators with their bodies");
    let pictures = v.pictures.first().map_or_else(String::new, |p| format!(", {}", count(p.count, "picture")));
    line(format!("{} on {}{pictures}{instead}", v.runtime, v.source));
    v.plugins.iter().for_each(|plugin| line(format!("with {}", plugin.display())));
    for d in &v.outputs {
        let shape = format!("[{}]", dims(&d.dims));
        let worst = figures(d.max_abs, d.relative_l2, d.cosine, d.psnr_db, d.label_agreement);
        match v.pictures.iter().find(|p| p.name == d.name) {
            None => line(format!("`{}` {shape}: {worst}", d.name)),
            Some(p) => {
                let m = &p.mean;
                let mean = figures(m.max_abs, m.relative_l2, m.cosine, m.psnr_db, m.label_agreement);
                line(format!("`{}` mean: {mean}", d.name));
                line(format!("worst, {} {shape}: {worst}", p.worst));
            }
        }
    }
    if let Some(t) = v.tolerance {
        let held = if v.holds() { "within" } else { "not within" };
        line(format!("{held} the tolerance: a relative L2 of {t:.0e}"));
    }
    for (name, text) in v.notes.iter().map(|note| ("note", note)) {
        out += &format!("  {name:<8} {text}\n");
    }
    if let Some(l) = &v.latency {
        out += &format!(
            "  {:<8} {:.2} ms -> {:.2} ms, {:.2}x as fast (median of {} pairs)\n",
            "time", l.base.median_ms, l.other.median_ms, l.speed_up, l.pairs
        );
    }
    out
}

/// `1, 3, 96, 96`.
pub fn dims(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn figures(max_abs: f64, relative_l2: f64, cosine: f64, psnr_db: Option<f64>, labels: Option<f64>) -> String {
    let psnr = psnr_db.filter(|v| v.is_finite()).map_or_else(String::new, |v| format!(", PSNR {v:.1} dB"));
    let labels = labels.map_or_else(String::new, |share| format!(", labels equal {:.1} %", share * 100.0));
    format!("max abs {max_abs:.2e}, relative L2 {relative_l2:.2e}, cosine {cosine:.6}{psnr}{labels}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(flops(1.234e9), "1.23 GFLOPs");
        assert_eq!(flops(5e5), "0.50 MFLOPs");
        assert_eq!(bytes(1), "1 kB");
        assert_eq!(bytes(844_932), "845 kB");
        assert_eq!(bytes(1_300_000_000), "1.30 GB");
        assert_eq!((count(1, "table"), count(0, "table")), ("1 table".into(), "0 tables".into()));
        assert_eq!(sequence(1, Some(9), 0), "1 + 9");
        assert_eq!(sequence(0, None, 0), "N");
        assert_eq!(sequence(0, Some(9), 10), "0 + 9 + 10");
    }
}
