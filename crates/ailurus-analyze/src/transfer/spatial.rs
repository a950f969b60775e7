//! Operators on channel-first maps.

use crate::{
    abs::Abs,
    axis::{Axis, Target},
    expr::Expr,
    interp::{Ctx, How},
};

/// Strides, pads and kernels beyond this are nonsense, and would only overflow.
fn sane(v: i64) -> i64 {
    v.clamp(-(1 << 20), 1 << 20)
}

/// Size of a convolution or pooling output along one spatial axis.
fn windowed(ctx: &mut Ctx, size: Expr, i: usize, kernel: i64, spatial: usize, ceil: bool) -> Expr {
    let pick = |name: &str, default: i64, at: usize| {
        ctx.node.ints(name).and_then(|v| v.get(at).copied()).map_or(default, sane)
    };
    let (stride, dilation) = (pick("strides", 1, i).max(1), pick("dilations", 1, i).max(1));
    let reach = dilation * (kernel - 1) + 1;
    match ctx.node.str("auto_pad").unwrap_or("NOTSET") {
        "SAME_UPPER" | "SAME_LOWER" => ctx.atoms.symbols.floor_div(&(size + Expr::from(stride - 1)), stride),
        mode => {
            let pads = if mode == "VALID" { 0 } else { pick("pads", 0, i) + pick("pads", 0, i + spatial) };
            let room = size + Expr::from(pads - reach + if ceil { stride - 1 } else { 0 });
            ctx.atoms.symbols.floor_div(&room, stride) + Expr::from(1)
        }
    }
}

/// Shared by convolutions and pools: which spatial axes survive untouched, and new axes for the others.
fn slide(ctx: &mut Ctx, axes: &[Axis], kernel: &[i64], ceil: bool) -> Vec<Axis> {
    let spatial = axes.len() - 2;
    let mut out = Vec::with_capacity(spatial);
    for (i, axis) in axes[2..].iter().enumerate() {
        let k = kernel.get(i).copied().map_or(1, sane);
        let before = ctx.atoms.size(axis);
        let after = windowed(ctx, before.clone(), i, k, spatial, ceil);
        if k == 1 && after == before {
            out.push(axis.clone());
        } else {
            ctx.effect(0, axis, How::Mix);
            out.push(ctx.atoms.axis_from(axis, if i == 0 { "rows" } else { "columns" }, after));
        }
    }
    out
}

pub fn conv(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    conv_of(ctx, 1, false)
}

/// A convolution with its weights `[out, in, ..]` at input `weights`; the map may have its channels last.
pub fn conv_of(ctx: &mut Ctx, weights: usize, channels_last: bool) -> Option<Vec<Abs>> {
    let (a, w) = (ctx.input(0)?.clone(), ctx.axes(weights)?);
    let axes = channels_second(a.axes.clone()?, channels_last);
    if axes.len() < 3 || w.len() != axes.len() {
        return None;
    }
    let kernel: Vec<i64> = w[2..].iter().map(|k| ctx.atoms.known(k).map(sane)).collect::<Option<_>>()?;
    ctx.effect(0, &axes[1], How::Contract);
    let mut out = vec![axes[0].clone(), w[0].clone()];
    out.extend(slide(ctx, &axes, &kernel, false));
    Some(vec![Abs::new(channels_back(out, channels_last), a.dtype, a.activation)])
}

/// `[B, .., C]` as `[B, C, ..]`.
fn channels_second(mut axes: Vec<Axis>, last: bool) -> Vec<Axis> {
    if last && axes.len() > 2 {
        axes[1..].rotate_right(1);
    }
    axes
}

/// `[B, C, ..]` as `[B, .., C]`.
fn channels_back(mut axes: Vec<Axis>, last: bool) -> Vec<Axis> {
    if last && axes.len() > 2 {
        axes[1..].rotate_left(1);
    }
    axes
}

pub fn conv_transpose(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (a, w) = (ctx.input(0)?.clone(), ctx.axes(1)?);
    let axes = a.axes.clone()?;
    let spatial = axes.len().checked_sub(2)?;
    let group = ctx.node.int("group", 1);
    let channels = ctx.atoms.size(w.get(1)?) * Expr::from(group);
    ctx.effect(0, &axes[1], How::Contract);
    let mut out = vec![axes[0].clone(), ctx.atoms.axis("channels", channels)];
    let list = |name: &str, default: i64, at: usize| {
        ctx.node.ints(name).and_then(|v| v.get(at).copied()).map_or(default, sane)
    };
    let mut sizes = Vec::new();
    for i in 0..spatial {
        let k = sane(ctx.atoms.known(w.get(i + 2)?)?);
        let (s, d) = (list("strides", 1, i), list("dilations", 1, i));
        let pads = list("pads", 0, i) + list("pads", 0, i + spatial);
        let grow = d * (k - 1) + 1 + list("output_padding", 0, i) - pads - s;
        sizes.push(ctx.atoms.size(&axes[i + 2]) * Expr::from(s) + Expr::from(grow));
    }
    for (axis, size) in axes[2..].iter().zip(sizes) {
        ctx.effect(0, axis, How::Mix);
        let axis = ctx.atoms.axis_from(axis, "upsampled", size);
        out.push(axis);
    }
    Some(vec![Abs::new(out, a.dtype, a.activation)])
}

pub fn pool(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    pool_of(ctx, false)
}

/// Pooling of a map that may have its channels last.
pub fn pool_of(ctx: &mut Ctx, channels_last: bool) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let axes = channels_second(a.axes.clone()?, channels_last);
    let kernel = ctx.node.ints("kernel_shape")?.to_vec();
    let ceil = ctx.node.int("ceil_mode", 0) == 1;
    let mut out = axes.get(..2)?.to_vec();
    out.extend(slide(ctx, &axes, &kernel, ceil));
    Some(vec![Abs::new(channels_back(out, channels_last), a.dtype, a.activation)])
}

pub fn global_pool(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    global_pool_of(ctx, false)
}

/// Pooling over all positions of a map that may have its channels last.
pub fn global_pool_of(ctx: &mut Ctx, channels_last: bool) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let mut axes = channels_second(a.axes.clone()?, channels_last);
    for axis in axes.iter_mut().skip(2) {
        ctx.effect(0, axis, How::Reduce);
        *axis = Axis::one();
    }
    Some(vec![Abs::new(channels_back(axes, channels_last), a.dtype, a.activation)])
}

pub fn resize(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let a = ctx.input(0)?.clone();
    let axes = a.axes.clone()?;
    let sizes = ctx.input(3).and_then(Abs::ints);
    let scales = ctx.input(if ctx.node.op_type == "Upsample" { 1 } else { 2 }).and_then(|s| s.elements.clone());
    let which: Vec<usize> = match ctx.node.ints("axes") {
        Some(l) => l.iter().map(|&x| crate::interp::wrap(x, axes.len())).collect::<Option<_>>()?,
        None => (0..axes.len()).collect(),
    };
    let mut out = axes.clone();
    for (i, &at) in which.iter().enumerate() {
        let before = ctx.atoms.size(&axes[at]);
        let after = match (&sizes, &scales) {
            (Some(s), _) => s.get(i)?.clone(),
            (None, Some(s)) => match s.get(i)? {
                crate::abs::Scalar::Float(f) if f.fract() == 0.0 => before.clone() * Expr::from(*f as i64),
                crate::abs::Scalar::Float(f) => match ctx.atoms.symbols.known(&before) {
                    Some(n) => Expr::from((n as f64 * f).floor() as i64),
                    None => Expr::from(ctx.atoms.symbols.fresh("resized", None)),
                },
                crate::abs::Scalar::Ratio(e, d) => {
                    let product = e.clone() * before.clone();
                    ctx.atoms.symbols.floor_div(&product, *d)
                }
                _ => Expr::from(ctx.atoms.symbols.fresh("resized", None)),
            },
            (None, None) => Expr::from(ctx.atoms.symbols.fresh("resized", None)),
        };
        if after != before {
            ctx.effect(0, &axes[at], How::Mix);
            out[at] = ctx.atoms.axis_from(&axes[at], "resized", after);
        }
    }
    Some(vec![Abs::new(out, a.dtype, a.activation)])
}

fn maps(ctx: &Ctx) -> Option<(Abs, Vec<Axis>, i64)> {
    let a = ctx.input(0)?.clone();
    let axes = a.axes.clone().filter(|x| x.len() == 4)?;
    Some((a, axes, sane(ctx.node.int("blocksize", 1)).max(1)))
}

pub fn depth_to_space(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (a, axes, b) = maps(ctx)?;
    let size = |n: usize, ctx: &Ctx| ctx.atoms.size(&axes[n]);
    let depth = ctx.atoms.symbols.floor_div(&size(1, ctx), b * b);
    let dcr = ctx.node.str("mode").unwrap_or("DCR") == "DCR";
    let c = Target::Size(Expr::from(b));
    let split = if dcr { [c.clone(), c, Target::Size(depth)] } else { [Target::Size(depth), c.clone(), c] };
    let pieces = ctx.atoms.reshape(&[axes[1].clone()], &split).axes;
    let [d, p, q] = if dcr { [2, 0, 1] } else { [0, 1, 2] };
    let mut join = |x: &Axis, y: &Axis| {
        let whole = ctx.atoms.size(x) * ctx.atoms.size(y);
        ctx.atoms.reshape(&[x.clone(), y.clone()], &[Target::Size(whole)]).axes.remove(0)
    };
    let rows = join(&axes[2], &pieces[p]);
    let columns = join(&axes[3], &pieces[q]);
    Some(vec![Abs::new(vec![axes[0].clone(), pieces[d].clone(), rows, columns], a.dtype, a.activation)])
}

pub fn space_to_depth(ctx: &mut Ctx) -> Option<Vec<Abs>> {
    let (a, axes, b) = maps(ctx)?;
    let mut cut = |axis: &Axis| {
        let n = ctx.atoms.size(axis);
        let major = ctx.atoms.symbols.floor_div(&n, b);
        ctx.atoms.reshape(std::slice::from_ref(axis), &[Target::Size(major), Target::Size(Expr::from(b))]).axes
    };
    let (h, w) = (cut(&axes[2]), cut(&axes[3]));
    let channels = ctx.atoms.size(&axes[1]) * Expr::from(b * b);
    let c = ctx.atoms.axis("channels", channels);
    Some(vec![Abs::new(vec![axes[0].clone(), c, h[0].clone(), w[0].clone()], a.dtype, a.activation)])
}
