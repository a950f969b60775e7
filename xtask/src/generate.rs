//! Random Vision Transformers of any size, spelled as the TorchScript exporter spells them.
//!
//! Weights are streamed to a file and never held in memory: a model of a gigabyte needs a few megabytes to make.

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
        let Vit { width: c, grid: (h, w), patch, prefix, classes, .. } = *self.vit;
        let image = float_type(&[1, 3, h * patch, w * patch]);
        let pixels = self.edit.add_graph_input("pixel_values", image)?;

        let kernel = self.weight("patch_embed.proj.weight", &[c, 3, patch, patch], 0.02)?;
        let bias = self.weight("patch_embed.proj.bias", &[c], 0.02)?;
        let sides = Attribute::Ints(vec![patch as i64; 2]);
        let x = self.node(
            "/patch_embed/proj/Conv",
            NodeSpec::new("Conv", [pixels, kernel, bias])
                .attribute("dilations", Attribute::Ints(vec![1, 1]))
                .attribute("group", Attribute::Int(1))
                .attribute("kernel_shape", sides.clone())
                .attribute("pads", Attribute::Ints(vec![0; 4]))
                .attribute("strides", sides),
        )?;
        let shape = self.ints("/patch_embed/Constant", &[1, c as i64, -1])?;
        let x = self.node("/patch_embed/Reshape", NodeSpec::new("Reshape", [x, shape]))?;
        let mut x = self.transpose("/patch_embed/Transpose", x, &[0, 2, 1])?;
        if prefix > 0 {
            let tokens = self.weight("prefix_tokens", &[1, prefix, c], 0.02)?;
            x = self.node("/Concat", NodeSpec::new("Concat", [tokens, x]).attribute("axis", Attribute::Int(1)))?;
        }
        let position = self.weight("pos_embed", &[1, prefix + h * w, c], 0.02)?;
        x = self.binary("/Add", "Add", x, position)?;
        for block in 0..self.vit.depth {
            x = self.block(block, x)?;
        }
        x = self.norm("/norm", "norm", x)?;
        if prefix > 0 {
            let bounds = [("", prefix as i64), ("_1", i64::MAX), ("_2", 1), ("_3", 1)];
            let mut spec = NodeSpec::new("Slice", [x]);
            for (suffix, value) in bounds {
                let bound = self.ints(&format!("/Slice/Constant{suffix}"), &[value])?;
                spec = spec.input(bound);
            }
            x = self.node("/Slice", spec)?;
        }
        x = self.linear("/head", "head", x, (c, classes))?;
        x = self.transpose("/Transpose", x, &[0, 2, 1])?;
        let map = [1, classes as i64, h as i64, w as i64];
        let shape = self.ints("/Constant_map", &map)?;
        x = self.node("/Reshape", NodeSpec::new("Reshape", [x, shape]))?;
        let factor = patch as f32;
        let scales = self.floats("/Constant_scales", &[1.0, 1.0, factor, factor])?;
        let resize = NodeSpec::new("Resize", [x])
            .name("/Resize")
            .input(None)
            .input(scales)
            .attribute("coordinate_transformation_mode", Attribute::Str(b"half_pixel".to_vec()))
            .attribute("cubic_coeff_a", Attribute::Float(-0.75))
            .attribute("mode", Attribute::Str(b"linear".to_vec()))
            .attribute("nearest_mode", Attribute::Str(b"floor".to_vec()))
            .output("logits", float_type(&[1, classes, h * patch, w * patch]));
        let out = self.edit.add(resize)?;
        Ok(self.edit.add_graph_output(out)?)
    }

    fn block(&mut self, index: usize, x: ValueId) -> Result<ValueId> {
        let (at, w) = (format!("/blocks/blocks.{index}"), format!("blocks.{index}"));
        let (c, m) = (self.vit.width, self.vit.mlp);
        let normed = self.norm(&format!("{at}/norm1"), &format!("{w}.norm1"), x)?;
        let mixed = self.attention(&format!("{at}/attn"), &format!("{w}.attn"), normed)?;
        let x = self.binary(&format!("{at}/Add"), "Add", x, mixed)?;
        let y = self.norm(&format!("{at}/norm2"), &format!("{w}.norm2"), x)?;
        let y = self.linear(&format!("{at}/mlp/fc1"), &format!("{w}.mlp.fc1"), y, (c, m))?;
        let y = self.gelu(&format!("{at}/mlp/act"), y)?;
        let y = self.linear(&format!("{at}/mlp/fc2"), &format!("{w}.mlp.fc2"), y, (m, c))?;
        self.binary(&format!("{at}/Add_1"), "Add", x, y)
    }

    fn attention(&mut self, at: &str, w: &str, x: ValueId) -> Result<ValueId> {
        let (c, heads) = (self.vit.width, self.vit.heads);
        let tokens = self.vit.prefix + self.vit.grid.0 * self.vit.grid.1;
        let depth = c / heads;
        let qkv = self.linear(&format!("{at}/qkv"), &format!("{w}.qkv"), x, (c, 3 * c))?;
        let parts = [1, tokens as i64, 3, heads as i64, depth as i64];
        let shape = self.ints(&format!("{at}/Constant"), &parts)?;
        let qkv = self.node(&format!("{at}/Reshape"), NodeSpec::new("Reshape", [qkv, shape]))?;
        let qkv = self.transpose(&format!("{at}/Transpose"), qkv, &[2, 0, 3, 1, 4])?;
        let mut pick = |index: i64| -> Result<ValueId> {
            let suffix = if index == 0 { String::new() } else { format!("_{index}") };
            let which = self.scalar(&format!("{at}/Constant_pick{suffix}"), index)?;
            let gather = NodeSpec::new("Gather", [qkv, which]).attribute("axis", Attribute::Int(0));
            self.node(&format!("{at}/Gather{suffix}"), gather)
        };
        let (q, k, v) = (pick(0)?, pick(1)?, pick(2)?);
        let scale = self.floats(&format!("{at}/Constant_scale"), &[(depth as f32).powf(-0.5)])?;
        let q = self.binary(&format!("{at}/Mul"), "Mul", q, scale)?;
        let k = self.transpose(&format!("{at}/Transpose_1"), k, &[0, 1, 3, 2])?;
        let scores = self.binary(&format!("{at}/MatMul"), "MatMul", q, k)?;
        let softmax = NodeSpec::new("Softmax", [scores]).attribute("axis", Attribute::Int(-1));
        let weights = self.node(&format!("{at}/Softmax"), softmax)?;
        let mixed = self.binary(&format!("{at}/MatMul_1"), "MatMul", weights, v)?;
        let mixed = self.transpose(&format!("{at}/Transpose_2"), mixed, &[0, 2, 1, 3])?;
        let shape = self.ints(&format!("{at}/Constant_1"), &[1, tokens as i64, c as i64])?;
        let spec = NodeSpec::new("Reshape", [mixed, shape]);
        let mixed = self.node(&format!("{at}/Reshape_1"), spec)?;
        self.linear(&format!("{at}/proj"), &format!("{w}.proj"), mixed, (c, c))
    }

    fn gelu(&mut self, at: &str, x: ValueId) -> Result<ValueId> {
        let root = self.floats(&format!("{at}/Constant"), &[std::f32::consts::SQRT_2])?;
        let one = self.floats(&format!("{at}/Constant_1"), &[1.0])?;
        let half = self.floats(&format!("{at}/Constant_2"), &[0.5])?;
        let y = self.binary(&format!("{at}/Div"), "Div", x, root)?;
        let y = self.node(&format!("{at}/Erf"), NodeSpec::new("Erf", [y]))?;
        let y = self.binary(&format!("{at}/Add"), "Add", y, one)?;
        let y = self.binary(&format!("{at}/Mul"), "Mul", x, y)?;
        self.binary(&format!("{at}/Mul_1"), "Mul", y, half)
    }

    fn norm(&mut self, at: &str, w: &str, x: ValueId) -> Result<ValueId> {
        let width = self.vit.width;
        let gain = self.tensor(&format!("{w}.weight"), &[width], |_| 1.0)?;
        let bias = self.weight(&format!("{w}.bias"), &[width], 0.02)?;
        self.node(
            &format!("{at}/LayerNormalization"),
            NodeSpec::new("LayerNormalization", [x, gain, bias])
                .attribute("axis", Attribute::Int(-1))
                .attribute("epsilon", Attribute::Float(1e-6)),
        )
    }

    fn linear(&mut self, at: &str, w: &str, x: ValueId, size: (usize, usize)) -> Result<ValueId> {
        let name = format!("onnx::MatMul_{w}");
        let spread = (size.0 as f32).powf(-0.5);
        let weight = self.weight(&name, &[size.0, size.1], spread)?;
        let bias = self.weight(&format!("{w}.bias"), &[size.1], 0.02)?;
        let y = self.binary(&format!("{at}/MatMul"), "MatMul", x, weight)?;
        self.binary(&format!("{at}/Add"), "Add", bias, y)
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
