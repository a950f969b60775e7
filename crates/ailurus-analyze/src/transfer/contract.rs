//! Contractions: matrix products in all spellings.

use super::elementwise::unify;
use crate::{
    abs::Abs,
    axis::Axis,
    contraction::{self, Order},
    interp::{Ctx, How},
};
use ailurus_onnx::DataType;
use indexmap::IndexMap;

/// `a[.., m, k] x b[.., k, n]` with broadcast leading axes; the factors are the inputs at `slots`.
fn product(ctx: &mut Ctx, a: Abs, b: Abs, slots: (usize, usize)) -> Option<Abs> {
    let (mut x, mut y) = (a.axes.clone()?, b.axes.clone()?);
    let (lift_left, lift_right) = (x.len() == 1, y.len() == 1);
    if lift_left {
        x.insert(0, Axis::one());
    }
    if lift_right {
        y.push(Axis::one());
    }
    let (n, m) = (x.len(), y.len());
    if n < 2 || m < 2 {
        return None;
    }
    ctx.effect(slots.0, &x[n - 1], How::Contract);
    ctx.effect(slots.1, &y[m - 2], How::Contract);
    let rank = n.max(m);
    let mut out = Vec::with_capacity(rank);
    for i in 0..rank - 2 {
        let left = (i + n).checked_sub(rank).map_or(Axis::one(), |j| x[j].clone());
        let right = (i + m).checked_sub(rank).map_or(Axis::one(), |j| y[j].clone());
        out.push(unify(ctx.atoms, &left, a.activation, &right, b.activation));
    }
    if !lift_left {
        out.push(x[n - 2].clone());
    }
    if !lift_right {
        out.push(y[m - 1].clone());
    }
    Some(Abs::new(out, a.dtype, a.activation || b.activation))
}

/// Every matrix product that has both factors as inputs.
pub fn matmul(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let p = contraction::of(ctx.node)?;
    if ctx.node.str("activation").is_some_and(|a| a.to_ascii_lowercase().contains("max")) {
        return None;
    }
    let arranged = |a: Abs, order: Order| Abs { axes: a.axes.map(|x| order.arrange(x)), ..a };
    let a = arranged(ctx.input(p.left)?.clone(), p.left_order);
    let b = arranged(ctx.input(p.right)?.clone(), p.right_order);
    let mut out = product(ctx, a, b, (p.left, p.right))?;
    out.dtype = result_type(ctx, out.dtype);
    Some(vec![out])
}

/// Element type of a product: quantised ones give their factors' type up.
fn result_type(ctx: &Ctx, left: DataType) -> DataType {
    match ctx.node.op_type.as_str() {
        "MatMulInteger" | "MatMulInteger16" => DataType::I32,
        "MatMulIntegerToFloat" => ctx.dtype(2),
        "QLinearMatMul" => ctx.dtype(7),
        // Without a scale for its result it gives floats.
        "QGemm" => ctx.input(8).map_or(DataType::F32, |zero| zero.dtype),
        "GemmFloat8" => i32::try_from(ctx.node.int("dtype", 1)).map_or(DataType::Undefined, DataType::from_onnx),
        _ => left,
    }
}

pub fn einsum(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let operands: Vec<Abs> = ctx.inputs.iter().cloned().collect::<Option<_>>()?;
    let ranks: Vec<usize> = operands.iter().map(Abs::rank).collect::<Option<_>>()?;
    let equation = contraction::equation(ctx.node.str("equation")?, &ranks)?;
    let mut letters: IndexMap<char, (Axis, bool)> = IndexMap::new();
    for (a, term) in operands.iter().zip(&equation.terms) {
        for (&c, axis) in term.iter().zip(a.axes()) {
            let known = letters.entry(c).or_insert((Axis::one(), false));
            known.0 = unify(ctx.atoms, &known.0, known.1, axis, a.activation);
            known.1 |= a.activation && !axis.is_one();
        }
    }
    for (i, (a, term)) in operands.iter().zip(&equation.terms).enumerate() {
        for (c, axis) in term.iter().zip(a.axes()) {
            if !equation.result.contains(c) {
                ctx.effect(i, axis, How::Contract);
            }
        }
    }
    let out = equation.result.iter().map(|c| letters.get(c).map(|(a, _)| a.clone())).collect::<Option<_>>()?;
    Some(vec![Abs::new(out, ctx.dtype(0), ctx.activation())])
}
