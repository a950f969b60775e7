//! What each operator does to the meaning of axes: one row per operator and case.

#[path = "transfers/quantised.rs"]
mod quantised;

use ailurus_analyze::{Interp, interp::How};
use ailurus_onnx::{Attribute, DataType, Dim, GraphEdit, Model, NodeSpec, Tensor, TensorType, ValueId};

/// A graph with an image, its patch map, its patches and the whole sequence to try operators on.
struct Bench {
    edit: GraphEdit,
    image: ValueId,
    map: ValueId,
    patches: ValueId,
    sequence: ValueId,
}

impl Bench {
    fn new() -> Self {
        let mut edit = GraphEdit::new(Model::new("bench", 8, 18));
        let shape = vec![Dim::Param("batch".into()), Dim::Value(3), Dim::Value(96), Dim::Value(96)];
        let image =
            edit.add_graph_input("image", TensorType { dtype: DataType::F32, shape: Some(shape) }).expect("fresh name");
        let mut b = Self { edit, image, map: image, patches: image, sequence: image };
        let weight = b.floats("weight", &[48, 3, 8, 8]);
        b.map = b.add("Conv", &[image, weight], &[("strides", Attribute::Ints(vec![8, 8]))]);
        let shape = b.ints(&[0, 48, -1]);
        let flat = b.add("Reshape", &[b.map, shape], &[]);
        b.patches = b.add("Transpose", &[flat], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
        let class = b.floats("class", &[1, 1, 48]);
        b.sequence = b.add("Concat", &[class, b.patches], &[("axis", Attribute::Int(1))]);
        b
    }

    fn floats(&mut self, name: &str, dims: &[i64]) -> ValueId {
        let count = dims.iter().product::<i64>() as usize;
        let name = self.edit.fresh_name(name);
        self.edit.add_initializer(Tensor::from_f32(name, dims, &vec![0.5; count])).expect("fresh name")
    }

    fn ints(&mut self, list: &[i64]) -> ValueId {
        let name = self.edit.fresh_name("ints");
        self.edit.add_initializer(Tensor::from_i64(name, &[list.len() as i64], list)).expect("fresh name")
    }

    fn add(&mut self, op: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)]) -> ValueId {
        let name = self.edit.fresh_name(op);
        let mut spec = NodeSpec::new(op, inputs.iter().copied()).name(name.clone()).output(name, None);
        for (k, v) in attributes {
            spec = spec.attribute(*k, v.clone());
        }
        self.edit.add(spec).expect("inputs exist")
    }

    /// Adds an operator of ONNX Runtime.
    fn fused(&mut self, op: &str, inputs: &[ValueId], attributes: &[(&str, Attribute)]) -> ValueId {
        let name = self.edit.fresh_name(op);
        let mut spec = NodeSpec::new(op, inputs.iter().copied()).domain("com.microsoft").name(name.clone());
        for (k, v) in attributes {
            spec = spec.attribute(*k, v.clone());
        }
        self.edit.add(spec.output(name, None)).expect("inputs exist")
    }

    /// Axes of a value as text, and what its node does along axes.
    fn look(self, v: ValueId) -> (String, Vec<How>) {
        let (text, _, how) = self.look_closely(v);
        (text, how)
    }

    /// The same with the element type between them.
    fn look_closely(mut self, v: ValueId) -> (String, DataType, Vec<How>) {
        self.edit.add_graph_output(v).expect("a live value");
        let model = self.edit.finish().expect("a sound graph");
        let interp = Interp::run(&model);
        let node = model.graph.producer(v).expect("made by a node").0;
        let abs = interp.get(v).expect("interpreted");
        let text = match &abs.axes {
            None => "?".to_owned(),
            Some(axes) => axes.iter().map(|x| interp.atoms.show(x)).collect::<Vec<_>>().join(", "),
        };
        (text, abs.dtype, interp.effects.iter().filter(|e| e.node == node).map(|e| e.how).collect())
    }
}

type Case = (&'static str, fn(&mut Bench) -> ValueId, &'static str, &'static [How]);

const CASES: &[Case] = &[
    ("patch embedding", |b| b.map, "batch, 48, 12, 12", &[How::Contract, How::Mix, How::Mix]),
    ("patches", |b| b.patches, "batch, 12·12, 48", &[]),
    ("sequence", |b| b.sequence, "batch, 1 | 12·12, 48", &[]),
    (
        "heads",
        |b| {
            let s = b.ints(&[0, 145, 3, -1]);
            b.add("Reshape", &[b.sequence, s], &[])
        },
        "batch, 1 | 12·12, 3, 16",
        &[],
    ),
    (
        "batch and tokens folded",
        |b| {
            let s = b.ints(&[-1, 48]);
            b.add("Reshape", &[b.sequence, s], &[])
        },
        "batch·[1 | 12·12], 48",
        &[],
    ),
    (
        "a reshape that cuts through tokens",
        |b| {
            let s = b.ints(&[0, 5, 29, 48]);
            b.add("Reshape", &[b.sequence, s], &[])
        },
        "batch, 5, 29, 48",
        &[How::Mix],
    ),
    (
        "patches without the class token",
        |b| {
            let (s, e, a) = (b.ints(&[1]), b.ints(&[i64::MAX]), b.ints(&[1]));
            b.add("Slice", &[b.sequence, s, e, a], &[])
        },
        "batch, 12·12, 48",
        &[],
    ),
    (
        "a slice inside the patches",
        |b| {
            let (s, e, a) = (b.ints(&[10]), b.ints(&[20]), b.ints(&[1]));
            b.add("Slice", &[b.sequence, s, e, a], &[])
        },
        "batch, 10, 48",
        &[How::Mix],
    ),
    (
        "class token",
        |b| {
            let zero = b.edit.add_initializer(Tensor::from_i64("zero", &[], &[0])).expect("fresh name");
            b.add("Gather", &[b.sequence, zero], &[("axis", Attribute::Int(1))])
        },
        "batch, 48",
        &[],
    ),
    (
        "tokens picked by a table",
        |b| {
            let table = b.ints(&[5, 3, 7]);
            b.add("Gather", &[b.sequence, table], &[("axis", Attribute::Int(1))])
        },
        "batch, 3, 48",
        &[How::Mix],
    ),
    (
        "position table",
        |b| {
            let table = b.floats("position", &[1, 145, 48]);
            b.add("Add", &[table, b.sequence], &[])
        },
        "batch, 1 | 12·12, 48",
        &[],
    ),
    (
        "projection",
        |b| {
            let w = b.floats("w", &[48, 145]);
            b.add("MatMul", &[b.sequence, w], &[])
        },
        "batch, 1 | 12·12, 145",
        &[How::Contract, How::Contract],
    ),
    (
        "scores by einsum",
        |b| {
            let equation = Attribute::Str(b"bic,bjc->bij".to_vec());
            b.add("Einsum", &[b.sequence, b.sequence], &[("equation", equation)])
        },
        "batch, 1 | 12·12, 1 | 12·12",
        &[How::Contract, How::Contract],
    ),
    (
        "mean over tokens",
        |b| {
            let axes = b.ints(&[1]);
            b.add("ReduceMean", &[b.sequence, axes], &[("keepdims", Attribute::Int(0))])
        },
        "batch, 48",
        &[How::Reduce],
    ),
    (
        "layer norm",
        |b| {
            let w = b.floats("gamma", &[48]);
            b.add("LayerNormalization", &[b.sequence, w], &[])
        },
        "batch, 1 | 12·12, 48",
        &[How::Normalize],
    ),
    (
        "3x3 convolution",
        |b| {
            let w = b.floats("kernel", &[16, 48, 3, 3]);
            b.add("Conv", &[b.map, w], &[("pads", Attribute::Ints(vec![1; 4]))])
        },
        "batch, 16, 12, 12",
        &[How::Contract, How::Mix, How::Mix],
    ),
    (
        "1x1 convolution keeps positions",
        |b| {
            let w = b.floats("kernel", &[16, 48, 1, 1]);
            b.add("Conv", &[b.map, w], &[])
        },
        "batch, 16, 12, 12",
        &[How::Contract],
    ),
    ("an operator nobody knows", |b| b.add("FlipTokens", &[b.sequence], &[]), "?", &[]),
];

#[test]
fn every_case_means_what_the_table_says() {
    for (name, build, axes, effects) in CASES {
        let mut b = Bench::new();
        let v = build(&mut b);
        let (text, how) = b.look(v);
        assert_eq!(text, *axes, "{name}");
        assert_eq!(how, *effects, "{name}");
    }
}

#[test]
fn a_token_count_read_from_a_shape_stays_symbolic() {
    let mut b = Bench::new();
    let shape = b.add("Shape", &[b.image], &[]);
    let first = b.ints(&[0]);
    let batch = b.add("Gather", &[shape, first], &[("axis", Attribute::Int(0))]);
    let rest = b.ints(&[145, 48]);
    let operand = b.add("Concat", &[batch, rest], &[("axis", Attribute::Int(0))]);
    let flat = b.ints(&[-1, 48]);
    let folded = b.add("Reshape", &[b.sequence, flat], &[]);
    let back = b.add("Reshape", &[folded, operand], &[]);
    assert_eq!(b.look(back).0, "batch, 1 | 12·12, 48");
}

#[test]
fn windows_stay_image_positions() {
    let mut b = Bench::new();
    let shape = b.ints(&[0, 48, 3, 4, 3, 4]);
    let cut = b.add("Reshape", &[b.map, shape], &[]);
    let windows = b.add("Transpose", &[cut], &[("perm", Attribute::Ints(vec![0, 2, 4, 3, 5, 1]))]);
    let shape = b.ints(&[-1, 16, 48]);
    let sequence = b.add("Reshape", &[windows, shape], &[]);
    assert_eq!(b.look(sequence).0, "batch·3·3, 4·4, 48");
}
