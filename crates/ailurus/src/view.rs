//! A picture of the clusters: the model runs up to the clustering, and the patches that became one
//! token are outlined together.

use std::collections::HashMap;
use std::path::Path;

use ailurus_onnx::{GraphEdit, Model};
use ailurus_rewrite::{Emit, Plan};
use ailurus_runtime::{SessionOptions, Tensor};
use image::{Rgb, RgbImage};

use crate::engine::{self, Engine};
use crate::inputs::{self, Normalization, Slot, Source};
use crate::{Error, Result, pipeline};

/// The longest side that a picture is enlarged to.
const LONG_SIDE: u32 = 896;

/// How much of a merged region's colour shows.
const TINT: f32 = 0.35;

/// Which patches became one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// The cluster of each patch, row by row.
    pub of_patch: Vec<u32>,
    /// What computed it.
    pub runtime: String,
}

impl Clusters {
    /// Number of clusters.
    pub fn count(&self) -> usize {
        self.sizes().len()
    }

    fn sizes(&self) -> HashMap<u32, usize> {
        let mut sizes = HashMap::new();
        for cluster in &self.of_patch {
            *sizes.entry(*cluster).or_insert(0) += 1;
        }
        sizes
    }
}

/// Runs a model up to its clustering on a picture.
///
/// # Errors
/// When the plan does not fit the model, the picture cannot be read or the model cannot be run.
pub fn clusters(
    model: &Model,
    plan: &Plan,
    image: &Path,
    normalization: &Normalization,
    engine: Engine,
) -> Result<Clusters> {
    engine::runnable(model)?;
    let head = head(model, plan)?;
    let runtime = engine.runtime()?;
    let loaded = engine::load(&*runtime, &head, None, &SessionOptions::default())?;
    let source = Source::Image(image.to_owned());
    let inputs = inputs::make(loaded.session.inputs(), &source, normalization)?;
    let picture = loaded.session.inputs().iter().find_map(Slot::of);
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let aspect = picture.and_then(|slot| inputs.iter().find(|(n, _)| *n == slot.name)).map(|(_, t)| match *t.dims() {
        [_, h, w, 3] | [_, 3, h, w] => h as f64 / w.max(1) as f64,
        _ => 1.0,
    });
    let outputs = loaded.session.run(&inputs)?;
    let index = outputs.first().and_then(|(_, t)| Some((t.dims(), t.as_i32()?)));
    let wrong = |reason: &str| Error::Inputs { reason: reason.to_owned() };
    // Of several rows that a token is made of, the nearest weighs most: it comes first.
    let (tokens, rows) = match index {
        Some(([_, tokens], rows)) => (*tokens, rows.to_vec()),
        Some(([_, tokens, choices], rows)) => (*tokens, rows.iter().copied().step_by(*choices).collect()),
        _ => return Err(wrong("the clustering gave no index")),
    };
    let (prefix, suffix) = (plan.tokens.prefix, plan.tokens.suffix);
    let patches = tokens
        .checked_sub(prefix + suffix)
        .and_then(|n| rows.get(prefix..prefix + n))
        .ok_or_else(|| wrong("the clustering gave too short an index"))?;
    let (h, w) = plan
        .tokens
        .grid
        .or_else(|| grid(patches.len(), aspect.unwrap_or(1.0)))
        .filter(|(h, w)| h * w == patches.len())
        .ok_or_else(|| wrong("the grid of patches does not follow from the size of the input"))?;
    Ok(Clusters { rows: h, columns: w, of_patch: patches.iter().map(|r| *r as u32).collect(), runtime: runtime.name() })
}

/// The part of the rewritten model that ends with the clustering.
fn head(model: &Model, plan: &Plan) -> Result<Model> {
    let rewritten = pipeline::rewrite(model, plan, Emit::Function)?;
    let mut edit = GraphEdit::new(rewritten);
    let Some(index) = edit.graph().find(&ailurus_rewrite::index_name(plan)) else {
        return Err(ailurus_rewrite::Error::Plan("it does not cluster anything".into()).into());
    };
    edit.set_graph_outputs(vec![index])?;
    edit.prune();
    edit.prune_inputs();
    Ok(edit.finish()?)
}

/// Rows and columns of so many patches with this ratio of height to width.
fn grid(patches: usize, aspect: f64) -> Option<(usize, usize)> {
    let error = |h: usize| ((h * h) as f64 / patches as f64 / aspect).ln().abs();
    (1..=patches)
        .filter(|h| patches.is_multiple_of(*h))
        .min_by(|a, b| error(*a).total_cmp(&error(*b)))
        .map(|h| (h, patches / h))
}

/// Draws the clusters on a picture: a line around each, a tint on those of several patches.
pub fn draw(picture: &RgbImage, clusters: &Clusters) -> RgbImage {
    let (rows, columns) = (clusters.rows.max(1) as u32, clusters.columns.max(1) as u32);
    let cell = (LONG_SIDE / rows.max(columns)).clamp(6, 64);
    let mut canvas = inputs::resize(picture, columns * cell, rows * cell);
    let sizes = clusters.sizes();
    let at = |x: u32, y: u32| clusters.of_patch[(y * columns + x) as usize];
    let line = (cell / 14).max(1);
    for (x, y, pixel) in canvas.enumerate_pixels_mut() {
        let (cx, cy) = (x / cell, y / cell);
        let own = at(cx, cy);
        if sizes[&own] > 1 {
            blend(pixel, colour(own), TINT);
        }
        let (dx, dy) = (x % cell, y % cell);
        let border = dx < line && cx > 0 && at(cx - 1, cy) != own
            || dy < line && cy > 0 && at(cx, cy - 1) != own
            || dx >= cell - line && cx + 1 < columns && at(cx + 1, cy) != own
            || dy >= cell - line && cy + 1 < rows && at(cx, cy + 1) != own;
        if border {
            blend(pixel, [255, 255, 255], 0.85);
        }
    }
    canvas
}

/// Writes a picture as PNG: complete, or not at all.
///
/// # Errors
/// When it cannot be written; the path is as it was then.
pub fn save(picture: &RgbImage, path: &Path) -> Result<()> {
    let io = |source: std::io::Error| Error::Io { action: "write", path: path.to_owned(), source };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ailurus-");
    // Temporary files are private by default; this one is to become an ordinary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(pipeline::parent(path)).map_err(io)?;
    let encoder = image::codecs::png::PngEncoder::new(std::io::BufWriter::new(file.as_file_mut()));
    picture.write_with_encoder(encoder).map_err(|e| io(std::io::Error::other(e)))?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

fn blend(pixel: &mut Rgb<u8>, colour: [u8; 3], share: f32) {
    for (p, c) in pixel.0.iter_mut().zip(colour) {
        *p = (f32::from(*p) * (1.0 - share) + f32::from(c) * share).round() as u8;
    }
}

/// Colours of neighbouring numbers lie far apart on the colour wheel.
fn colour(cluster: u32) -> [u8; 3] {
    let hue = (f64::from(cluster) * 0.618_033_988_75).fract() * 6.0;
    let ramp = |offset: f64| {
        let distance = ((hue + offset).rem_euclid(6.0) - 3.0).abs() - 1.0;
        (distance.clamp(0.0, 1.0) * 255.0) as u8
    };
    [ramp(0.0), ramp(4.0), ramp(2.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids() {
        assert_eq!(grid(12, 0.75), Some((3, 4)));
        assert_eq!(grid(144, 1.0), Some((12, 12)));
        assert_eq!(grid(13, 1.0), Some((1, 13)));
        assert_eq!(grid(0, 1.0), None);
    }

    #[test]
    fn borders_and_tints() {
        let clusters = Clusters { rows: 1, columns: 3, of_patch: vec![0, 0, 1], runtime: String::new() };
        assert_eq!(clusters.count(), 2);
        let black = RgbImage::new(3, 1);
        let drawn = draw(&black, &clusters);
        assert_eq!(drawn.dimensions(), (192, 64));
        let bright = |x: u32| drawn.get_pixel(x, 32).0.iter().map(|c| u32::from(*c)).sum::<u32>();
        assert!(bright(127) > 600 && bright(128) > 600, "the border between two clusters");
        assert!(bright(64) < 300, "none within a cluster");
        assert!(bright(30) > 0, "a merged region has a tint");
        assert_eq!(bright(160), 0, "a patch of its own has none");
    }
}
