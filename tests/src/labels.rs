//! What the makers of the zoo wrote down about their models, beside the analysis that has to find it out.

use crate::check::Numbers;
use anyhow::{Context, Result};
use std::path::Path;

/// One row of `zoo.json`.
#[derive(Debug, serde::Deserialize)]
struct Label {
    name: String,
    grid: [usize; 2],
    prefix: usize,
    suffix: usize,
    blocks: usize,
}

/// Blocks that the exporter left out or that are no part of the trunk, by the start of the name.
const FEWER_BLOCKS: &[(&str, usize)] = &[
    // The last of four taps lies before the last block, which no output needs.
    ("hf_beit_seg.", 3),
    // Queries join the sequence before the last two blocks.
    ("hf_eomt.", 3),
];

/// Where the analysis and the labels of a folder differ; a folder without labels has no say.
pub fn faults<'a>(folder: &Path, found: impl IntoIterator<Item = (&'a str, &'a Numbers)>) -> Result<Vec<String>> {
    let path = folder.join("zoo.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(path).context("reading zoo.json")?;
    let labels: Vec<Label> = serde_json::from_str(&text).context("zoo.json")?;
    let mut out = Vec::new();
    for (name, numbers) in found {
        let Some(label) = labels.iter().find(|l| l.name == name) else { continue };
        let fewer = FEWER_BLOCKS.iter().find(|(start, _)| name.starts_with(start));
        let blocks = fewer.map_or(label.blocks, |(_, n)| *n);
        let grid = if numbers.grid.is_some() { Some((label.grid[0], label.grid[1])) } else { None };
        let wanted = (blocks, label.prefix, grid, label.suffix);
        let is = (numbers.blocks, numbers.prefix, numbers.grid, numbers.suffix);
        if wanted != is {
            out.push(format!("{name}: blocks, prefix, grid and suffix are {is:?}, labelled {wanted:?}"));
        }
    }
    Ok(out)
}
