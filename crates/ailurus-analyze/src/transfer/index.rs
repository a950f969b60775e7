//! Operators that pick, drop or join positions of an axis.

use crate::{
    abs::{Abs, MAX_TRACKED, Scalar},
    axis::{Axis, Factor},
    expr::Expr,
    interp::{Ctx, How, wrap},
};
use ailurus_onnx::DataType;

fn derived(ctx: &Ctx, axes: Vec<Axis>) -> Option<Abs> {
    let a = ctx.input(0)?;
    Some(Abs::new(axes, a.dtype, a.activation))
}

/// Start or end of a slice as a position from the front.
fn bound(e: &Expr, size: &Expr) -> Expr {
    match e.constant() {
        Some(c) if c >= i64::from(i32::MAX) => size.clone(),
        Some(c) if c <= i64::from(i32::MIN) => Expr::default(),
        Some(c) if c < 0 => size.clone() + Expr::from(c),
        _ => e.clone(),
    }
}

pub fn slice(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let (starts, ends, which, steps) = match ctx.node.ints("starts") {
        Some(s) => {
            let list = |v: &[i64]| v.iter().map(|&x| Some(Expr::from(x))).collect::<Vec<_>>();
            (list(s), list(ctx.node.ints("ends")?), ctx.node.ints("axes").map(<[i64]>::to_vec), None)
        }
        None => {
            let list =
                |i: usize| Some(ctx.input(i)?.elements.as_ref()?.iter().map(|s| s.int().cloned()).collect::<Vec<_>>());
            let axes = ctx.input(3).map(|a| a.constants());
            (list(1)?, list(2)?, if let Some(a) = axes { Some(a?) } else { None }, ctx.input(4).map(|s| s.constants()))
        }
    };
    let steps = match steps {
        Some(s) => s?,
        None => vec![1; starts.len()],
    };
    let which = which.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let mut out = axes.clone();
    for (i, &a) in which.iter().enumerate() {
        let at = wrap(a, axes.len())?;
        let size = ctx.atoms.size(&axes[at]);
        let step = *steps.get(i)?;
        let (start, end) = (starts.get(i)?, ends.get(i)?);
        let cut = match (step, start, end) {
            (1, Some(s), Some(e)) => {
                let (s, e) = (bound(s, &size), bound(e, &size));
                ctx.atoms.slice(&axes[at], &s, &e)
            }
            _ => None,
        };
        out[at] = match cut {
            Some((axis, clean)) => {
                if !clean {
                    ctx.effect(0, &axes[at], How::Mix);
                }
                axis
            }
            None => {
                ctx.effect(0, &axes[at], How::Mix);
                let whole = start.as_ref().zip(end.as_ref()).map(|(s, e)| bound(e, &size) - bound(s, &size));
                let size = match (whole, step) {
                    (Some(len), s) if s > 1 => ctx.atoms.symbols.floor_div(&(len + Expr::from(s - 1)), s),
                    (_, -1) => size,
                    _ => Expr::from(ctx.atoms.symbols.fresh("slice", None)),
                };
                ctx.atoms.axis_from(&axes[at], "slice", size)
            }
        };
    }
    let mut a = derived(ctx, out)?;
    a.elements = slice_elements(ctx, &which, &starts, &ends, &steps);
    Some(vec![a])
}

/// Elements of a sliced small tensor, steps included.
fn slice_elements(
    ctx: &Ctx,
    which: &[i64],
    starts: &[Option<Expr>],
    ends: &[Option<Expr>],
    steps: &[i64],
) -> Option<Vec<Scalar>> {
    let a = ctx.input(0)?;
    let list = a.elements.as_ref()?;
    let dims = shape_of(ctx, a)?;
    // Positions kept along each axis.
    let mut kept: Vec<Vec<usize>> = dims.iter().map(|&d| (0..d).collect()).collect();
    for (i, &axis) in which.iter().enumerate() {
        let at = wrap(axis, dims.len())?;
        let (n, step) = (dims[at] as i64, *steps.get(i)?);
        let place = |e: &Option<Expr>| {
            let v = e.as_ref()?.constant()?;
            Some(if v < 0 { v.saturating_add(n) } else { v })
        };
        let (s, e) = (place(starts.get(i)?)?, place(ends.get(i)?)?);
        kept[at] = match step {
            1.. => (s.clamp(0, n)..e.clamp(0, n)).step_by(usize::try_from(step).ok()?).map(|x| x as usize).collect(),
            0 => return None,
            _ => {
                let (s, e) = (s.clamp(-1, n - 1), e.clamp(-1, n - 1));
                let back = usize::try_from(step.checked_neg()?).ok()?;
                (e + 1..=s).rev().step_by(back).map(|x| x as usize).collect()
            }
        };
    }
    Some(pick(list, &dims, &kept))
}

/// Static shape of a small tensor.
pub fn shape_of(ctx: &Ctx, a: &Abs) -> Option<Vec<usize>> {
    let dims: Vec<usize> =
        a.axes.as_ref()?.iter().map(|x| usize::try_from(ctx.atoms.known(x)?).ok()).collect::<Option<_>>()?;
    (dims.iter().product::<usize>() == a.elements.as_ref()?.len()).then_some(dims)
}

/// The elements at the kept positions, in row-major order.
fn pick(list: &[Scalar], dims: &[usize], kept: &[Vec<usize>]) -> Vec<Scalar> {
    let mut offsets = vec![0usize];
    for (d, positions) in dims.iter().zip(kept) {
        offsets = offsets.iter().flat_map(|o| positions.iter().map(move |p| o * d + p)).collect();
    }
    offsets.into_iter().filter_map(|o| list.get(o).cloned()).collect()
}

pub fn split(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let at = ctx.axis_attr("axis", 0, axes.len())?;
    let size = ctx.atoms.size(&axes[at]);
    let count = ctx.node.outputs.len() as i64;
    let sizes: Vec<Expr> = match (ctx.node.ints("split"), ctx.input(1)) {
        (Some(s), _) => s.iter().map(|&v| Expr::from(v)).collect(),
        (None, Some(a)) => a.ints()?,
        (None, None) => {
            let n = Some(ctx.node.int("num_outputs", count)).filter(|&n| n == count && n > 0)?;
            let each = ctx.atoms.symbols.floor_div(&(size.clone() + Expr::from(n - 1)), n);
            let mut v = vec![each.clone(); (n - 1) as usize];
            v.push(size.clone() - each * Expr::from(n - 1));
            v
        }
    };
    let mut start = Expr::default();
    let mut outputs = Vec::with_capacity(sizes.len());
    for s in &sizes {
        let end = start.clone() + s.clone();
        let mut out = axes.clone();
        out[at] = match ctx.atoms.slice(&axes[at], &start, &end) {
            Some((axis, clean)) => {
                if !clean {
                    ctx.effect(0, &axes[at], How::Mix);
                }
                axis
            }
            None => {
                ctx.effect(0, &axes[at], How::Mix);
                ctx.atoms.axis_from(&axes[at], "split", s.clone())
            }
        };
        let mut piece = derived(ctx, out)?;
        // Which third of a fused projection this is must not be said of its siblings.
        piece.picked = ctx.atoms.take_picked();
        if let Some(list) = ctx.input(0)?.elements.as_ref().filter(|_| axes.len() == 1) {
            let range = start.constant().zip(end.constant());
            piece.elements = range.and_then(|(s, e)| Some(list.get(s as usize..e as usize)?.to_vec()));
        }
        outputs.push(piece);
        start = end;
    }
    Some(outputs)
}

pub fn gather(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let at = ctx.axis_attr("axis", 0, axes.len())?;
    let index = ctx.input(1)?.clone();
    let index_axes = index.axes.clone()?;
    let size = ctx.atoms.size(&axes[at]);
    let single = index.constants().filter(|c| c.len() == 1).map(|c| c[0]);
    let picked = match single {
        Some(i) => {
            let start = bound(&Expr::from(i), &size);
            match ctx.atoms.slice(&axes[at], &start, &(start.clone() + Expr::from(1))) {
                Some((_, clean)) => {
                    if !clean {
                        ctx.effect(0, &axes[at], How::Mix);
                    }
                    true
                }
                None => false,
            }
        }
        None => false,
    };
    if !picked {
        ctx.effect(0, &axes[at], How::Mix);
    }
    let mut out = axes[..at].to_vec();
    if ctx.atoms.is_spatial(&axes[at]) {
        // Positions picked by a table still are positions.
        for axis in index_axes {
            let size = ctx.atoms.size(&axis);
            out.push(ctx.atoms.axis_from(&axes[at], "picked", size));
        }
    } else {
        out.extend(index_axes);
    }
    out.extend_from_slice(&axes[at + 1..]);
    let mut a = derived(ctx, out)?;
    a.activation = ctx.activation();
    if let (Some(list), true, Some(which)) = (&ctx.input(0)?.elements, axes.len() == 1, index.constants()) {
        let n = list.len() as i64;
        a.elements = which
            .iter()
            .map(|&i| list.get(usize::try_from(if i < 0 { i + n } else { i }).ok()?).cloned())
            .collect::<Option<_>>()
            .filter(|l: &Vec<Scalar>| l.len() <= MAX_TRACKED);
    }
    Some(vec![a])
}

pub fn gather_elements(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (axes, index) = (ctx.axes(0)?, ctx.axes(1)?);
    let at = ctx.axis_attr("axis", 0, axes.len().min(index.len()))?;
    ctx.effect(0, &axes[at], How::Mix);
    let mut out = axes.clone();
    let size = ctx.atoms.size(&index[at]);
    // The same tokens in another order: still one element per token, its grid only nominal.
    out[at] = match axes[at].0.as_slice() {
        [run] if ctx.atoms.symbols.equal(&size, &ctx.atoms.size(&axes[at])) => {
            let run = run.clone();
            Axis(vec![vec![Factor::Atom(ctx.atoms.permuted("permuted", run, size))]])
        }
        _ => ctx.atoms.axis_from(&axes[at], "gathered", size),
    };
    let mut a = derived(ctx, out)?;
    a.activation = ctx.activation();
    Some(vec![a])
}

pub fn gather_nd(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (axes, index) = (ctx.axes(0)?, ctx.axes(1)?);
    let batch = usize::try_from(ctx.node.int("batch_dims", 0)).ok()?;
    let depth = usize::try_from(ctx.atoms.known(index.last()?)?).ok()?;
    for axis in axes.get(batch..batch + depth)?.to_vec() {
        ctx.effect(0, &axis, How::Mix);
    }
    let mut out = index[..index.len() - 1].to_vec();
    out.extend_from_slice(axes.get(batch + depth..)?);
    let mut a = derived(ctx, out)?;
    a.activation = ctx.activation();
    Some(vec![a])
}

pub fn scatter(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    for axis in &axes {
        ctx.effect(0, axis, How::Mix);
    }
    let mut a = derived(ctx, axes)?;
    a.activation = ctx.activation();
    Some(vec![a])
}

/// An axis of more parts than this is no longer taken apart.
const MAX_WEIGHT: usize = 1024;

pub fn concat(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let all: Vec<usize> = (0..ctx.inputs.len()).collect();
    join(ctx, &all)
}

/// Joins the inputs at these positions along `axis`.
pub fn join(ctx: &mut Ctx, slots: &[usize]) -> Option<Vec<Abs>> {
    let operands: Vec<Abs> = slots.iter().map(|&i| ctx.input(i).cloned()).collect::<Option<_>>()?;
    let rank = operands.iter().map(|o| o.rank()).collect::<Option<Vec<_>>>()?.into_iter().max()?;
    if operands.iter().any(|o| o.rank() != Some(rank)) {
        return None;
    }
    let at = ctx.axis_attr("axis", 0, rank)?;
    let mut out = Vec::with_capacity(rank);
    for i in 0..rank {
        let column: Vec<(&Axis, bool)> = operands.iter().map(|o| (&o.axes()[i], o.activation)).collect();
        let weight: usize = column.iter().map(|(a, _)| a.weight()).sum();
        out.push(if i == at && weight > MAX_WEIGHT {
            let whole = column.iter().fold(Expr::default(), |s, (a, _)| s + ctx.atoms.size(a));
            let first = column.first()?.0.clone();
            ctx.atoms.axis_from(&first, "joined", whole)
        } else if i == at {
            ctx.atoms.concat(&column.iter().map(|(a, _)| (*a).clone()).collect::<Vec<_>>())
        } else {
            column.iter().find(|(_, data)| *data).or_else(|| column.first()).map(|(a, _)| (*a).clone())?
        });
    }
    let mut a = Abs::new(out, operands.first()?.dtype, ctx.activation());
    if rank == 1 {
        a.elements = operands
            .iter()
            .map(|o| o.elements.clone())
            .collect::<Option<Vec<_>>>()
            .map(|l| l.concat())
            .filter(|l| l.len() <= MAX_TRACKED);
    }
    Some(vec![a])
}

pub fn pad(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let rank = axes.len();
    let pads: Vec<Option<Expr>> = match ctx.node.ints("pads") {
        Some(p) => p.iter().map(|&v| Some(Expr::from(v))).collect(),
        None => match &ctx.input(1)?.elements {
            Some(list) => list.iter().map(|s| s.int().cloned()).collect(),
            None => vec![None; 2 * rank],
        },
    };
    let which: Vec<usize> = match ctx.input(3) {
        Some(a) => a.constants()?.iter().map(|&a| wrap(a, rank)).collect::<Option<_>>()?,
        None => (0..rank).collect(),
    };
    let mut out = axes.clone();
    for (i, &at) in which.iter().enumerate() {
        let (lo, hi) = (pads.get(i)?.clone(), pads.get(i + which.len())?.clone());
        if lo == Some(Expr::default()) && hi == Some(Expr::default()) {
            continue;
        }
        ctx.effect(0, &axes[at], How::Mix);
        out[at] = match (lo, hi) {
            (Some(lo), Some(hi)) => ctx.atoms.padded(&axes[at], lo, hi),
            // Nobody knows by how much, or whether at all.
            _ => {
                let size = Expr::from(ctx.atoms.symbols.fresh("padded", None));
                ctx.atoms.axis_from(&axes[at], "padded", size)
            }
        };
    }
    Some(vec![derived(ctx, out)?])
}

pub fn top_k(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let at = ctx.axis_attr("axis", -1, axes.len())?;
    ctx.effect(0, &axes[at], How::Mix);
    let k = match ctx.input(1)?.ints() {
        Some(v) => v.first()?.clone(),
        None => Expr::from(ctx.atoms.symbols.fresh("k", None)),
    };
    let mut out = axes;
    out[at] = ctx.atoms.axis_from(&out[at].clone(), "top", k);
    let a = derived(ctx, out)?;
    Some(vec![a.clone(), Abs { dtype: DataType::I64, ..a }])
}

/// `Trilu` keeps a triangle of the last two axes: it tells positions apart, and keeps every size.
pub fn triangle(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    for axis in axes.iter().rev().take(2) {
        ctx.effect(0, axis, How::Mix);
    }
    Some(vec![derived(ctx, axes)?])
}

/// `EyeLike`: the input only lends its shape.
pub fn eye(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let dtype = match ctx.node.ints("dtype") {
        None if ctx.node.int("dtype", 0) == 0 => ctx.dtype(0),
        _ => DataType::from_onnx(ctx.node.int("dtype", 1) as i32),
    };
    Some(vec![Abs::new(axes, dtype, false)])
}

pub fn cum_sum(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    for axis in &axes {
        ctx.effect(0, axis, How::Mix);
    }
    Some(vec![derived(ctx, axes)?])
}
