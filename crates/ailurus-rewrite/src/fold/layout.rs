//! Operators that make arrays, or re-cut, reorder, grow and read the shape of them.

use super::{
    Call, Unknown,
    array::{Array, checked, common},
    wrap,
};
use ailurus_onnx::DataType;
use ndarray::{ArrayD, Axis, IxDyn};

type Results = Option<Result<Vec<Array>, Unknown>>;

pub fn apply(call: &Call) -> Results {
    let one = |r: Result<Array, Unknown>| Some(r.map(|x| vec![x]));
    match call.node.op_type.as_str() {
        "Identity" | "Dropout" => one(call.input(0).cloned()),
        "Reshape" => one(reshape(call)),
        "Flatten" => one(flatten(call)),
        "Squeeze" => one(squeeze(call)),
        "Unsqueeze" => one(unsqueeze(call)),
        "Transpose" => one(transpose(call)),
        "Expand" => one(expand(call)),
        "Tile" => one(tile(call)),
        "Shape" => one(shape(call)),
        "Size" => one(call.input(0).and_then(|x| Array::new(DataType::I64, &[], vec![x.data.len() as f64]))),
        "Range" => one(range(call)),
        "ConstantOfShape" => one(constant_of_shape(call)),
        "Resize" => one(resize(call)),
        _ => None,
    }
}

fn sizes(list: &[i64]) -> Result<Vec<usize>, Unknown> {
    let dims: Option<Vec<usize>> = list.iter().map(|&d| usize::try_from(d).ok()).collect();
    let dims = dims.ok_or_else(|| format!("sizes {list:?}"))?;
    checked(&dims)?;
    Ok(dims)
}

fn reshape(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let mut wanted = call.ints("shape", 1).ok_or("a reshape without sizes")?;
    for (i, d) in wanted.iter_mut().enumerate() {
        if *d == 0 && call.node.int("allowzero", 0) == 0 {
            *d = *x.dims().get(i).ok_or("a reshape that keeps an axis there is not")? as i64;
        }
    }
    let known = wanted.iter().filter(|&&d| d != -1).try_fold(1i64, |n, &d| n.checked_mul(d)).ok_or("a huge reshape")?;
    if let Some(open) = wanted.iter().position(|&d| d == -1) {
        wanted[open] = (x.data.len() as i64).checked_div(known).ok_or("a reshape of nothing")?;
    }
    x.reshaped(&sizes(&wanted)?)
}

fn flatten(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let at = call.node.int("axis", 1);
    let at = if at < 0 { at + x.rank() as i64 } else { at }.clamp(0, x.rank() as i64) as usize;
    let (front, back) = x.dims().split_at(at);
    x.reshaped(&[front.iter().product(), back.iter().product()])
}

fn squeeze(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let drop: Vec<usize> = match call.ints("axes", 1) {
        Some(list) => list.iter().map(|&a| wrap(a, x.rank())).collect::<Result<_, _>>()?,
        None => (0..x.rank()).filter(|&i| x.dims()[i] == 1).collect(),
    };
    let kept: Vec<usize> = (0..x.rank()).filter(|i| !drop.contains(i)).map(|i| x.dims()[i]).collect();
    x.reshaped(&kept)
}

fn unsqueeze(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let list = call.ints("axes", 1).ok_or("an Unsqueeze without axes")?;
    let rank = x.rank() + list.len();
    let new: Vec<usize> = list.iter().map(|&a| wrap(a, rank)).collect::<Result<_, _>>()?;
    let mut rest = x.dims().iter();
    let dims = (0..rank).map(|i| if new.contains(&i) { Some(1) } else { rest.next().copied() });
    x.reshaped(&dims.collect::<Option<Vec<_>>>().ok_or("an Unsqueeze of repeated axes")?)
}

fn transpose(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let perm: Vec<usize> = match call.node.ints("perm") {
        Some(list) => list.iter().map(|&a| wrap(a, x.rank())).collect::<Result<_, _>>()?,
        None => (0..x.rank()).rev().collect(),
    };
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..x.rank()) {
        return Err(format!("the permutation {perm:?}"));
    }
    Ok(x.like(x.data.view().permuted_axes(IxDyn(&perm)).as_standard_layout().into_owned()))
}

fn expand(call: &Call) -> Result<Array, Unknown> {
    let (x, to) = (call.input(0)?, sizes(&call.input(1)?.ints())?);
    let dims = common(x.dims(), &to)?;
    Ok(x.like(x.broadcast(&dims)?))
}

fn tile(call: &Call) -> Result<Array, Unknown> {
    let (x, repeats) = (call.input(0)?, sizes(&call.input(1)?.ints())?);
    if repeats.len() != x.rank() {
        return Err("a Tile of another rank".to_owned());
    }
    checked(&x.dims().iter().zip(&repeats).map(|(a, b)| a.saturating_mul(*b)).collect::<Vec<_>>())?;
    let mut data = x.data.clone();
    for (axis, &n) in repeats.iter().enumerate() {
        let copies = vec![data.view(); n];
        data = ndarray::concatenate(Axis(axis), &copies).map_err(|e| e.to_string())?;
    }
    Ok(x.like(data))
}

fn shape(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let rank = x.rank() as i64;
    let bound = |name: &str, default: i64| {
        let v = call.node.int(name, default);
        (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", rank));
    let list: Vec<f64> = x.dims().get(start..end).unwrap_or_default().iter().map(|&d| d as f64).collect();
    Array::new(DataType::I64, &[list.len()], list)
}

fn range(call: &Call) -> Result<Array, Unknown> {
    let number = |i: usize| call.input(i)?.scalar().ok_or_else(|| "a Range without numbers".to_owned());
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    let count = ((end - start) / step).ceil().max(0.0);
    let count = checked(&[if count.is_finite() { count as usize } else { usize::MAX }])?;
    let list = (0..count).map(|i| start + i as f64 * step).collect();
    Array::new(call.input(0)?.dtype, &[count], list)
}

fn constant_of_shape(call: &Call) -> Result<Array, Unknown> {
    let dims = sizes(&call.input(0)?.ints())?;
    let (dtype, number) = match call.node.attributes.get("value").and_then(|a| a.as_tensor()) {
        None => (DataType::F32, 0.0),
        Some(t) => {
            let list = call.model.f32s(t).map_err(|e| e.to_string())?;
            (t.dtype, f64::from(*list.first().ok_or("a ConstantOfShape without its element")?))
        }
    };
    Ok(Array { dtype, data: ArrayD::from_elem(IxDyn(&dims), number) })
}

/// A resize to the same size, as exporters leave it behind for tables that fit already.
fn resize(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let own: Vec<i64> = x.dims().iter().map(|&d| d as i64).collect();
    let same = match (call.optional(3), call.optional(2)) {
        (Some(to), _) => to.ints() == own,
        (None, Some(by)) => by.data.iter().all(|&s| s == 1.0),
        (None, None) => false,
    };
    if same { Ok(x.clone()) } else { Err("Resize to another size".to_owned()) }
}
