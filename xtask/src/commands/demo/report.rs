//! The page with the results.

use std::fmt::Write;
use std::path::Path;

use super::evaluate::{Evaluation, Scores};
use super::figure::Row;
use super::rewrite::Rewritten;

/// How far below the original counts as held.
const WITHIN: f64 = 0.01;

/// The page.
pub(crate) fn markdown(evaluations: &[Evaluation], rows: &[Row], picture: &Path) -> String {
    let mut out = String::from("# Results\n\n");
    let version = evaluations.first().map_or("", |e| e.measured.onnxruntime.as_str());
    let _ = writeln!(
        out,
        "Written by `cargo xtask demo`; run it to repeat them. Every row is a model rewritten with \
         `ailurus-rewrite IN OUT --layer LAYER --keep KEEP` and run by stock ONNX Runtime {version} \
         without any plugin, on {}. Speed-up is the ratio of median latencies of original and \
         rewritten model, end to end, run alternately in one process; of the numbers here only \
         this ratio, not the milliseconds, can be expected on another machine.\n",
        processor()
    );
    if let Some(name) = picture.file_name() {
        let panels = if rows.iter().any(|r| r.clusters.is_some()) {
            "image, output of the original model, output of the rewritten model, clusters"
        } else {
            "image, output of the original model, output of the rewritten model"
        };
        let shown = rows.first().map_or(String::new(), |r| {
            format!(" (cut after block {}, {:.0} % of the patches kept)", r.setting.layer, 100.0 * r.setting.keep)
        });
        let _ = writeln!(out, "![{panels}]({})\n\nFrom left to right: {panels}{shown}.\n", name.to_string_lossy());
    }
    for evaluation in evaluations {
        section(&mut out, evaluation);
    }
    out
}

fn section(out: &mut String, e: &Evaluation) {
    let measures = e.task.measures();
    let has_labels = e.measured.models.iter().any(|m| m.label_agreement.is_some());
    let _ = writeln!(out, "## {}\n\n{} images.\n", e.task.title(), e.measured.images);
    let mut head =
        vec!["cut after block", "kept", "tokens", "FLOPs saved", "promised speed-up", "measured speed-up", "ms"];
    head.extend(measures.iter().map(|(_, heading)| *heading));
    head.extend(has_labels.then_some("labels equal"));
    head.push("cosine of outputs");
    line(out, head.iter().map(|h| (*h).to_owned()));
    line(out, head.iter().map(|_| "---".to_owned()));

    let base_ms =
        e.measured.models.iter().map(|m| m.latency_ms.base).sum::<f64>() / e.measured.models.len().max(1) as f64;
    let before = e.rewritten.iter().find_map(|r| r.tokens).map(|(_, before)| before);
    let mut original = vec![
        "(original)".into(),
        "100 %".into(),
        count(before),
        String::new(),
        String::new(),
        "1.00x".into(),
        format!("{base_ms:.0}"),
    ];
    original.extend(measures.iter().map(|(key, _)| score(e.base(key), None)));
    original.extend(has_labels.then(|| "100 %".to_owned()));
    original.push("1".into());
    line(out, original.into_iter());

    for (r, m) in e.rewritten.iter().zip(&e.measured.models) {
        let (after, before) = r.flops;
        let mut cells = vec![
            r.setting.layer.to_string(),
            format!("{:.0} %", 100.0 * r.setting.keep),
            count(r.tokens.map(|(after, _)| after)),
            format!("{:.0} %", 100.0 * (1.0 - after / before)),
            format!("{:.2}x", before / after),
            format!("{:.2}x", m.speedup),
            format!("{:.0}", m.latency_ms.model),
        ];
        cells.extend(measures.iter().map(|(key, _)| score(m.measure(key), Some(e.base(key)))));
        cells.extend(m.label_agreement.map(|a| format!("{:.1} %", 100.0 * a)));
        cells.push(format!("{:.4}", m.cosine));
        line(out, cells.into_iter());
    }
    out.push('\n');
    verdict(out, e);
}

/// The fastest setting that holds the quality, and those that do not.
fn verdict(out: &mut String, e: &Evaluation) {
    let (key, heading) = e.task.measures()[0];
    let held = |m: &Scores| m.measure(key) >= (1.0 - WITHIN) * e.base(key);
    let pairs: Vec<(&Rewritten, &Scores)> = e.rewritten.iter().zip(&e.measured.models).collect();
    let best = pairs.iter().filter(|(_, m)| held(m)).max_by(|a, b| a.1.speedup.total_cmp(&b.1.speedup));
    let _ = match best {
        Some((r, m)) => writeln!(
            out,
            "Within {:.0} % of the original's {heading}, the fastest is the cut after block {} at \
             {:.0} %: {:.2}x.",
            100.0 * WITHIN,
            r.setting.layer,
            100.0 * r.setting.keep,
            m.speedup
        ),
        None => writeln!(out, "No setting stays within {:.0} % of the original's {heading}.", 100.0 * WITHIN),
    };
    let worse: Vec<String> = (pairs.iter().filter(|(_, m)| !held(m)))
        .map(|(r, m)| {
            let loss = 100.0 * (1.0 - m.measure(key) / e.base(key));
            format!("{} at {:.0} % (−{loss:.1} %)", r.setting.layer, 100.0 * r.setting.keep)
        })
        .collect();
    if !worse.is_empty() {
        let _ = writeln!(out, "Worse than that: the cuts after block {}.", worse.join(", "));
    }
    let slow: Vec<String> = (pairs.iter())
        .filter(|(r, m)| m.speedup < 0.9 * r.flops.1 / r.flops.0)
        .map(|(r, _)| format!("{} at {:.0} %", r.setting.layer, 100.0 * r.setting.keep))
        .collect();
    if !slow.is_empty() {
        let _ = writeln!(out, "Less than 0.9 of the promised speed-up: the cuts after block {}.", slow.join(", "));
    }
    out.push('\n');
}

/// A score, and its share of the original's.
fn score(value: f64, base: Option<f64>) -> String {
    match base {
        Some(base) => format!("{value:.3} ({:.1} %)", 100.0 * value / base),
        None => format!("{value:.3}"),
    }
}

fn count(n: Option<u64>) -> String {
    n.map_or_else(String::new, |n| n.to_string())
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    let _ = writeln!(out, "| {} |", cells.collect::<Vec<_>>().join(" | "));
}

/// The processor in words.
fn processor() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let threads = if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
    match model {
        Some(model) => format!("{threads} of an {model}"),
        None => format!("{threads} of a {} processor", std::env::consts::ARCH),
    }
}

#[cfg(test)]
mod tests {
    use super::super::evaluate::Measured;
    use super::super::task::{Setting, Task};
    use super::*;

    #[test]
    fn a_page() {
        let measured: Measured = serde_json::from_str(
            r#"{"task": "ecssd", "images": 2, "size": [1, 2], "onnxruntime": "1.2.3",
                "base": {"maxF": 0.9, "IoU": 0.8},
                "models": [{"model": "a", "maxF": 0.899, "IoU": 0.79, "rel_l2": 0.1, "cosine": 0.99,
                            "latency_ms": {"base": 100.0, "model": 50.0}, "speedup": 2.0},
                           {"model": "b", "maxF": 0.81, "IoU": 0.7, "rel_l2": 0.1, "cosine": 0.9,
                            "latency_ms": {"base": 100.0, "model": 80.0}, "speedup": 1.25}]}"#,
        )
        .unwrap();
        let rewritten = [(4, 0.5), (4, 0.25)]
            .into_iter()
            .map(|(layer, keep)| Rewritten {
                setting: Setting { layer, keep },
                path: "x.onnx".into(),
                tokens: Some((686, 1370)),
                flops: (1.0, 2.0),
            })
            .collect();
        let evaluation = Evaluation { task: Task::Ecssd, measured, rewritten };
        let page = markdown(&[evaluation], &[], Path::new("results.png"));
        assert!(
            page.contains("| 4 | 50 % | 686 | 50 % | 2.00x | 2.00x | 50 | 0.899 (99.9 %) | 0.790 (98.8 %) | 0.9900 |"),
            "{page}"
        );
        assert!(page.contains("| (original) | 100 % | 1370 |"), "{page}");
        assert!(page.contains("the fastest is the cut after block 4 at 50 %: 2.00x."), "{page}");
        assert!(page.contains("Worse than that: the cuts after block 4 at 25 % (−10.0 %)."), "{page}");
        assert!(page.contains("Less than 0.9 of the promised speed-up: the cuts after block 4 at 25 %."), "{page}");
    }
}
