//! Small vision transformers with random weights, in many spellings.

use ailurus_onnx::{Attribute, DataType, Dim, GraphEdit, Model, NodeSpec, Tensor, TensorType, ValueId};

/// How queries, keys and values are made.
#[derive(Clone, Copy, Debug)]
pub enum Qkv {
    /// one projection, reshaped to [.., 3, heads, d] and picked apart
    Fused,
    /// one projection, split along channels
    Split,
    /// three projections
    Separate,
}

/// A recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub grid: (i64, i64),
    pub prefix: i64,
    pub suffix: i64,
    pub heads: i64,
    pub head_dim: i64,
    pub blocks: usize,
    pub qkv: Qkv,
    /// The batch is symbolic.
    pub dynamic: bool,
    /// Shapes are read from tensors instead of baked in as constants.
    pub shapes_in_graph: bool,
    /// The stream is [T, B, C].
    pub sequence_first: bool,
    /// The MLP runs on [B·T, C].
    pub flat_mlp: bool,
    /// Every block adds a constant bias to its scores.
    pub score_bias: bool,
    /// Attention and MLP read the same norm.
    pub parallel: bool,
    /// The stream is normalised behind each sum.
    pub post_norm: bool,
    /// MLP width equal to the number of tokens, to confuse numbers with meanings.
    pub collide: bool,
    /// The head reads the class of each patch; otherwise the model returns the whole sequence.
    pub dense_head: bool,
}

impl Recipe {
    pub fn tokens(&self) -> i64 {
        self.prefix + self.grid.0 * self.grid.1 + self.suffix
    }

    fn channels(&self) -> i64 {
        self.heads * self.head_dim
    }
}

const PATCH: i64 = 2;

struct Writer {
    edit: GraphEdit,
    seed: u32,
}

impl Writer {
    fn noise(&mut self, dims: &[i64], scale: f32) -> ValueId {
        let count = dims.iter().product::<i64>() as usize;
        let data: Vec<f32> = (0..count)
            .map(|_| {
                self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((self.seed >> 8) as f32 / (1u32 << 24) as f32 - 0.5) * scale
            })
            .collect();
        let name = self.edit.fresh_name("weight");
        self.edit.add_initializer(Tensor::from_f32(name, dims, &data)).expect("fresh name")
    }

    fn ints(&mut self, list: &[i64]) -> ValueId {
        let name = self.edit.fresh_name("ints");
        self.edit.add_initializer(Tensor::from_i64(name, &[list.len() as i64], list)).expect("fresh name")
    }

    fn op(&mut self, op: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)]) -> ValueId {
        let name = self.edit.fresh_name(op);
        let mut spec = NodeSpec::new(op, inputs.iter().copied()).name(name.clone()).output(name, None);
        for (k, v) in attributes {
            spec = spec.attribute(*k, v.clone());
        }
        self.edit.add(spec).expect("inputs exist")
    }

    fn transpose(&mut self, v: ValueId, perm: &[i64]) -> ValueId {
        self.op("Transpose", &[v], &[("perm", Attribute::Ints(perm.to_vec()))])
    }

    fn linear(&mut self, v: ValueId, from: i64, to: i64) -> ValueId {
        let (w, b) = (self.noise(&[from, to], 1.2), self.noise(&[to], 0.2));
        let product = self.op("MatMul", &[v, w], &[]);
        self.op("Add", &[product, b], &[])
    }

    fn norm(&mut self, v: ValueId, channels: i64) -> ValueId {
        let (w, b) = (self.noise(&[channels], 2.0), self.noise(&[channels], 0.2));
        self.op("LayerNormalization", &[v, w, b], &[])
    }

    /// Sizes `at` of a tensor, read at run time.
    fn sizes(&mut self, of: ValueId, at: &[i64]) -> ValueId {
        let shape = self.op("Shape", &[of], &[]);
        let which = self.ints(at);
        self.op("Gather", &[shape, which], &[("axis", Attribute::Int(0))])
    }
}

/// Builds the model; input `image`, output `out`.
pub fn build(r: &Recipe, seed: u32) -> Model {
    let mut w = Writer { edit: GraphEdit::new(Model::new("random", 8, 17)), seed };
    let (c, n, t) = (r.channels(), r.grid.0 * r.grid.1, r.tokens());
    let batch = if r.dynamic { Dim::Param("batch".into()) } else { Dim::Value(1) };
    let shape = vec![batch, Dim::Value(3), Dim::Value(r.grid.0 * PATCH), Dim::Value(r.grid.1 * PATCH)];
    let ty = TensorType { dtype: DataType::F32, shape: Some(shape) };
    let image = w.edit.add_graph_input("image", ty).expect("fresh name");

    let kernel = w.noise(&[c, 3, PATCH, PATCH], 1.0);
    let map = w.op("Conv", &[image, kernel], &[("strides", Attribute::Ints(vec![PATCH, PATCH]))]);
    let flat = w.ints(&[0, c, n]);
    let flat = w.op("Reshape", &[map, flat], &[]);
    let mut x = w.transpose(flat, &[0, 2, 1]);
    for (count, front) in [(r.prefix, true), (r.suffix, false)] {
        if count > 0 {
            let table = w.noise(&[1, count, c], 1.0);
            let first = w.sizes(image, &[0]);
            let rest = w.ints(&[count, c]);
            let shape = w.op("Concat", &[first, rest], &[("axis", Attribute::Int(0))]);
            let extra = w.op("Expand", &[table, shape], &[]);
            let parts = if front { [extra, x] } else { [x, extra] };
            x = w.op("Concat", &parts, &[("axis", Attribute::Int(1))]);
        }
    }
    let position = w.noise(&[1, t, c], 0.5);
    x = w.op("Add", &[x, position], &[]);
    if r.sequence_first {
        x = w.transpose(x, &[1, 0, 2]);
    }
    for _ in 0..r.blocks {
        x = block(&mut w, r, image, x);
    }
    if !r.post_norm {
        x = w.norm(x, c);
    }
    if r.sequence_first {
        x = w.transpose(x, &[1, 0, 2]);
    }
    if r.dense_head {
        let (from, to, axis) = (w.ints(&[r.prefix]), w.ints(&[r.prefix + n]), w.ints(&[1]));
        let patches = w.op("Slice", &[x, from, to, axis], &[]);
        let classes = w.linear(patches, c, 5);
        let first = w.transpose(classes, &[0, 2, 1]);
        let shape = w.ints(&[0, 5, r.grid.0, r.grid.1]);
        x = w.op("Reshape", &[first, shape], &[]);
    }
    w.edit.rename_value(x, "out").expect("fresh name");
    w.edit.add_graph_output(x).expect("a live value");
    let rank = if r.dense_head { 4 } else { 3 };
    let ty = TensorType { dtype: DataType::F32, shape: Some(vec![Dim::Unknown; rank]) };
    w.edit.set_type(x, ty).expect("a live value");
    w.edit.finish().expect("a sound graph")
}

fn block(w: &mut Writer, r: &Recipe, image: ValueId, x: ValueId) -> ValueId {
    let c = r.channels();
    let inner = if r.post_norm { x } else { w.norm(x, c) };
    let attention = attention(w, r, image, inner);
    let sum = w.op("Add", &[x, attention], &[]);
    let sum = if r.post_norm { w.norm(sum, c) } else { sum };
    let inner = match (r.parallel && !r.post_norm, r.post_norm) {
        (true, _) => inner,
        (false, true) => sum,
        (false, false) => w.norm(sum, c),
    };
    let mlp = mlp(w, r, image, inner);
    let out = w.op("Add", &[mlp, sum], &[]);
    if r.post_norm { w.norm(out, c) } else { out }
}

fn mlp(w: &mut Writer, r: &Recipe, image: ValueId, v: ValueId) -> ValueId {
    let (c, t) = (r.channels(), r.tokens());
    let width = if r.collide { t } else { 2 * c };
    let flat = r.flat_mlp && !r.sequence_first;
    let mut y = v;
    if flat {
        let shape = w.ints(&[-1, c]);
        y = w.op("Reshape", &[v, shape], &[]);
    }
    y = w.linear(y, c, width);
    y = w.op("Relu", &[y], &[]);
    y = w.linear(y, width, c);
    if flat {
        let shape = if r.shapes_in_graph {
            let first = w.sizes(image, &[0]);
            let rest = w.ints(&[t, c]);
            w.op("Concat", &[first, rest], &[("axis", Attribute::Int(0))])
        } else {
            w.ints(&[-1, t, c])
        };
        y = w.op("Reshape", &[y, shape], &[]);
    }
    y
}

/// Queries, keys and values as [B, H, T, d], or [B·H, T, d] when the stream is sequence first.
fn attention(w: &mut Writer, r: &Recipe, image: ValueId, v: ValueId) -> ValueId {
    let (c, h, d, t) = (r.channels(), r.heads, r.head_dim, r.tokens());
    let parts: Vec<ValueId> = match r.qkv {
        Qkv::Separate => (0..3).map(|_| w.linear(v, c, c)).collect(),
        Qkv::Split => {
            let all = w.linear(v, c, 3 * c);
            let sizes = w.ints(&[c, c, c]);
            let name = w.edit.fresh_name("Split");
            let mut spec = NodeSpec::new("Split", [all, sizes]).name(name.clone()).attribute("axis", Attribute::Int(2));
            for i in 0..3 {
                spec = spec.output(format!("{name}.{i}"), None);
            }
            let node = w.edit.add_node(spec).expect("inputs exist");
            w.edit.outputs(node)
        }
        Qkv::Fused => {
            let all = w.linear(v, c, 3 * c);
            // [.., 3, C]: the same as [.., 3, H, d] before the heads are told apart.
            let shape = w.ints(&[0, 0, 3, c]);
            let cut = w.op("Reshape", &[all, shape], &[]);
            (0..3)
                .map(|i| {
                    let name = w.edit.fresh_name("which");
                    let which = w.edit.add_initializer(Tensor::from_i64(name, &[], &[i])).expect("fresh name");
                    w.op("Gather", &[cut, which], &[("axis", Attribute::Int(2))])
                })
                .collect()
        }
    };
    let shape = |w: &mut Writer, of: ValueId, last: &[i64]| {
        if r.shapes_in_graph {
            let lead = w.sizes(of, &[0, 1]);
            let rest = w.ints(last);
            w.op("Concat", &[lead, rest], &[("axis", Attribute::Int(0))])
        } else if r.sequence_first {
            w.ints(&[&[t, 0][..], last].concat())
        } else {
            w.ints(&[&[0, t][..], last].concat())
        }
    };
    let mut heads = Vec::new();
    for &p in &parts {
        heads.push(if r.sequence_first {
            // [T, B, C] -> [T, B·H, d] -> [B·H, T, d]
            let first = if r.dynamic {
                let b = w.sizes(image, &[0]);
                let f = w.ints(&[h]);
                let lead = w.ints(&[t]);
                let folded = w.op("Mul", &[b, f], &[]);
                let last = w.ints(&[d]);
                w.op("Concat", &[lead, folded, last], &[("axis", Attribute::Int(0))])
            } else {
                w.ints(&[t, h, d])
            };
            let cut = w.op("Reshape", &[p, first], &[]);
            w.transpose(cut, &[1, 0, 2])
        } else {
            let s = shape(w, p, &[h, d]);
            let cut = w.op("Reshape", &[p, s], &[]);
            w.transpose(cut, &[0, 2, 1, 3])
        });
    }
    let perm: &[i64] = if r.sequence_first { &[0, 2, 1] } else { &[0, 1, 3, 2] };
    let keys = w.transpose(heads[1], perm);
    let mut scores = w.op("MatMul", &[heads[0], keys], &[]);
    if r.score_bias && !r.sequence_first {
        let bias = w.noise(&[1, h, t, t], 1.0);
        scores = w.op("Add", &[scores, bias], &[]);
    }
    let probabilities = w.op("Softmax", &[scores], &[("axis", Attribute::Int(-1))]);
    let context = w.op("MatMul", &[probabilities, heads[2]], &[]);
    let joined = if r.sequence_first {
        let back = w.transpose(context, &[1, 0, 2]);
        let s = w.ints(&[t, -1, c]);
        w.op("Reshape", &[back, s], &[])
    } else {
        let back = w.transpose(context, &[0, 2, 1, 3]);
        let s = shape(w, back, &[c]);
        w.op("Reshape", &[back, s], &[])
    };
    w.linear(joined, c, c)
}
