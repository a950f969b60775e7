//! How the numbers of a quantised tensor are stored: scale and zero point.

use crate::interp::Interp;
use ailurus_onnx::{DataType, Graph, Node, ValueId};

/// A per-tensor quantisation with constants: `number = (stored - zero point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// One constant.
    pub scale: ValueId,
    /// One constant; zero when absent.
    pub zero_point: Option<ValueId>,
    /// Element type as stored.
    pub stored: DataType,
}

/// The quantisation of an 8-bit value: that which its operator was given for its result, or that of the data where the
/// operator only moves elements. `None` where scale or zero point are not single constants.
pub fn of(interp: &Interp, v: ValueId) -> Option<Quantization> {
    let g = &interp.model.graph;
    let stored = interp.get(v)?.dtype;
    if !matches!(stored, DataType::U8 | DataType::I8) {
        return None;
    }
    let mut at = v;
    for _ in 0..64 {
        let (n, slot) = g.producer(at)?;
        let node = g.node(n);
        if let Some((scale, zero)) = result_slots(node) {
            let single = |v: ValueId| g.constant(v).is_some_and(|t| t.len() == 1).then_some(v);
            let zero_point = match node.input(zero) {
                Some(z) => Some(single(z)?),
                None => None,
            };
            return (slot == 0).then_some(Quantization { scale: single(node.input(scale)?)?, zero_point, stored });
        }
        at = moved(node)?;
    }
    None
}

/// The floating point tensor that was quantised to give a value; `None` where it is no such value.
pub fn source(g: &Graph, v: ValueId) -> Option<ValueId> {
    let (n, slot) = g.producer(v)?;
    let node = g.node(n);
    let quantizes = matches!(node.op_type.as_str(), "QuantizeLinear" | "DynamicQuantizeLinear");
    if quantizes && slot == 0 { node.input(0) } else { None }
}

/// A value and what it is a quantised or dequantised form of: all stand for the same tensor.
pub fn forms(g: &Graph, v: ValueId) -> impl Iterator<Item = ValueId> {
    std::iter::successors(Some(v), move |&v| {
        let (n, slot) = g.producer(v)?;
        let node = g.node(n);
        let same = slot == 0 && matches!(node.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear");
        if same { node.input(0) } else { None }
    })
}

/// Inputs with scale and zero point of an operator's result.
fn result_slots(node: &Node) -> Option<(usize, usize)> {
    match (node.domain.as_str(), node.op_type.as_str()) {
        (_, "QuantizeLinear") => Some((1, 2)),
        ("", "QLinearMatMul") | (_, "QLinearConv") | ("com.microsoft", "QLinearAdd" | "QLinearMul") => Some((6, 7)),
        ("com.microsoft", "QGemm" | "QLinearWhere") => Some((7, 8)),
        ("com.microsoft", "QLinearConcat") => Some((0, 1)),
        (
            "com.microsoft",
            "QLinearSigmoid"
            | "QLinearLeakyRelu"
            | "QLinearSoftmax"
            | "QLinearReduceMean"
            | "QLinearAveragePool"
            | "QLinearGlobalAveragePool",
        ) => Some((3, 4)),
        _ => None,
    }
}

/// The data of an operator that moves elements without touching them.
fn moved(node: &Node) -> Option<ValueId> {
    let moves = matches!(
        node.op_type.as_str(),
        "DepthToSpace"
            | "Expand"
            | "Flatten"
            | "Gather"
            | "Identity"
            | "MaxPool"
            | "Reshape"
            | "Slice"
            | "SpaceToDepth"
            | "Split"
            | "Squeeze"
            | "Tile"
            | "Transpose"
            | "Unsqueeze"
    );
    if moves && node.domain.is_empty() { node.input(0) } else { None }
}
