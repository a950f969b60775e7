//! Floating point operations (multiply and add counted separately) of contractions; everything else is small beside them.

use crate::{
    abs::Abs,
    axis::{Atoms, Axis},
    contraction,
    interp::Interp,
};
use ailurus_onnx::{Node, ValueId};

/// Counts operations with sizes looked up by `size`.
pub fn of_node(node: &Node, abs: &dyn Fn(ValueId) -> Option<Abs>, size: &dyn Fn(&Axis) -> f64) -> f64 {
    let input = |i: usize| node.input(i).and_then(abs);
    let output = || node.output(0).and_then(abs);
    let product = |axes: &[Axis]| axes.iter().map(size).product::<f64>();
    let count = || -> Option<f64> {
        if let Some(p) = contraction::of(node) {
            let left = p.left_order.arrange(input(p.left)?.axes?);
            return Some(2.0 * product(output()?.axes()) * size(left.last()?));
        }
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("", "Einsum") => {
                let equation = node.str("equation")?.replace(' ', "");
                let (left, _) = equation.split_once("->")?;
                let mut seen: Vec<char> = Vec::new();
                let mut total = 2.0;
                for (i, term) in left.split(',').enumerate() {
                    for (c, axis) in term.chars().zip(input(i)?.axes()) {
                        if !seen.contains(&c) {
                            seen.push(c);
                            total *= size(axis);
                        }
                    }
                }
                Some(total)
            }
            ("com.microsoft", "MatMulNBits" | "MatMulBnb4") => {
                Some(2.0 * product(output()?.axes()) * size(input(0)?.axes().last()?))
            }
            ("", "Conv" | "ConvInteger") | ("com.microsoft", "FusedConv" | "NhwcFusedConv") => {
                Some(2.0 * product(output()?.axes()) * product(input(1)?.axes().get(1..)?))
            }
            (_, "QLinearConv") => Some(2.0 * product(output()?.axes()) * product(input(3)?.axes().get(1..)?)),
            ("", "ConvTranspose") => Some(2.0 * product(input(0)?.axes()) * product(input(1)?.axes().get(1..)?)),
            ("", "Attention") | ("com.microsoft", "MultiHeadAttention") => {
                let (q, k, v) = (input(0)?, input(1)?, input(2)?);
                let keys = size(k.axes().get(k.rank()?.checked_sub(2)?)?);
                let width = size(v.axes().last()?) / size(q.axes().last()?) + 1.0;
                Some(2.0 * product(q.axes()) * keys * width)
            }
            ("com.microsoft", "Attention" | "QAttention") => {
                let (x, w, y) = (input(0)?, input(1)?, output()?);
                let tokens = size(x.axes().get(1)?);
                Some(2.0 * product(x.axes()) * size(w.axes().get(1)?) + 4.0 * product(y.axes()) * tokens)
            }
            _ => Some(0.0),
        }
    };
    count().unwrap_or(0.0)
}

/// Size of an axis with free dimensions at their assumed values.
pub fn assumed_size(atoms: &Atoms, axis: &Axis) -> f64 {
    // A free dimension that is not the batch is taken as pixels or positions; its value only weighs, it decides nothing.
    atoms.symbols.eval(&atoms.size(axis), &|name| atoms.symbols.assumed(name)).map_or(1.0, |v| v.max(0) as f64)
}

/// Operations of every node of the main graph, in order.
pub fn per_node(interp: &Interp) -> Vec<(ailurus_onnx::NodeId, f64)> {
    let abs = |v: ValueId| interp.get(v).cloned();
    let size = |a: &Axis| assumed_size(&interp.atoms, a);
    interp.model.graph.nodes().map(|(id, node)| (id, of_node(node, &abs, &size))).collect()
}
