//! A product with constant weights, in all the ways its factors are stored: what is projected, with what, and its bias.

use super::Keys;
use crate::{
    Analysis,
    constants::{Scaled, Stored},
    contraction,
    quantization::{self, Quantization},
};
use ailurus_onnx::{Graph, Node, NodeId, ValueId};

/// A projection.
pub(super) struct Projection {
    input: ValueId,
    quantization: Option<Quantization>,
    pub(super) weight: Stored,
    pub(super) transposed: bool,
    bias: Option<Stored>,
}

impl Projection {
    pub(super) fn into_keys(self, projection: NodeId, heads: Vec<Vec<usize>>) -> Keys {
        let Self { input, quantization, weight, transposed, bias } = self;
        Keys { projection, input, quantization, weight, transposed, bias, heads }
    }
}

/// Reads a matrix product; `None` when its weights are not constant, or not stored as a matrix.
pub(super) fn of(a: &Analysis, id: NodeId) -> Option<Projection> {
    let node = a.interp.model.graph.node(id);
    let p = contraction::of(node)?;
    if p.left_order.swapped || p.right_order.first || node.attributes.contains_key("activation") {
        return None;
    }
    let scaled = |scale: usize, zero: usize, axis: i64| {
        Some(Scaled { scale: node.input(scale)?, zero_point: node.input(zero), axis })
    };
    let columns = i64::from(!p.right_order.swapped);
    let scaled = match node.op_type.as_str() {
        "QLinearMatMul" | "QGemm" => Some(scaled(4, 5, columns)?),
        "MatMulIntegerToFloat" => Some(scaled(3, 5, columns)?),
        "DynamicQuantizeMatMul" => Some(scaled(2, 3, columns)?),
        "MatMulInteger" => Some(Scaled { scale: scale_behind(a, node)?, zero_point: node.input(3), axis: columns }),
        "MatMulInteger16" | "GemmFloat8" => return None,
        _ => None,
    };
    let weight = Stored { value: node.input(p.right)?, scaled };
    weight.shape(a.interp.model)?;
    let (input, quantization) = numbers(a, node.input(p.left)?)?;
    Some(Projection { input, quantization, weight, transposed: p.right_order.swapped, bias: bias(a, node) })
}

/// Reads the weights that a fused attention holds.
pub(super) fn held(a: &Analysis, id: NodeId) -> Option<Projection> {
    let node = a.interp.model.graph.node(id);
    let scaled = match node.op_type.as_str() {
        "QAttention" => Some(Scaled { scale: node.input(4)?, zero_point: node.input(7), axis: 1 }),
        _ => None,
    };
    let weight = Stored { value: node.input(1)?, scaled };
    weight.shape(a.interp.model)?;
    let (input, quantization) = numbers(a, node.input(0)?)?;
    let bias = node.input(2).map(Stored::numbers).filter(|b| b.shape(a.interp.model).is_some());
    Some(Projection { input, quantization, weight, transposed: false, bias })
}

/// A factor as numbers: itself, what was quantised to give it, or itself together with its scale.
fn numbers(a: &Analysis, v: ValueId) -> Option<(ValueId, Option<Quantization>)> {
    let float = |v: ValueId| a.interp.get(v).is_some_and(|x| x.dtype.is_float());
    if float(v) {
        return Some((v, None));
    }
    match quantization::source(&a.interp.model.graph, v).filter(|&x| float(x)) {
        Some(x) => Some((x, None)),
        None => Some((v, Some(quantization::of(&a.interp, v)?))),
    }
}

/// Where a value goes when only one operator reads it.
fn only_user(g: &Graph, v: ValueId) -> Option<&Node> {
    let [only] = g.consumers(v)[..] else { return None };
    Some(g.node(only))
}

/// The other operand of a node of two.
fn beside(node: &Node, v: ValueId) -> Option<ValueId> {
    match (node.input(0)?, node.input(1)?) {
        (x, other) | (other, x) if x == v && other != v => Some(other),
        _ => None,
    }
}

/// Behind an integer product: the cast to floats and the product with the factors' scales.
fn rescaled<'g>(a: &'g Analysis, product: &Node) -> Option<(&'g Node, ValueId)> {
    let g = &a.interp.model.graph;
    let cast = only_user(g, product.output(0)?).filter(|n| n.op_type == "Cast")?.output(0)?;
    let node = only_user(g, cast).filter(|n| n.op_type == "Mul")?;
    Some((node, beside(node, cast)?))
}

/// The scale of an integer product's weights, which enters behind it, multiplied with that of the other factor.
fn scale_behind(a: &Analysis, product: &Node) -> Option<ValueId> {
    let g = &a.interp.model.graph;
    let (_, scales) = rescaled(a, product)?;
    let (n, _) = g.producer(scales)?;
    let both = g.node(n);
    let constant = |v: &ValueId| g.constant(*v).is_some();
    match (both.op_type.as_str(), both.input(0)?, both.input(1)?) {
        ("Mul", x, y) if constant(&x) != constant(&y) => Some(if constant(&x) { x } else { y }),
        _ => None,
    }
}

/// A constant with an entry per column. It moves no distance between keys, so one that is not understood is left out.
fn bias(a: &Analysis, product: &Node) -> Option<Stored> {
    let own = match product.op_type.as_str() {
        "Gemm" => Some(2),
        "MatMulIntegerToFloat" => Some(6),
        "DynamicQuantizeMatMul" => Some(4),
        _ => None,
    };
    if let Some(slot) = own
        && (slot == 2 || product.input(slot).is_some())
    {
        return vector(a, Stored::numbers(product.input(slot)?));
    }
    let g = &a.interp.model.graph;
    let made = match product.op_type.as_str() {
        "MatMulInteger" => rescaled(a, product)?.0.output(0)?,
        _ => product.output(0)?,
    };
    let mut v = made;
    let mut user = only_user(g, v)?;
    while matches!(user.op_type.as_str(), "QuantizeLinear" | "DequantizeLinear") && user.input(0) == Some(v) {
        v = user.output(0)?;
        user = only_user(g, v)?;
    }
    match user.op_type.as_str() {
        "Add" => vector(a, Stored::numbers(beside(user, v)?)),
        "QLinearAdd" => {
            let at = if user.input(0) == Some(v) { 3 } else { 0 };
            let scaled = Scaled { scale: user.input(at + 1)?, zero_point: user.input(at + 2), axis: 0 };
            vector(a, Stored { value: user.input(at)?, scaled: Some(scaled) })
        }
        _ => None,
    }
}

fn vector(a: &Analysis, s: Stored) -> Option<Stored> {
    let dims = s.shape(a.interp.model)?;
    (dims.iter().filter(|&&d| d != 1).count() <= 1).then_some(s)
}
