//! Contractions: matrix products in all spellings.

use super::elementwise::unify;
use crate::{
    abs::Abs,
    axis::Axis,
    interp::{Ctx, How},
};
use indexmap::IndexMap;

/// `a[.., m, k] x b[.., k, n]` with broadcast leading axes.
fn product(ctx: &mut Ctx, a: Abs, b: Abs) -> Option<Abs> {
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
    ctx.effect(0, &x[n - 1], How::Contract);
    ctx.effect(1, &y[m - 2], How::Contract);
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

pub fn matmul(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (a, b) = (ctx.input(0)?.clone(), ctx.input(1)?.clone());
    let mut out = product(ctx, a, b)?;
    if ctx.node.op_type == "MatMulInteger" {
        out.dtype = ailurus_onnx::DataType::I32;
    }
    Some(vec![out])
}

fn swap_last(mut a: Abs) -> Abs {
    if let Some(axes) = &mut a.axes
        && axes.len() >= 2
    {
        let n = axes.len();
        axes.swap(n - 1, n - 2);
    }
    a
}

pub fn gemm(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (mut a, mut b) = (ctx.input(0)?.clone(), ctx.input(1)?.clone());
    if ctx.node.int("transA", 0) == 1 {
        a = swap_last(a);
    }
    if ctx.node.int("transB", 0) == 1 {
        b = swap_last(b);
    }
    Some(vec![product(ctx, a, b)?])
}

pub fn fused_matmul(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (mut a, mut b) = (ctx.input(0)?.clone(), ctx.input(1)?.clone());
    if ctx.node.int("transBatchA", 0) == 1 || ctx.node.int("transBatchB", 0) == 1 {
        return None;
    }
    if ctx.node.int("transA", 0) == 1 {
        a = swap_last(a);
    }
    if ctx.node.int("transB", 0) == 1 {
        b = swap_last(b);
    }
    Some(vec![product(ctx, a, b)?])
}

pub fn einsum(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let equation: String = ctx.node.str("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    if equation.contains('.') {
        return None;
    }
    let (left, right) = match equation.split_once("->") {
        Some((l, r)) => (l.to_owned(), Some(r.to_owned())),
        None => (equation, None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    let mut letters: IndexMap<char, (Axis, bool, usize)> = IndexMap::new();
    for (i, term) in terms.iter().enumerate() {
        let a = ctx.input(i)?.clone();
        if a.rank()? != term.chars().count() {
            return None;
        }
        for (c, axis) in term.chars().zip(a.axes()) {
            let known = letters.entry(c).or_insert((Axis::one(), false, 0));
            known.0 = unify(ctx.atoms, &known.0, known.1, axis, a.activation);
            known.1 |= a.activation && !axis.is_one();
            known.2 += 1;
        }
    }
    let right = right.unwrap_or_else(|| {
        let mut once: Vec<char> = letters.iter().filter(|(_, v)| v.2 == 1).map(|(&c, _)| c).collect();
        once.sort_unstable();
        once.into_iter().collect()
    });
    for (i, term) in terms.iter().enumerate() {
        let axes = ctx.axes(i)?;
        for (c, axis) in term.chars().zip(axes) {
            if !right.contains(c) {
                ctx.effect(i, &axis, How::Contract);
            }
        }
    }
    let out = right.chars().map(|c| letters.get(&c).map(|(a, ..)| a.clone())).collect::<Option<_>>()?;
    Some(vec![Abs::new(out, ctx.dtype(0), ctx.activation())])
}
