//! A model file with inputs for it.

use ailurus_onnx::{Dim, Model};
use ailurus_runtime::{Tensor, npz};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// Named tensors to feed.
pub type Inputs = Vec<(String, Tensor)>;

/// A model file and one set of inputs.
#[derive(Debug)]
pub struct Case {
    /// File name without extension.
    pub name: String,
    /// Model.
    pub path: PathBuf,
    /// Inputs: those of the `.npz` beside it, or made up.
    pub inputs: Inputs,
}

impl Case {
    /// Every model of a folder, by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        let mut paths = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
        paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
        paths.sort();
        ensure!(!paths.is_empty(), "no model in {}", folder.display());
        paths.iter().map(|p| Self::load(p)).collect()
    }

    /// One model.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.file_stem().context("a model file has a name")?.to_string_lossy().into_owned();
        let arrays = path.with_extension("npz");
        let inputs = if arrays.is_file() {
            let input = |(n, t): (String, Tensor)| Some((n.strip_prefix("in_")?.to_owned(), t));
            npz::read(arrays)?.into_iter().filter_map(input).collect()
        } else {
            made_up(path)?
        };
        ensure!(!inputs.is_empty(), "{name}: no inputs");
        Ok(Self { name, path: path.to_owned(), inputs })
    }
}

/// One image of noise for a model whose inputs have a fixed size.
fn made_up(path: &Path) -> Result<Inputs> {
    let model = Model::load(path)?;
    let g = &model.graph;
    let one = |v| {
        let shape = g.value(v).ty.as_ref().and_then(|t| t.shape.clone()).context("an input without shape")?;
        let size = |(i, d): (usize, &Dim)| match d {
            Dim::Value(n) => Some(*n as usize),
            _ => (i == 0).then_some(1),
        };
        let dims = shape.iter().enumerate().map(size).collect::<Option<Vec<_>>>().context("an input of open size")?;
        let noise = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 * 2.0 - 1.0;
        let data: Vec<f32> = (0..dims.iter().product()).map(noise).collect();
        Ok((g.name_of(v).to_owned(), Tensor::new(dims, data)?))
    };
    g.inputs().map(one).collect()
}

/// `fixtures/` of the repository.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Images in a set of inputs.
pub fn batch(inputs: &[(String, Tensor)]) -> usize {
    let image = inputs.iter().find(|(_, t)| t.dims().len() == 4).or(inputs.first());
    image.and_then(|(_, t)| t.dims().first().copied()).unwrap_or(1)
}

/// `images` different images made from the first: each is shifted and dimmed a little more than the one before.
pub fn with_batch(inputs: &[(String, Tensor)], images: usize) -> Result<Inputs> {
    let widen = |(name, t): &(String, Tensor)| {
        let count = t.dims().first().copied().unwrap_or(1).max(1);
        let first = t.to_f64();
        let first = &first[..first.len() / count];
        let mut data = Vec::with_capacity(first.len() * images);
        for image in 0..images {
            let mut shifted = first.to_vec();
            shifted.rotate_left((image * 1013) % first.len().max(1));
            data.extend(shifted.iter().map(|v| v * (1.0 - 0.1 * image as f64)));
        }
        let mut dims = t.dims().to_vec();
        if let Some(d) = dims.first_mut() {
            *d = images;
        }
        Ok((name.clone(), Tensor::new(dims, data)?.cast(t.data_type())))
    };
    inputs.iter().map(widen).collect()
}

/// The upper two thirds of every image.
pub fn with_size(inputs: &[(String, Tensor)]) -> Result<Inputs> {
    let crop = |(name, t): &(String, Tensor)| {
        let &[b, c, h, w] = t.dims() else { return Ok((name.clone(), t.clone())) };
        let (rows, all) = (h * 2 / 3, t.to_f64());
        let data: Vec<f64> = all.chunks_exact(h * w).flat_map(|map| map[..rows * w].iter().copied()).collect();
        Ok((name.clone(), Tensor::new(vec![b, c, rows, w], data)?.cast(t.data_type())))
    };
    inputs.iter().map(crop).collect()
}
