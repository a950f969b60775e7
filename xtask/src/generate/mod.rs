//! Random Vision Transformers of any size, spelled as the TorchScript exporter spells them.
//!
//! Weights are streamed to a file and never held in memory: a model of a gigabyte needs a few megabytes to make.

mod head;
mod trunk;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use ailurus_onnx::{
    Attribute, DataType, Dim, ExternalData, GraphEdit, Model, NodeSpec, Storage, Tensor, TensorType, ValueId,
    WriteOptions,
};
use anyhow::{Context, Result, ensure};

/// What to generate.
#[derive(Clone, Debug)]
pub(crate) struct Vit {
    /// Number of blocks.
    pub(crate) depth: usize,
    /// Channels of the stream.
    pub(crate) width: usize,
    /// Attention heads.
    pub(crate) heads: usize,
    /// Rows and columns of patches.
    pub(crate) grid: (usize, usize),
    /// Pixels per patch side.
    pub(crate) patch: usize,
    /// Channels inside the MLP.
    pub(crate) mlp: usize,
    /// Tokens before the patches (class token and registers).
    pub(crate) prefix: usize,
    /// Channels of the output map.
    pub(crate) classes: usize,
    /// What follows the encoder.
    pub(crate) head: Head,
}

/// What follows the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Head {
    /// A linear layer on every patch, and a resize
    Linear,
    /// Segmenter's mask transformer: two blocks over patches and one token per class, mask products, and a resize
    Segmenter,
    /// SAM's neck: two convolutions with channel norms; no resize
    Neck,
}

/// Writes the model to `out`, its weights inside or in `<out>.data`.
pub(crate) fn write(vit: &Vit, out: &Path, external: bool) -> Result<()> {
    ensure!(vit.heads > 0 && vit.width.is_multiple_of(vit.heads), "the width must be a multiple of the heads");
    let name = out.file_name().and_then(|n| n.to_str()).context("the output needs a file name")?;
    let stem = if external { name.to_owned() } else { format!("{name}.part") };
    let data = out.with_file_name(format!("{stem}.data"));
    let mut generator = Generator::new(vit, &data)?;
    generator.model()?;
    let model = generator.finish()?;
    let options = WriteOptions { sync: false, ..WriteOptions::default() };
    if external {
        model.write(out, &options)?;
        return Ok(());
    }
    // the weights are known by their place in the data file now: embed them from there
    let skeleton = out.with_file_name(&stem);
    model.write(&skeleton, &options)?;
    let embed = WriteOptions { external_data: ExternalData::Inline, ..options };
    let result = Model::load(&skeleton).and_then(|m| m.write(out, &embed));
    for part in [&skeleton, &data] {
        std::fs::remove_file(part).with_context(|| format!("removing {}", part.display()))?;
    }
    result?;
    Ok(())
}

struct Generator<'a> {
    vit: &'a Vit,
    edit: GraphEdit,
    path: PathBuf,
    location: String,
    data: BufWriter<File>,
    written: u64,
    random: u64,
}

impl<'a> Generator<'a> {
    fn new(vit: &'a Vit, path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let name = path.file_name().and_then(|n| n.to_str()).context("a data file without name")?;
        Ok(Self {
            vit,
            edit: GraphEdit::new(Model::new("main_graph", 8, 17)),
            path: path.to_owned(),
            location: name.to_owned(),
            data: BufWriter::with_capacity(1 << 20, file),
            written: 0,
            random: 0x2545_f491_4f6c_dd1d,
        })
    }

    fn finish(mut self) -> Result<Model> {
        self.data.flush().with_context(|| format!("writing {}", self.path.display()))?;
        self.edit.set_producer("ailurus-generate", "1");
        Ok(self.edit.finish()?)
    }

    /// The whole graph.
    fn model(&mut self) -> Result<()> {
        let stream = self.trunk()?;
        match self.vit.head {
            Head::Linear => self.linear_head(stream),
            Head::Segmenter => self.segmenter_head(stream),
            Head::Neck => self.neck(stream),
        }
    }

    fn binary(&mut self, name: &str, op: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.node(name, NodeSpec::new(op, [a, b]))
    }

    fn transpose(&mut self, name: &str, x: ValueId, perm: &[i64]) -> Result<ValueId> {
        let perm = Attribute::Ints(perm.to_vec());
        self.node(name, NodeSpec::new("Transpose", [x]).attribute("perm", perm))
    }

    fn node(&mut self, name: &str, spec: NodeSpec) -> Result<ValueId> {
        let output = format!("{name}_output_0");
        Ok(self.edit.add(spec.name(name).output(output, None))?)
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> Result<ValueId> {
        let spec = NodeSpec::new("Constant", []).attribute("value", Attribute::Tensor(tensor));
        self.node(name, spec)
    }

    fn ints(&mut self, name: &str, values: &[i64]) -> Result<ValueId> {
        self.constant(name, Tensor::from_i64("", &[values.len() as i64], values))
    }

    fn scalar(&mut self, name: &str, value: i64) -> Result<ValueId> {
        self.constant(name, Tensor::from_i64("", &[], &[value]))
    }

    fn floats(&mut self, name: &str, values: &[f32]) -> Result<ValueId> {
        let dims: &[i64] = if values.len() == 1 { &[] } else { &[values.len() as i64] };
        self.constant(name, Tensor::from_f32("", dims, values))
    }

    /// A tensor of random values between `-spread` and `spread`.
    fn weight(&mut self, name: &str, dims: &[usize], spread: f32) -> Result<ValueId> {
        self.tensor(name, dims, |random| {
            let unit = (random >> 40) as f32 / (1u64 << 24) as f32;
            (2.0 * unit - 1.0) * spread
        })
    }

    fn tensor(&mut self, name: &str, dims: &[usize], value: impl Fn(u64) -> f32) -> Result<ValueId> {
        let count: usize = dims.iter().product();
        let offset = self.written.next_multiple_of(64);
        self.data.write_all(&vec![0; (offset - self.written) as usize])?;
        for _ in 0..count {
            // xorshift64*: fast, and good enough for weights nobody trains
            self.random ^= self.random >> 12;
            self.random ^= self.random << 25;
            self.random ^= self.random >> 27;
            let random = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d);
            self.data.write_all(&value(random).to_le_bytes())?;
        }
        let length = count as u64 * 4;
        self.written = offset + length;
        let storage = Storage::External { location: self.location.clone(), offset, length };
        Ok(self.edit.add_initializer(Tensor {
            name: name.to_owned(),
            dtype: DataType::F32,
            dims: dims.iter().map(|&d| d as i64).collect(),
            storage,
        })?)
    }
}

fn float_type(dims: &[usize]) -> TensorType {
    TensorType { dtype: DataType::F32, shape: Some(dims.iter().map(|&d| Dim::Value(d as i64)).collect()) }
}
