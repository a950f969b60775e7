//! The table of models for people: `docs/support.md`.

use crate::{
    check::{Numbers, Outcome},
    matrix,
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

const HEAD: &str = "# Models the rewriter was tested on

Written by the test `zoo` (`AILURUS_BLESS=1` writes it anew) from files that real exporters wrote. Each was rewritten with a
cut after the first, the middle and the last possible block and run in ONNX Runtime: one image at a time and, where the batch
is open, three at a time; where height and width are open, at two sizes; unfolded at the end of the encoder and as late as
possible; with and without cluster sizes in the attention. Errors bound the largest difference of any output from what it
should be, as a share of the largest number in that output: with every token kept, from the original; with fewer, from an
evaluation that does not use the rewriter.

## Families and exporters

The larger of both errors, or the code of the refusal (`ailurus explain CODE`). Optimised: saved by onnxslim, onnxsim, ONNX
Runtime's graph optimizer or its transformers optimizer (`trf`). Models in 8 bits are compared as their graphs say, without
ONNX Runtime's own replacements, which round differently from graph to graph.

All this is about clusters of any shape (`--method ailurus`). Models with windows or with a map as their stream (SAM, ViTDet,
stages of Swin), refused here, are rewritten with clusters that form a grid (`--method expedit`): the test `attention_windows`
compares them with the original on the full grid (errors below 1e-5), and Swin of torchvision and transformers and timm's SAM
encoder with PyTorch on smaller grids (below 2e-6).

";

const FILES: &str = "
## Files

`-h` and `fp16` files compute in 16 bits, `q…` files in 8. `layers` are the cuts that were tried.

| file | blocks | tokens | layers | all tokens | fewer tokens |
|---|---|---|---|---|---|
";

/// Path of the table.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/support.md")
}

/// Compares outcomes with the table, or writes it (`AILURUS_BLESS=1`).
pub fn settle(outcomes: &[(String, Outcome)]) -> Result<()> {
    let rows: String = outcomes.iter().map(|(name, o)| row(name, o)).collect();
    let fresh = format!("{HEAD}{}{FILES}{rows}", matrix::table(outcomes));
    if std::env::var("AILURUS_BLESS").as_deref() == Ok("1") {
        return std::fs::write(path(), fresh).context("writing docs/support.md");
    }
    let text = std::fs::read_to_string(path()).context("reading docs/support.md")?;
    let old: BTreeMap<&str, Vec<&str>> = text.lines().filter_map(cells).map(|c| (c[0], c)).collect();
    let mut faults = Vec::new();
    for new in fresh.lines().filter_map(cells) {
        // A bigger zoo has files and families that the table does not show.
        let Some(old) = old.get(new[0]) else { continue };
        let same = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| a == b || close(a, b));
        if !same {
            faults.push(format!("{}: {} instead of {}", new[0], new[1..].join(" | "), old[1..].join(" | ")));
        }
    }
    ensure!(faults.is_empty(), "docs/support.md is out of date (AILURUS_BLESS=1 writes it):\n{}", faults.join("\n"));
    Ok(())
}

fn row(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Refused { code, .. } => format!("| `{name}` | | | refused: {code} | | |\n"),
        Outcome::Failed(_) => format!("| `{name}` | | | known gap | | |\n"),
        Outcome::Verified(n) => format!(
            "| `{name}` | {} | {} | {} | {} | {} |\n",
            n.blocks,
            tokens(n),
            layers(n),
            bound(n.full),
            bound(n.fewer)
        ),
    }
}

/// `prefix + rows·columns + suffix`.
fn tokens(n: &Numbers) -> String {
    let patches = n.grid.map_or("H·W".to_owned(), |(h, w)| format!("{h}·{w}"));
    let (prefix, suffix) = ((n.prefix > 0).then(|| n.prefix.to_string()), (n.suffix > 0).then(|| n.suffix.to_string()));
    [prefix, Some(patches), suffix].into_iter().flatten().collect::<Vec<_>>().join(" + ")
}

fn layers(n: &Numbers) -> String {
    let right: Vec<String> = n.layers.iter().map(usize::to_string).collect();
    let refused: Vec<String> = n.refused.iter().map(|(l, code, _)| format!("{l}: {code}")).collect();
    if refused.is_empty() { right.join(", ") } else { format!("{} (refused {})", right.join(", "), refused.join(", ")) }
}

/// The next power of ten; everything below rounding of 32-bit floats is the same.
pub fn bound(error: f64) -> String {
    if error < 1e-6 { "< 1e-6".to_owned() } else { format!("< 1e{}", error.log10().floor() as i32 + 1) }
}

/// Two bounds a factor of ten apart: other processors round otherwise.
fn close(a: &str, b: &str) -> bool {
    let exponent = |s: &str| s.strip_prefix("< 1e")?.parse::<i32>().ok();
    exponent(a).zip(exponent(b)).is_some_and(|(a, b)| (a - b).abs() <= 1)
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix('|')?;
    Some(inner.split('|').map(|c| c.trim().trim_matches('`')).collect())
}
