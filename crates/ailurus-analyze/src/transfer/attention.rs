//! Fused attention operators. They are whole cores: queries keep their tokens, keys and values give up theirs.

use crate::{
    abs::Abs,
    expr::Expr,
    interp::{Ctx, How},
};

/// ONNX `Attention` (opset 23): Q, K, V as `[B, T, H·d]` or `[B, H, T, d]`.
pub fn standard(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (q, k, v) = (ctx.input(0)?.clone(), ctx.axes(1)?, ctx.axes(2)?);
    let axes = q.axes.clone()?;
    let token = match axes.len() {
        3 => 1,
        4 => 2,
        _ => return None,
    };
    ctx.effect(1, k.get(token)?, How::Contract);
    ctx.effect(2, v.get(token)?, How::Contract);
    let mut out = axes;
    *out.last_mut()? = if token == 2 {
        v.last()?.clone()
    } else {
        let (hq, hk) = (ctx.node.int("q_num_heads", 1), ctx.node.int("kv_num_heads", 1));
        if hq == hk { v.last()?.clone() } else { out.last()?.clone() }
    };
    Some(vec![Abs::new(out, q.dtype, q.activation)])
}

/// com.microsoft `Attention` and `QAttention`: input, packed projection weights and bias inside the operator.
pub fn packed(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    // Tokens that see only those before them, or a mask with an entry for each, are told apart by their positions.
    let (mask, past) = if ctx.node.op_type == "QAttention" { (5, 8) } else { (3, 4) };
    let ordered = ctx.node.int("unidirectional", 0) != 0 || ctx.node.int("do_rotary", 0) != 0;
    if ordered || ctx.input(mask).is_some() || ctx.input(past).is_some() {
        return None;
    }
    let x = ctx.input(0)?.clone();
    let mut axes = x.axes.clone().filter(|a| a.len() == 3)?;
    let bias = ctx.axes(1)?;
    ctx.effect(0, &axes[1].clone(), How::Contract);
    let value_size = match ctx.node.ints("qkv_hidden_sizes") {
        Some(s) => Expr::from(*s.get(2)?),
        None => {
            let total = ctx.atoms.size(bias.get(1)?);
            ctx.atoms.symbols.floor_div(&total, 3)
        }
    };
    if !ctx.atoms.symbols.equal(&value_size, &ctx.atoms.size(&axes[2])) {
        axes[2] = ctx.atoms.axis("context", value_size);
    }
    // The 8-bit form gives the type of its scales.
    let dtype = if ctx.node.op_type == "QAttention" { ctx.dtype(3) } else { x.dtype };
    Some(vec![Abs::new(axes, dtype, x.activation)])
}

/// com.microsoft `MultiHeadAttention`: Q, K, V as `[B, T, H·d]`.
pub fn multi_head(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let q = ctx.input(0)?.clone();
    let mut axes = q.axes.clone().filter(|a| a.len() == 3)?;
    let (k, v) = (ctx.axes(1)?, ctx.axes(2)?);
    if k.len() != 3 || v.len() != 3 {
        return None;
    }
    ctx.effect(1, &k[1], How::Contract);
    ctx.effect(2, &v[1], How::Contract);
    axes[2] = v[2].clone();
    Some(vec![Abs::new(axes, q.dtype, q.activation)])
}
