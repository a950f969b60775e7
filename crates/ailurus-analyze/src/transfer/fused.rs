//! Floating point operators that a runtime's optimizer or a weight compressor writes in place of standard ones.

use super::spatial;
use crate::{
    abs::Abs,
    axis::Axis,
    expr::Expr,
    interp::{Ctx, How},
};

/// `MatMulNBits`, `MatMulBnb4`: `x[.., K]` times weights that are packed into blocks, whose sizes are attributes.
pub fn packed_matmul(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let x = ctx.input(0)?.clone();
    let mut axes = x.axes.clone()?;
    let width = ctx.node.attributes.get("N").and_then(|_| u32::try_from(ctx.node.int("N", 0)).ok())?;
    if ctx.node.op_type == "MatMulBnb4" && ctx.node.int("transB", 1) == 0 {
        return None;
    }
    let summed = axes.last()?.clone();
    ctx.effect(0, &summed, How::Contract);
    *axes.last_mut()? = ctx.atoms.axis("projected", Expr::from(i64::from(width)));
    Some(vec![Abs::new(axes, x.dtype, x.activation)])
}

/// A convolution with its activation, and perhaps with a sum onto another map of the result's shape.
pub fn conv(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let last = ctx.node.op_type.starts_with("Nhwc");
    spatial::conv_of(ctx, 1, last)
}

/// `RotaryEmbedding` of both domains: turns pairs of channels by angles that belong to each token's position. Positions come
/// in a table with a row per token; otherwise they are the numbers of the tokens, which merging changes.
pub fn rotary(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let x = ctx.input(0)?.clone();
    let axes = x.axes.clone()?;
    let token = match axes.len() {
        3 => 1,
        4 => 2,
        _ => return None,
    };
    let rank = |slot: usize| ctx.input(slot).and_then(Abs::rank);
    let listed = match ctx.node.domain.as_str() {
        "com.microsoft" => rank(1)? == 2,
        _ => ctx.input(3).is_some() || rank(1)? == 3,
    };
    if !listed {
        ctx.effect(0, &axes[token], How::Mix);
    }
    Some(vec![Abs { elements: None, ..x }])
}

/// Normalises groups of channels over all positions; the skip form gives the sum that was normalised, too.
pub fn group_norm(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let x = ctx.input(0)?.clone();
    let axes = x.axes.clone().filter(|a| a.len() > 2)?;
    let positions: Vec<Axis> =
        if ctx.node.int("channels_last", 1) != 0 { axes[1..axes.len() - 1].to_vec() } else { axes[2..].to_vec() };
    for axis in &positions {
        ctx.effect(0, axis, How::Normalize);
    }
    let out = Abs::new(axes, x.dtype, ctx.activation());
    Some(vec![out.clone(), out])
}
