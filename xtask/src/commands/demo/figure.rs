//! The picture: image, original output, output at half of the tokens, clusters.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::rewrite;
use super::task::{Setting, Task};
use crate::tools::Tools;
use crate::{python, workspace};

/// The setting that is shown.
const SHOWN: Setting = Setting { layer: 4, keep: 0.5 };

/// One row of the picture.
pub(crate) struct Row {
    pub(crate) task: Task,
    pub(crate) setting: Setting,
    image: PathBuf,
    base: PathBuf,
    model: PathBuf,
    /// Missing when the clusters could not be drawn.
    pub(crate) clusters: Option<PathBuf>,
}

impl Row {
    /// Makes what the row shows: the rewritten model and the clusters on the first image.
    pub(crate) fn make(task: Task, base: &Path, images: &Path, tools: &Tools, work: &Path) -> Result<Self> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(images)?
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "jpg"))
            .collect();
        files.sort();
        let image = files.into_iter().next().context("there is no image")?;
        let model = rewrite::rewrite(tools, base, work, SHOWN)?.path;
        let clusters = work.join(format!("{}-clusters.png", task.name()));
        // A table without this panel is better than none.
        let clusters = match rewrite::view(tools, base, &image, SHOWN, &clusters) {
            Ok(()) => Some(clusters),
            Err(error) => {
                eprintln!("no picture of the clusters: {error:#}");
                None
            }
        };
        Ok(Row { task, setting: SHOWN, image, base: base.to_path_buf(), model, clusters })
    }
}

/// Draws the rows into one file.
pub(crate) fn draw(interpreter: &Path, rows: &[Row], out: &Path) -> Result<()> {
    let mut command = Command::new(interpreter);
    command.arg(workspace::script("figure.py")).arg("--out").arg(out);
    for row in rows {
        command.arg("--row").arg(row.task.name()).args([&row.image, &row.base, &row.model]);
        match &row.clusters {
            Some(path) => command.arg(path),
            None => command.arg("-"),
        };
    }
    python::run(&mut command)
}
