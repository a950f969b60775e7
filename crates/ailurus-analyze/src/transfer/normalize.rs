//! Normalisations and reductions.

use crate::{
    abs::Abs,
    axis::Axis,
    interp::{Ctx, How, wrap},
};
use ailurus_onnx::{DataType, Node};

/// True for operators that normalise a tensor over trailing axes and keep its shape.
pub fn is_norm(op: &str) -> bool {
    matches!(op, "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization")
}

pub fn softmax(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let axes = a.axes.clone()?;
    let coerced = match ctx.node.op_type.as_str() {
        "LpNormalization" => false,
        "BiasSoftmax" => true,
        "QLinearSoftmax" => ctx.node.int("opset", 13) < 13,
        _ => ctx.model.opset() < 13,
    };
    let at = softmax_axis(ctx.node, ctx.model.opset(), axes.len())?;
    // Before opset 13 softmax flattened everything from `axis` on.
    let over = if coerced { at..axes.len() } else { at..at + 1 };
    for axis in &axes[over] {
        ctx.effect(0, axis, How::Normalize);
    }
    Some(vec![Abs { elements: None, ..a }])
}

/// The axis a softmax normalises, or the first of those.
pub fn softmax_axis(node: &Node, opset: i64, rank: usize) -> Option<usize> {
    let default = match node.op_type.as_str() {
        "QLinearSoftmax" | "LpNormalization" => -1,
        "BiasSoftmax" => 1,
        _ if opset < 13 => 1,
        _ => -1,
    };
    wrap(node.int("axis", default), rank)
}

/// True for the operators that turn scores into probabilities.
pub fn is_softmax(node: &Node) -> bool {
    matches!(
        (node.domain.as_str(), node.op_type.as_str()),
        ("", "Softmax") | ("com.microsoft", "QLinearSoftmax" | "BiasSoftmax")
    )
}

pub fn layer_norm(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let axes = a.axes.clone()?;
    let at = ctx.axis_attr("axis", -1, axes.len())?;
    for axis in &axes[at..] {
        ctx.effect(0, axis, How::Normalize);
    }
    let mut moments = axes.clone();
    moments[at..].fill(Axis::one());
    let moments = Abs::new(moments, DataType::F32, a.activation);
    Some(vec![Abs { elements: None, ..a }, moments.clone(), moments])
}

/// Outputs: the norm, mean, inverse deviation, and the sum that was normalised.
pub fn skip_layer_norm(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let operands: Vec<&Abs> = [ctx.input(0)?, ctx.input(1)?].into();
    let axes = super::elementwise::broadcast(ctx.atoms, &operands)?;
    let last = axes.last()?.clone();
    ctx.effect(0, &last, How::Normalize);
    let sum = Abs::new(axes.clone(), ctx.dtype(0), ctx.activation());
    let mut moments = axes;
    *moments.last_mut()? = Axis::one();
    let moments = Abs::new(moments, DataType::F32, sum.activation);
    Some(vec![sum.clone(), moments.clone(), moments, sum])
}

pub fn batch_norm(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    Some(vec![Abs { elements: None, ..ctx.input(0)?.clone() }])
}

pub fn instance_norm(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    for axis in a.axes.clone()?.iter().skip(2) {
        ctx.effect(0, axis, How::Normalize);
    }
    Some(vec![Abs { elements: None, ..a }])
}

/// Reductions over listed axes.
pub fn reduce(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let axes = a.axes.clone()?;
    let keep = ctx.node.int("keepdims", 1) == 1;
    let listed =
        if ctx.node.ints("axes").is_none() && ctx.input(1).is_none() { None } else { Some(ctx.ints("axes", 1)?) };
    let over: Vec<usize> = match listed {
        Some(l) if !l.is_empty() => l.iter().map(|&x| wrap(x, axes.len())).collect::<Option<_>>()?,
        _ if ctx.node.int("noop_with_empty_axes", 0) == 1 => Vec::new(),
        _ => (0..axes.len()).collect(),
    };
    let mut out = Vec::with_capacity(axes.len());
    for (i, axis) in axes.iter().enumerate() {
        if over.contains(&i) {
            ctx.effect(0, axis, How::Reduce);
            if keep {
                out.push(Axis::one());
            }
        } else {
            out.push(axis.clone());
        }
    }
    let mut r = Abs::new(out, a.dtype, a.activation);
    if let (Some(e), "ReduceProd" | "ReduceSum") = (a.ints(), ctx.node.op_type.as_str())
        && axes.len() == 1
    {
        use crate::{abs::Scalar, expr::Expr};
        let value = match ctx.node.op_type.as_str() {
            "ReduceProd" => e.into_iter().fold(Expr::from(1), |p, x| p * x),
            _ => e.into_iter().fold(Expr::default(), |s, x| s + x),
        };
        r.elements = Some(vec![Scalar::Int(value)]);
    }
    Some(vec![r])
}

/// Reductions over one axis given by attribute (`ArgMax`, `ArgMin`).
pub fn reduce_axis(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let mut axes = a.axes.clone()?;
    let at = ctx.axis_attr("axis", 0, axes.len())?;
    ctx.effect(0, &axes[at].clone(), How::Mix);
    if ctx.node.int("keepdims", 1) == 1 {
        axes[at] = Axis::one();
    } else {
        axes.remove(at);
    }
    Some(vec![Abs::new(axes, DataType::I64, a.activation)])
}
