//! Weights that are constant, though not stored as such: dequantised, cast or transposed on the way to their operator.

use ailurus_onnx::{Model, Node, Tensor, ValueId};

/// A constant array of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Shape.
    pub dims: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f32>,
}

/// Shape of a constant floating point value, without reading its elements; `None` when it is not constant.
pub fn shape(model: &Model, v: ValueId) -> Option<Vec<usize>> {
    let g = &model.graph;
    if let Some(t) = g.constant(v) {
        return t.dtype.is_float().then(|| dims(&t)).flatten();
    }
    let node = g.node(g.producer(v)?.0);
    match node.op_type.as_str() {
        "Identity" | "Cast" => shape(model, node.input(0)?),
        "Transpose" => {
            let inner = shape(model, node.input(0)?)?;
            permutation(node, inner.len())?.iter().map(|&p| inner.get(p).copied()).collect()
        }
        "DequantizeLinear" => {
            let stored = g.constant(node.input(0)?)?;
            g.constant(node.input(1)?)?;
            if let Some(zero) = node.input(2) {
                g.constant(zero)?;
            }
            dims(&stored)
        }
        _ => None,
    }
}

/// The elements of a constant floating point value.
pub fn floats(model: &Model, v: ValueId) -> Option<Constant> {
    let g = &model.graph;
    if let Some(t) = g.constant(v) {
        return Some(Constant { dims: dims(&t)?, data: model.f32s(&t).ok()? });
    }
    let node = g.node(g.producer(v)?.0);
    match node.op_type.as_str() {
        "Identity" | "Cast" => floats(model, node.input(0)?),
        "Transpose" => {
            let inner = floats(model, node.input(0)?)?;
            let perm = permutation(node, inner.dims.len())?;
            Some(transposed(&inner, &perm))
        }
        "DequantizeLinear" => dequantized(model, node),
        _ => None,
    }
}

fn dims(t: &Tensor) -> Option<Vec<usize>> {
    t.dims.iter().map(|&d| usize::try_from(d).ok()).collect()
}

fn permutation(node: &Node, rank: usize) -> Option<Vec<usize>> {
    match node.ints("perm") {
        Some(p) => p.iter().map(|&x| crate::interp::wrap(x, rank)).collect(),
        None => Some((0..rank).rev().collect()),
    }
}

fn transposed(c: &Constant, perm: &[usize]) -> Constant {
    let stride = |at: usize| c.dims[at + 1..].iter().product::<usize>();
    let mut offsets = vec![0usize];
    for &p in perm {
        offsets = offsets.iter().flat_map(|o| (0..c.dims[p]).map(move |i| o + i * stride(p))).collect();
    }
    Constant {
        dims: perm.iter().map(|&p| c.dims[p]).collect(),
        data: offsets.iter().filter_map(|&o| c.data.get(o).copied()).collect(),
    }
}

/// `(x - zero) * scale`, per tensor or along one axis.
fn dequantized(model: &Model, node: &Node) -> Option<Constant> {
    let g = &model.graph;
    let (stored, scale) = (g.constant(node.input(0)?)?, g.constant(node.input(1)?)?);
    let dims = dims(&stored)?;
    let scale = model.f32s(&scale).ok()?;
    let zero = match node.input(2) {
        Some(z) => model.i64s(&*g.constant(z)?).ok()?,
        None => vec![0],
    };
    let axis = crate::interp::wrap(node.int("axis", 1), dims.len().max(1))?;
    let inner: usize = dims.get(axis + 1..)?.iter().product::<usize>().max(1);
    let along = dims.get(axis).copied().unwrap_or(1).max(1);
    let pick = |n: usize, i: usize| if n == 1 { Some(0) } else { Some((i / inner) % along).filter(|&j| j < n) };
    let data = model.i64s(&stored).ok()?;
    let data = data
        .iter()
        .enumerate()
        .map(|(i, &q)| Some((q - zero.get(pick(zero.len(), i)?)?) as f32 * scale.get(pick(scale.len(), i)?)?));
    Some(Constant { data: data.collect::<Option<_>>()?, dims })
}
