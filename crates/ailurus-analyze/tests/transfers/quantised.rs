//! Operators on quantised tensors, and those that optimizers and weight compressors write.

use super::Bench;
use ailurus_analyze::interp::How;
use ailurus_onnx::{Attribute, DataType, Tensor, ValueId};

impl Bench {
    fn bytes(&mut self, dims: &[i64], dtype: DataType) -> ValueId {
        let name = self.edit.fresh_name("bytes");
        let data = vec![3; dims.iter().product::<i64>() as usize];
        self.edit.add_initializer(Tensor::from_bytes(name, dtype, dims, data)).expect("fresh name")
    }

    /// Scale and zero point of a whole tensor.
    fn steps(&mut self) -> [ValueId; 2] {
        [self.floats("scale", &[]), self.bytes(&[], DataType::U8)]
    }

    /// A value in 8 bits, with its scale and zero point.
    fn eight(&mut self, v: ValueId) -> [ValueId; 3] {
        let [scale, zero] = self.steps();
        [self.add("QuantizeLinear", &[v, scale, zero], &[]), scale, zero]
    }

    /// An operator with quantised operands in triples, and scale and zero point of its result.
    fn quantised(&mut self, op: &str, operands: &[[ValueId; 3]], attributes: &[(&str, Attribute)]) -> ValueId {
        let inputs = [operands.concat(), self.steps().to_vec()].concat();
        match op {
            "QLinearMatMul" => self.add(op, &inputs, attributes),
            _ => self.fused(op, &inputs, attributes),
        }
    }

    /// A table of weights in 8 bits.
    fn weights(&mut self, dims: &[i64]) -> [ValueId; 3] {
        let [scale, zero] = self.steps();
        [self.bytes(dims, DataType::U8), scale, zero]
    }
}

/// Name, graph, axes, element type, effects.
type Case = (&'static str, fn(&mut Bench) -> ValueId, &'static str, DataType, &'static [How]);

const CASES: &[Case] = &[
    ("quantised", |b| b.eight(b.sequence)[0], "batch, 1 | 12·12, 48", DataType::U8, &[]),
    (
        "dequantised with one scale",
        |b| {
            let q = b.eight(b.sequence);
            b.add("DequantizeLinear", &q, &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::F32,
        &[],
    ),
    (
        "a scale per token tells tokens apart",
        |b| {
            let (scale, zero) = (b.floats("scales", &[145]), b.bytes(&[145], DataType::I8));
            b.add("QuantizeLinear", &[b.sequence, scale, zero], &[("axis", Attribute::Int(1))])
        },
        "batch, 1 | 12·12, 48",
        DataType::I8,
        &[How::Mix],
    ),
    (
        "blocks of channels",
        |b| {
            let scale = b.floats("scales", &[1, 1, 3]);
            b.add("QuantizeLinear", &[b.sequence, scale], &[("block_size", Attribute::Int(16))])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[How::Mix],
    ),
    (
        "8-bit projection",
        |b| {
            let (x, w) = (b.eight(b.sequence), b.weights(&[48, 145]));
            b.quantised("QLinearMatMul", &[x, w], &[])
        },
        "batch, 1 | 12·12, 145",
        DataType::U8,
        &[How::Contract, How::Contract],
    ),
    (
        "integer projection",
        |b| {
            let (x, w) = (b.eight(b.sequence), b.weights(&[48, 64]));
            b.add("MatMulInteger", &[x[0], w[0], x[2], w[2]], &[])
        },
        "batch, 1 | 12·12, 64",
        DataType::I32,
        &[How::Contract, How::Contract],
    ),
    (
        "integer projection to floats",
        |b| {
            let (x, w) = (b.eight(b.sequence), b.weights(&[48, 64]));
            b.fused("MatMulIntegerToFloat", &[x[0], w[0], x[1], w[1], x[2], w[2]], &[])
        },
        "batch, 1 | 12·12, 64",
        DataType::F32,
        &[How::Contract, How::Contract],
    ),
    (
        "projection with a scale from the data",
        |b| {
            let w = b.weights(&[48, 64]);
            b.fused("DynamicQuantizeMatMul", &[b.sequence, w[0], w[1], w[2]], &[])
        },
        "batch, 1 | 12·12, 64",
        DataType::F32,
        &[How::Contract, How::Contract],
    ),
    (
        "8-bit gemm with stored bias, transposed",
        |b| {
            let shape = b.ints(&[-1, 48]);
            let x = b.eight(b.sequence);
            let flat = b.add("Reshape", &[x[0], shape], &[]);
            let (w, bias) = (b.weights(&[64, 48]), b.ints(&[64]));
            let [scale, zero] = b.steps();
            let inputs = [flat, x[1], x[2], w[0], w[1], w[2], bias, scale, zero];
            b.fused("QGemm", &inputs, &[("transB", Attribute::Int(1))])
        },
        "batch·[1 | 12·12], 64",
        DataType::U8,
        &[How::Contract, How::Contract],
    ),
    (
        "8-bit convolution",
        |b| {
            let (x, w) = (b.eight(b.map), b.weights(&[16, 48, 3, 3]));
            let [scale, zero] = b.steps();
            let inputs = [x[0], x[1], x[2], w[0], w[1], w[2], scale, zero];
            b.add("QLinearConv", &inputs, &[("pads", Attribute::Ints(vec![1; 4]))])
        },
        "batch, 16, 12, 12",
        DataType::U8,
        &[How::Contract, How::Mix, How::Mix],
    ),
    (
        "8-bit convolution with channels last",
        |b| {
            let last = b.add("Transpose", &[b.map], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
            let (x, w) = (b.eight(last), b.weights(&[16, 48, 3, 3]));
            let [scale, zero] = b.steps();
            let inputs = [x[0], x[1], x[2], w[0], w[1], w[2], scale, zero];
            let attributes = [("strides", Attribute::Ints(vec![3, 3])), ("channels_last", Attribute::Int(1))];
            b.fused("QLinearConv", &inputs, &attributes)
        },
        "batch, 4, 4, 16",
        DataType::U8,
        &[How::Contract, How::Mix, How::Mix],
    ),
    (
        "integer convolution",
        |b| {
            let (x, w) = (b.eight(b.map), b.weights(&[16, 48, 1, 1]));
            b.add("ConvInteger", &[x[0], w[0], x[2], w[2]], &[])
        },
        "batch, 16, 12, 12",
        DataType::I32,
        &[How::Contract],
    ),
    (
        "8-bit sum with a table",
        |b| {
            let (x, table) = (b.eight(b.sequence), b.weights(&[1, 145, 48]));
            b.quantised("QLinearAdd", &[table, x], &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[],
    ),
    (
        "8-bit product",
        |b| {
            let (x, gate) = (b.eight(b.sequence), b.weights(&[48]));
            b.quantised("QLinearMul", &[x, gate], &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[],
    ),
    (
        "8-bit sigmoid",
        |b| {
            let x = b.eight(b.sequence);
            b.quantised("QLinearSigmoid", &[x], &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[],
    ),
    (
        "8-bit leaky relu",
        |b| {
            let x = b.eight(b.sequence);
            b.quantised("QLinearLeakyRelu", &[x], &[("alpha", Attribute::Float(0.1))])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[],
    ),
    (
        "8-bit choice",
        |b| {
            let (x, other) = (b.eight(b.sequence), b.weights(&[1]));
            let zero = b.floats("zero", &[]);
            let which = b.add("Greater", &[b.sequence, zero], &[]);
            let [scale, point] = b.steps();
            let inputs = [which, x[0], x[1], x[2], other[0], other[1], other[2], scale, point];
            b.fused("QLinearWhere", &inputs, &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[],
    ),
    (
        "8-bit softmax",
        |b| {
            let x = b.eight(b.sequence);
            b.quantised("QLinearSoftmax", &[x], &[("axis", Attribute::Int(1)), ("opset", Attribute::Int(13))])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[How::Normalize],
    ),
    (
        "8-bit concat",
        |b| {
            let (class, x) = (b.weights(&[1, 1, 48]), b.eight(b.patches));
            let inputs = [b.steps().to_vec(), class.to_vec(), x.to_vec()].concat();
            b.fused("QLinearConcat", &inputs, &[("axis", Attribute::Int(1))])
        },
        "batch, 1 | 12·12, 48",
        DataType::U8,
        &[],
    ),
    (
        "8-bit mean over tokens",
        |b| {
            let x = b.eight(b.sequence);
            let attributes = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(0))];
            b.quantised("QLinearReduceMean", &[x], &attributes)
        },
        "batch, 48",
        DataType::U8,
        &[How::Reduce],
    ),
    (
        "8-bit pool",
        |b| {
            let x = b.eight(b.map);
            let two = || Attribute::Ints(vec![2, 2]);
            b.quantised("QLinearAveragePool", &[x], &[("kernel_shape", two()), ("strides", two())])
        },
        "batch, 48, 6, 6",
        DataType::U8,
        &[How::Mix, How::Mix],
    ),
    (
        "8-bit pool over everything",
        |b| {
            let x = b.eight(b.map);
            b.quantised("QLinearGlobalAveragePool", &[x], &[])
        },
        "batch, 48, 1, 1",
        DataType::U8,
        &[How::Reduce, How::Reduce],
    ),
    (
        "pool with channels last",
        |b| {
            let last = b.add("Transpose", &[b.map], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
            let x = b.eight(last);
            let two = || Attribute::Ints(vec![2, 2]);
            b.fused("NhwcMaxPool", &[x[0]], &[("kernel_shape", two()), ("strides", two())])
        },
        "batch, 6, 6, 48",
        DataType::U8,
        &[How::Mix, How::Mix],
    ),
    (
        "8-bit attention",
        |b| {
            let (x, w, bias) = (b.eight(b.sequence), b.weights(&[48, 144]), b.floats("bias", &[144]));
            let inputs = [x[0], w[0], bias, x[1], w[1]];
            b.fused("QAttention", &inputs, &[("num_heads", Attribute::Int(3))])
        },
        "batch, 1 | 12·12, 48",
        DataType::F32,
        &[How::Contract],
    ),
    (
        "8-bit attention that looks back only",
        |b| {
            let (x, w, bias) = (b.eight(b.sequence), b.weights(&[48, 144]), b.floats("bias", &[144]));
            let attributes = [("num_heads", Attribute::Int(3)), ("unidirectional", Attribute::Int(1))];
            b.fused("QAttention", &[x[0], w[0], bias, x[1], w[1]], &attributes)
        },
        "?",
        DataType::Undefined,
        &[],
    ),
    (
        "4-bit weights",
        |b| {
            let (w, scales) = (b.bytes(&[64, 3, 8], DataType::U8), b.floats("scales", &[64, 3]));
            let number = |n| Attribute::Int(n);
            let attributes = [("K", number(48)), ("N", number(64)), ("bits", number(4)), ("block_size", number(16))];
            b.fused("MatMulNBits", &[b.sequence, w, scales], &attributes)
        },
        "batch, 1 | 12·12, 64",
        DataType::F32,
        &[How::Contract],
    ),
    (
        "gemm with its activation",
        |b| {
            let shape = b.ints(&[-1, 48]);
            let flat = b.add("Reshape", &[b.sequence, shape], &[]);
            let (w, bias) = (b.floats("w", &[64, 48]), b.floats("bias", &[64]));
            let attributes = [("transB", Attribute::Int(1)), ("activation", Attribute::Str(b"Relu".to_vec()))];
            b.fused("FusedGemm", &[flat, w, bias], &attributes)
        },
        "batch·[1 | 12·12], 64",
        DataType::F32,
        &[How::Contract, How::Contract],
    ),
    (
        "convolution with its activation",
        |b| {
            let w = b.floats("kernel", &[16, 48, 1, 1]);
            b.fused("FusedConv", &[b.map, w], &[("activation", Attribute::Str(b"Relu".to_vec()))])
        },
        "batch, 16, 12, 12",
        DataType::F32,
        &[How::Contract],
    ),
    (
        "scores under the old name",
        |b| b.fused("TransposeMatMul", &[b.sequence, b.sequence], &[("transB", Attribute::Int(1))]),
        "batch, 1 | 12·12, 1 | 12·12",
        DataType::F32,
        &[How::Contract, How::Contract],
    ),
    (
        "scores of a stack that comes second",
        |b| {
            let first = b.add("Transpose", &[b.sequence], &[("perm", Attribute::Ints(vec![1, 0, 2]))]);
            let on = || Attribute::Int(1);
            let attributes = [("transB", on()), ("transBatchA", on()), ("transBatchB", on())];
            b.fused("FusedMatMul", &[first, first], &attributes)
        },
        "batch, 1 | 12·12, 1 | 12·12",
        DataType::F32,
        &[How::Contract, How::Contract],
    ),
    (
        "scores with a bias, normalised",
        |b| {
            let scores = b.fused("FusedMatMul", &[b.sequence, b.sequence], &[("transB", Attribute::Int(1))]);
            let bias = b.floats("bias", &[1, 145, 145]);
            let attributes = [("axis", Attribute::Int(2)), ("is_inner_broadcast", Attribute::Int(0))];
            b.fused("BiasSoftmax", &[scores, bias], &attributes)
        },
        "batch, 1 | 12·12, 1 | 12·12",
        DataType::F32,
        &[How::Normalize],
    ),
    (
        "rotation by listed positions",
        |b| {
            let (at, cos) = (b.ints(&[1, 145]), b.floats("cos", &[145, 24]));
            let shape = b.ints(&[1, 2]);
            let at = b.add("Reshape", &[at, shape], &[]);
            b.fused("RotaryEmbedding", &[b.sequence, at, cos, cos], &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::F32,
        &[],
    ),
    (
        "rotation by the tokens' own numbers",
        |b| {
            let (at, cos) = (b.ints(&[0]), b.floats("cos", &[145, 24]));
            b.fused("RotaryEmbedding", &[b.sequence, at, cos, cos], &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::F32,
        &[How::Mix],
    ),
    (
        "groups of channels, last",
        |b| {
            let last = b.add("Transpose", &[b.map], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
            let gamma = b.floats("gamma", &[48]);
            b.fused("SkipGroupNorm", &[last, gamma, gamma, last], &[("groups", Attribute::Int(4))])
        },
        "batch, 12, 12, 48",
        DataType::F32,
        &[How::Normalize, How::Normalize],
    ),
    (
        "sum behind a dropout",
        |b| {
            let bias = b.floats("bias", &[48]);
            b.fused("BiasDropout", &[b.sequence, bias, b.sequence], &[])
        },
        "batch, 1 | 12·12, 48",
        DataType::F32,
        &[],
    ),
];

#[test]
fn quantised_operators_mean_what_the_table_says() {
    for (name, build, axes, dtype, effects) in CASES {
        let mut b = Bench::new();
        let v = build(&mut b);
        let (text, is, how) = b.look_closely(v);
        assert_eq!(text, *axes, "{name}");
        assert_eq!(is, *dtype, "{name}");
        assert_eq!(how, *effects, "{name}");
    }
}
