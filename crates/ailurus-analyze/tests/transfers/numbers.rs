//! Operators on shapes and masks, reductions, branches.

use super::Bench;
use ailurus_analyze::interp::How;
use ailurus_onnx::{Attribute, DataType, Dim, Graph, GraphEdit, Model, NodeSpec, Tensor, TensorType, ValueId};

impl Bench {
    /// An input that nothing is known of but its shape.
    fn given(&mut self, name: &str, dtype: DataType, dims: &[i64]) -> ValueId {
        let shape = dims.iter().map(|&d| Dim::Value(d)).collect();
        self.edit.add_graph_input(name, TensorType { dtype, shape: Some(shape) }).expect("fresh name")
    }

    /// A size of the sequence, as a list of one.
    fn size(&mut self, axis: i64) -> ValueId {
        let shape = self.add("Shape", &[self.sequence], &[]);
        let which = self.ints(&[axis]);
        self.add("Gather", &[shape, which], &[("axis", Attribute::Int(0))])
    }

    /// The sequence in heads of this many channels.
    fn in_heads(&mut self, channels: ValueId) -> ValueId {
        let lead = self.ints(&[0, 145, -1]);
        let shape = self.add("Concat", &[lead, channels], &[("axis", Attribute::Int(0))]);
        self.add("Reshape", &[self.sequence, shape], &[])
    }

    fn scalar(&mut self, dtype: DataType, bytes: &[u8]) -> ValueId {
        let name = self.edit.fresh_name("scalar");
        self.edit.add_initializer(Tensor::from_bytes(name, dtype, &[], bytes.to_vec())).expect("fresh name")
    }

    /// A branch on a condition from outside between tables of these sizes.
    fn either(&mut self, one: &[i64], two: &[i64]) -> ValueId {
        let condition = self.given("condition", DataType::Bool, &[]);
        let branch = |name: &str, dims: &[i64]| Attribute::Graph(Box::new(table(name, dims)));
        self.add("If", &[condition], &[("then_branch", branch("one", one)), ("else_branch", branch("two", two))])
    }
}

/// A graph that makes a table.
fn table(name: &str, dims: &[i64]) -> Graph {
    let mut edit = GraphEdit::new(Model::new(name, 8, 18));
    let data = vec![0.5; dims.iter().product::<i64>() as usize];
    let made = Attribute::Tensor(Tensor::from_f32("", dims, &data));
    let spec = NodeSpec::new("Constant", []).name(name).output(format!("{name}.table"), None).attribute("value", made);
    let v = edit.add(spec).expect("a constant");
    edit.add_graph_output(v).expect("a live value");
    let ty = TensorType { dtype: DataType::F32, shape: Some(dims.iter().map(|&d| Dim::Value(d)).collect()) };
    edit.set_type(v, ty).expect("a live value");
    edit.finish().expect("a sound graph").graph
}

const CASES: &[super::Case] = &[
    (
        "a triangle of scores",
        |b| {
            let equation = Attribute::Str(b"bic,bjc->bij".to_vec());
            let scores = b.add("Einsum", &[b.sequence, b.sequence], &[("equation", equation)]);
            b.add("Trilu", &[scores], &[("upper", Attribute::Int(0))])
        },
        "batch, 1 | 12·12, 1 | 12·12",
        &[How::Mix, How::Mix],
    ),
    (
        "a diagonal as large as a table",
        |b| {
            let table = b.floats("table", &[145, 145]);
            b.add("EyeLike", &[table], &[("dtype", Attribute::Int(1))])
        },
        "145, 145",
        &[],
    ),
    ("either of two tables of one size", |b| b.either(&[1, 145, 48], &[1, 145, 48]), "1, 145, 48", &[]),
    (
        "a table from a branch, added",
        |b| {
            let table = b.either(&[1, 145, 48], &[1, 145, 48]);
            b.add("Add", &[b.sequence, table], &[])
        },
        "batch, 1 | 12·12, 48",
        &[],
    ),
    ("either of two tables of different rank", |b| b.either(&[145, 48], &[1, 145, 48]), "?", &[]),
    (
        "padding of a map",
        |b| {
            let pads = b.ints(&[0, 0, 1, 0, 0, 0, 1, 0]);
            b.add("Pad", &[b.map, pads], &[])
        },
        "batch, 48, 14, 12",
        &[How::Mix],
    ),
    (
        "padding that pads nothing",
        |b| {
            let pads = b.ints(&[0; 8]);
            b.add("Pad", &[b.map, pads], &[])
        },
        "batch, 48, 12, 12",
        &[],
    ),
    (
        "channels no fewer than a bound",
        |b| {
            let (size, low) = (b.size(2), b.scalar(DataType::I64, &16i64.to_le_bytes()));
            let size = b.add("Clip", &[size, low], &[]);
            b.in_heads(size)
        },
        "batch, 1 | 12·12, 1, 48",
        &[],
    ),
    (
        "channels no more than a bound",
        |b| {
            let (size, low) = (b.size(2), b.scalar(DataType::I64, &1i64.to_le_bytes()));
            let high = b.scalar(DataType::I64, &16i64.to_le_bytes());
            let size = b.add("Clip", &[size, low, high], &[]);
            b.in_heads(size)
        },
        "batch, 1 | 12·12, 3, 16",
        &[],
    ),
    (
        "a size squared",
        |b| {
            let (four, two) = (b.ints(&[4]), b.ints(&[2]));
            let sixteen = b.add("Pow", &[four, two], &[]);
            b.in_heads(sixteen)
        },
        "batch, 1 | 12·12, 3, 16",
        &[],
    ),
    (
        "mean over tokens and channels",
        |b| {
            let axes = b.ints(&[1, 2]);
            b.add("ReduceMean", &[b.sequence, axes], &[])
        },
        "batch, 1, 1",
        &[How::Reduce, How::Reduce],
    ),
    (
        "largest over channels",
        |b| {
            let axes = b.ints(&[-1]);
            b.add("ReduceMax", &[b.sequence, axes], &[("keepdims", Attribute::Int(1))])
        },
        "batch, 1 | 12·12, 1",
        &[How::Reduce],
    ),
    (
        "norm over tokens",
        |b| {
            let axes = b.ints(&[1]);
            b.add("ReduceL2", &[b.sequence, axes], &[("keepdims", Attribute::Int(0))])
        },
        "batch, 48",
        &[How::Reduce],
    ),
    (
        "a reduction over nothing",
        |b| b.add("ReduceSum", &[b.sequence], &[("noop_with_empty_axes", Attribute::Int(1))]),
        "batch, 1 | 12·12, 48",
        &[],
    ),
    (
        "tokens hidden by a mask from outside",
        |b| {
            let (mask, low) = (b.given("mask", DataType::Bool, &[1, 145, 1]), b.floats("low", &[]));
            b.add("Where", &[mask, b.sequence, low], &[])
        },
        "batch, 1 | 12·12, 48",
        &[],
    ),
    (
        "pixels hidden by a mask from outside",
        |b| {
            let (mask, low) = (b.given("mask", DataType::Bool, &[1, 1, 96, 96]), b.floats("low", &[]));
            b.add("Where", &[mask, low, b.image], &[])
        },
        "batch, 3, 96, 96",
        &[],
    ),
];

#[test]
fn every_case_means_what_the_table_says() {
    super::compare(CASES);
}

#[test]
fn padding_by_an_unknown_number_is_an_axis_of_unknown_size() {
    let mut b = Bench::new();
    let pads = b.given("pads", DataType::I64, &[8]);
    let padded = b.add("Pad", &[b.map, pads], &[]);
    let (text, how) = b.look(padded);
    assert_eq!(how, [How::Mix; 4]);
    assert_eq!(text.split(", ").count(), 4, "{text}");
    assert!(!text.contains("12"), "{text}");
}

#[test]
fn tables_of_different_sizes_leave_the_size_open() {
    let mut b = Bench::new();
    let v = b.either(&[1, 145, 48], &[1, 197, 48]);
    let (text, _) = b.look(v);
    assert!(text.starts_with("1, ") && text.ends_with(", 48"), "{text}");
    assert!(!text.contains("145") && !text.contains("197"), "{text}");
}
