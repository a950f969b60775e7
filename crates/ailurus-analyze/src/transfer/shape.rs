//! Operators that re-cut or reorder axes without touching elements.

use crate::{
    abs::{Abs, Scalar},
    axis::{Axis, Target},
    expr::Expr,
    interp::{Ctx, How, wrap},
};

/// The first input with other axes; elements survive because their order does.
fn like_input(ctx: &Ctx, axes: Vec<Axis>) -> Option<Abs> {
    let mut a = ctx.input(0)?.clone();
    a.axes = Some(axes);
    Some(a)
}

pub fn identity(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    Some(vec![ctx.input(0)?.clone()])
}

/// The dimensions a Reshape asks for, with `0` already replaced.
pub fn reshape_targets(ctx: &Ctx) -> Option<Vec<Target>> {
    let axes = ctx.axes(0)?;
    let keep_zero = ctx.node.int("allowzero", 0) == 1;
    let operand = match ctx.node.ints("shape") {
        Some(s) => s.iter().map(|&d| Some(Expr::from(d))).collect(),
        None => ctx.input(1)?.elements.as_ref()?.iter().map(|s| s.int().cloned()).collect::<Vec<_>>(),
    };
    let targets: Vec<Target> = operand
        .into_iter()
        .enumerate()
        .map(|(i, e)| match e {
            None => Some(Target::Infer),
            Some(e) => Some(match e.constant() {
                Some(-1) => Target::Infer,
                Some(0) if !keep_zero => Target::Size(ctx.atoms.size(axes.get(i)?)),
                _ => Target::Size(e),
            }),
        })
        .collect::<Option<_>>()?;
    // Two dimensions that nobody can work out leave nothing to align by.
    (targets.iter().filter(|t| **t == Target::Infer).count() <= 1).then_some(targets)
}

pub fn reshape(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let targets = reshape_targets(ctx)?;
    let r = ctx.atoms.reshape(&axes, &targets);
    if !r.scrambled.is_empty() {
        ctx.effect(0, &Axis(vec![r.scrambled]), How::Mix);
    }
    Some(vec![like_input(ctx, r.axes)?])
}

pub fn flatten(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let at = ctx.node.int("axis", 1);
    let at = if at < 0 { at + axes.len() as i64 } else { at }.clamp(0, axes.len() as i64) as usize;
    let fold = |part: &[Axis], ctx: &Ctx| part.iter().fold(Expr::from(1), |p, a| p * ctx.atoms.size(a));
    let targets = [Target::Size(fold(&axes[..at], ctx)), Target::Size(fold(&axes[at..], ctx))];
    let r = ctx.atoms.reshape(&axes, &targets);
    Some(vec![like_input(ctx, r.axes)?])
}

pub fn squeeze(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let drop: Vec<usize> = match ctx.ints("axes", 1) {
        Some(list) => list.iter().map(|&a| wrap(a, axes.len())).collect::<Option<_>>()?,
        None => (0..axes.len()).filter(|&i| axes[i].is_one()).collect(),
    };
    let kept = axes.into_iter().enumerate().filter(|(i, _)| !drop.contains(i)).map(|(_, a)| a).collect();
    Some(vec![like_input(ctx, kept)?])
}

pub fn unsqueeze(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let list = ctx.ints("axes", 1)?;
    let rank = axes.len() + list.len();
    let at: Vec<usize> = list.iter().map(|&a| wrap(a, rank)).collect::<Option<_>>()?;
    let mut rest = axes.into_iter();
    let out =
        (0..rank).map(|i| if at.contains(&i) { Some(Axis::one()) } else { rest.next() }).collect::<Option<_>>()?;
    Some(vec![like_input(ctx, out)?])
}

pub fn transpose(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let perm: Vec<usize> = match ctx.node.ints("perm") {
        Some(p) => p.iter().map(|&a| wrap(a, axes.len())).collect::<Option<_>>()?,
        None => (0..axes.len()).rev().collect(),
    };
    let out = perm.iter().map(|&p| axes.get(p).cloned()).collect::<Option<Vec<_>>>()?;
    let mut a = like_input(ctx, out)?;
    a.elements = transposed(ctx, &perm);
    Some(vec![a])
}

/// Elements of a small tensor with its axes reordered.
fn transposed(ctx: &Ctx, perm: &[usize]) -> Option<Vec<Scalar>> {
    let a = ctx.input(0)?;
    let list = a.elements.as_ref()?;
    let dims = super::index::shape_of(ctx, a)?;
    let stride = |at: usize| dims[at + 1..].iter().product::<usize>();
    let mut offsets = vec![0usize];
    for &p in perm {
        offsets = offsets.iter().flat_map(|o| (0..dims[p]).map(move |i| o + i * stride(p))).collect();
    }
    offsets.into_iter().map(|o| list.get(o).cloned()).collect()
}

pub fn expand(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let dims = ctx.input(1)?.elements.clone()?;
    let rank = axes.len().max(dims.len());
    let mut grown = false;
    let mut out = Vec::with_capacity(rank);
    for i in 0..rank {
        let own = (i + axes.len()).checked_sub(rank).map(|j| axes[j].clone()).unwrap_or_else(Axis::one);
        let want = (i + dims.len()).checked_sub(rank).map(|j| &dims[j]);
        out.push(match want {
            Some(s) if own.is_one() => {
                let size = match s.int() {
                    Some(e) => e.clone(),
                    None => Expr::from(ctx.atoms.symbols.fresh("expanded", None)),
                };
                let axis = ctx.atoms.axis("expanded", size);
                grown |= !axis.is_one();
                axis
            }
            _ => own,
        });
    }
    let mut a = like_input(ctx, out)?;
    if grown {
        a.elements = None;
    }
    Some(vec![a])
}

pub fn tile(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let repeats = ctx.input(1)?.ints()?;
    let mut out = Vec::with_capacity(axes.len());
    for (axis, r) in axes.iter().zip(&repeats) {
        out.push(if r.is_one() {
            axis.clone()
        } else if axis.is_one() {
            ctx.atoms.axis("tiled", r.clone())
        } else {
            ctx.effect(0, axis, How::Mix);
            let size = ctx.atoms.size(axis) * r.clone();
            ctx.atoms.axis_from(axis, "tiled", size)
        });
    }
    let mut a = like_input(ctx, out)?;
    if repeats.iter().any(|r| !r.is_one()) {
        a.elements = None;
    }
    Some(vec![a])
}
