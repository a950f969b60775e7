//! Constants, shapes and the integers computed from them.

use crate::{
    abs::{Abs, MAX_TRACKED, Scalar},
    axis::Axis,
    expr::Expr,
    interp::{Ctx, constant},
};
use ailurus_onnx::DataType;

pub fn constant_node(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let out = ctx.node.output(0)?;
    let t = ctx.graph.constant(out)?.into_owned();
    let name = ctx.graph.name_of(out).to_owned();
    Some(vec![constant(ctx.model, ctx.atoms, &t, &name)])
}

fn vector(ctx: &mut Ctx, elements: Vec<Scalar>, dtype: DataType) -> Abs {
    let axis = ctx.atoms.axis("rank", Expr::from(elements.len() as i64));
    let mut a = Abs::new(vec![axis], dtype, false);
    a.elements = Some(elements);
    a
}

pub fn shape(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let axes = ctx.axes(0)?;
    let rank = axes.len() as i64;
    let clamp = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
    let (start, end) = (clamp(ctx.node.int("start", 0)), clamp(ctx.node.int("end", rank)));
    let dims = axes.get(start..end.max(start))?.iter().map(|a| Scalar::Int(ctx.atoms.size(a))).collect();
    Some(vec![vector(ctx, dims, DataType::I64)])
}

pub fn size(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let total = ctx.axes(0)?.iter().fold(Expr::from(1), |p, a| p * ctx.atoms.size(a));
    let mut a = Abs::new(Vec::new(), DataType::I64, false);
    a.elements = Some(vec![Scalar::Int(total)]);
    Some(vec![a])
}

pub fn cast(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let mut a = ctx.input(0)?.clone();
    a.dtype = match ctx.node.op_type.as_str() {
        "CastLike" => ctx.dtype(1),
        _ => DataType::from_onnx(ctx.node.int("to", 1) as i32),
    };
    let (from_float, to_float) = (ctx.dtype(0).is_float(), a.dtype.is_float());
    if let Some(e) = &mut a.elements {
        for s in e {
            *s = match std::mem::replace(s, Scalar::Unknown) {
                Scalar::Int(x) if to_float => Scalar::Ratio(x, 1),
                Scalar::Ratio(x, d) if !to_float => Scalar::Int(ctx.atoms.symbols.floor_div(&x, d)),
                Scalar::Float(f) if from_float && !to_float => Scalar::Int(Expr::from(f.trunc() as i64)),
                other => other,
            };
        }
    }
    Some(vec![a])
}

/// Axes for a tensor of these dimensions.
pub fn axes_of(ctx: &mut Ctx, label: &str, dims: Option<Vec<Expr>>) -> Option<Vec<Axis>> {
    Some(dims?.into_iter().map(|d| ctx.atoms.axis(label, d)).collect())
}

pub fn constant_of_shape(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let dims = ctx.input(0)?.ints()?;
    let value = ctx.node.attributes.get("value").and_then(|a| a.as_tensor()).cloned();
    let dtype = value.as_ref().map_or(DataType::F32, |t| t.dtype);
    let fill = match &value {
        None => Scalar::Float(0.0),
        Some(t) if t.dtype.is_float() => Scalar::Float(f64::from(*ctx.model.f32s(t).ok()?.first()?)),
        Some(t) => Scalar::Int(Expr::from(*ctx.model.i64s(t).ok()?.first()?)),
    };
    let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(d.constant()?).ok()?));
    let mut a = Abs::new(axes_of(ctx, "filled", Some(dims))?, dtype, false);
    a.elements = count.filter(|&n| n <= MAX_TRACKED).map(|n| vec![fill; n]);
    Some(vec![a])
}

pub fn range(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let bound = |i: usize| match ctx.input(i)?.elements.as_ref()?.first()? {
        Scalar::Int(e) | Scalar::Ratio(e, 1) => Some(e.clone()),
        Scalar::Float(f) if f.fract() == 0.0 => Some(Expr::from(*f as i64)),
        _ => None,
    };
    let dtype = ctx.dtype(0);
    let (start, limit, delta) = (bound(0), bound(1), bound(2));
    // `arange(0.5, n)`: from a whole limit, ceil(n - s) = n - floor(s).
    let start = start.or_else(|| match ctx.input(0)?.elements.as_ref()?.first()? {
        Scalar::Float(f) if f.is_finite() => Some(Expr::from(f.floor() as i64)),
        _ => None,
    });
    let size = match (&start, &limit, delta.as_ref().and_then(Expr::constant)) {
        (Some(s), Some(l), Some(1)) => Some(l.clone() - s.clone()),
        (Some(s), Some(l), Some(d)) if d > 1 => {
            let span = l.clone() - s.clone() + Expr::from(d - 1);
            Some(ctx.atoms.symbols.floor_div(&span, d))
        }
        _ => None,
    };
    let size = match size {
        Some(s) => s,
        None => Expr::from(ctx.atoms.symbols.fresh("range", None)),
    };
    let literal = size.constant().zip(start.as_ref().and_then(Expr::constant)).zip(delta.and_then(|d| d.constant()));
    let axis = ctx.atoms.axis("range", size);
    let mut a = Abs::new(vec![axis], dtype, false);
    if let Some(((n, s), d)) = literal
        && (0..=MAX_TRACKED as i64).contains(&n)
        && !dtype.is_float()
    {
        a.elements = Some((0..n).map(|i| Scalar::Int(Expr::from(s.wrapping_add(i.wrapping_mul(d))))).collect());
    }
    Some(vec![a])
}
