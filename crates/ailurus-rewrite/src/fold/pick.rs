//! Operators that pick, write and join parts of arrays.

use super::{
    Call, Unknown,
    array::{Array, checked},
    wrap,
};
use ndarray::{ArrayD, Axis, IxDyn, Slice};

type Results = Option<Result<Vec<Array>, Unknown>>;

pub fn apply(call: &Call) -> Results {
    let one = |r: Result<Array, Unknown>| Some(r.map(|x| vec![x]));
    match call.node.op_type.as_str() {
        "Slice" => one(slice(call)),
        "Split" => Some(split(call)),
        "Gather" => one(gather(call)),
        "GatherND" => one(gather_nd(call)),
        "Concat" => one(concat(call)),
        "Pad" => one(pad(call)),
        "ScatterND" => one(scatter(call)),
        _ => None,
    }
}

fn slice(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let list = |name: &str, i: usize| call.ints(name, i).ok_or_else(|| "a Slice without bounds".to_owned());
    let (starts, ends) = (list("starts", 1)?, list("ends", 2)?);
    let axes = call.ints("axes", 3).unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.optional(4).map_or_else(|| vec![1; starts.len()], Array::ints);
    let mut data = x.data.clone();
    for (i, &axis) in axes.iter().enumerate() {
        let at = wrap(axis, x.rank())?;
        let (Some(&start), Some(&end), Some(&step)) = (starts.get(i), ends.get(i), steps.get(i)) else {
            return Err("a Slice with missing bounds".to_owned());
        };
        let n = data.len_of(Axis(at)) as i64;
        let place = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
        let picked: Vec<usize> = match step {
            1.. => {
                (place(start).clamp(0, n)..place(end).clamp(0, n)).step_by(step as usize).map(|i| i as usize).collect()
            }
            0 => return Err("a Slice that does not move".to_owned()),
            _ => {
                // Backwards: down to, and without, the end.
                let (from, to) = (place(start).clamp(-1, n - 1), place(end).clamp(-1, n - 1));
                let back = usize::try_from(step.saturating_neg()).map_err(|e| e.to_string())?;
                (to + 1..=from).rev().step_by(back).map(|i| i as usize).collect()
            }
        };
        data = data.select(Axis(at), &picked);
    }
    Ok(x.like(data))
}

fn split(call: &Call) -> Result<Vec<Array>, Unknown> {
    let x = call.input(0)?;
    let at = call.axis(0, x.rank())?;
    let (n, count) = (x.dims()[at], call.node.outputs.len());
    let sizes = call.ints("split", 1).unwrap_or_else(|| {
        let each = n.div_ceil(count.max(1));
        (0..count).map(|i| each.min(n.saturating_sub(i * each)) as i64).collect()
    });
    let mut start = 0;
    let mut out = Vec::with_capacity(sizes.len());
    for &size in &sizes {
        let end = usize::try_from(size).ok().and_then(|s| s.checked_add(start)).filter(|&e| e <= n);
        let end = end.ok_or("a Split of other sizes")?;
        out.push(x.like(x.data.slice_axis(Axis(at), Slice::from(start..end)).to_owned()));
        start = end;
    }
    Ok(out)
}

fn gather(call: &Call) -> Result<Array, Unknown> {
    let (x, index) = (call.input(0)?, call.input(1)?);
    let at = call.axis(0, x.rank())?;
    let n = x.dims()[at] as i64;
    let inside = |&i: &i64| usize::try_from(if i < 0 { i + n } else { i }).ok().filter(|&i| (i as i64) < n);
    let rows: Option<Vec<usize>> = index.ints().iter().map(inside).collect();
    let rows = rows.ok_or("a Gather outside its table")?;
    let mut dims = x.dims()[..at].to_vec();
    dims.extend_from_slice(index.dims());
    dims.extend_from_slice(&x.dims()[at + 1..]);
    checked(&dims)?;
    x.like(x.data.select(Axis(at), &rows)).reshaped(&dims)
}

/// Rows at positions: `output[..] = x[index[..]]`.
fn gather_nd(call: &Call) -> Result<Array, Unknown> {
    let (x, index) = (call.input(0)?, call.input(1)?);
    if call.node.int("batch_dims", 0) != 0 {
        return Err("a GatherND of several batches".to_owned());
    }
    let Some((&depth, outer)) = index.dims().split_last() else {
        return Err("a GatherND without positions".to_owned());
    };
    let row: usize = x.dims().get(depth..).ok_or("a GatherND of too many positions")?.iter().product();
    let mut dims = outer.to_vec();
    dims.extend_from_slice(&x.dims()[depth..]);
    let mut list = Vec::with_capacity(checked(&dims)?);
    let data: Vec<f64> = x.data.iter().copied().collect();
    for place in index.ints().chunks(depth.max(1)) {
        let at = offset(place, x.dims())?;
        list.extend_from_slice(&data[at * row..(at + 1) * row]);
    }
    Array::new(x.dtype, &dims, list)
}

/// Where the row of a position starts, in rows.
fn offset(place: &[i64], dims: &[usize]) -> Result<usize, Unknown> {
    let mut at = 0;
    for (&i, &n) in place.iter().zip(dims) {
        let i = if i < 0 { i + n as i64 } else { i };
        at = at * n + usize::try_from(i).ok().filter(|&i| i < n).ok_or("a position outside its table")?;
    }
    Ok(at)
}

fn concat(call: &Call) -> Result<Array, Unknown> {
    let first = call.input(0)?;
    let at = call.axis(0, first.rank())?;
    let parts = (0..call.inputs.len()).map(|i| call.input(i).map(|x| x.data.view())).collect::<Result<Vec<_>, _>>()?;
    if parts.iter().any(|p| p.ndim() != first.rank()) {
        return Err("a Concat of different ranks".to_owned());
    }
    checked(&[parts.iter().map(|p| p.len()).sum()])?;
    Ok(first.like(ndarray::concatenate(Axis(at), &parts).map_err(|e| e.to_string())?))
}

fn pad(call: &Call) -> Result<Array, Unknown> {
    let x = call.input(0)?;
    let pads = call.ints("pads", 1).ok_or("a Pad without sizes")?;
    if call.node.str("mode").unwrap_or("constant") != "constant" || call.optional(3).is_some() {
        return Err("a Pad of another kind".to_owned());
    }
    let fill = match call.optional(2) {
        Some(v) => v.scalar().ok_or("a Pad without a number")?,
        None => f64::from(call.node.float("value", 0.0)),
    };
    let rank = x.rank();
    let size = |i: usize| -> Option<(usize, usize)> {
        let (before, behind) = (usize::try_from(*pads.get(i)?).ok()?, usize::try_from(*pads.get(i + rank)?).ok()?);
        Some((before, before.checked_add(x.dims()[i])?.checked_add(behind)?))
    };
    let sizes: Vec<(usize, usize)> = (0..rank).map(size).collect::<Option<_>>().ok_or("a Pad that cuts")?;
    let dims: Vec<usize> = sizes.iter().map(|&(_, n)| n).collect();
    checked(&dims)?;
    let mut data = ArrayD::from_elem(IxDyn(&dims), fill);
    let inner = |axis: ndarray::AxisDescription| {
        let (i, before) = (axis.axis.index(), sizes[axis.axis.index()].0);
        Slice::from(before..before + x.dims()[i])
    };
    data.slice_each_axis_mut(inner).assign(&x.data);
    Ok(x.like(data))
}

/// Writes rows at positions: `output[index[..]] = update[..]`.
fn scatter(call: &Call) -> Result<Array, Unknown> {
    let (x, index, update) = (call.input(0)?, call.input(1)?, call.input(2)?);
    if call.node.str("reduction").unwrap_or("none") != "none" {
        return Err("a ScatterND that sums".to_owned());
    }
    let depth = index.dims().last().copied().filter(|&d| d <= x.rank()).ok_or("a ScatterND without positions")?;
    let row: usize = x.dims()[depth..].iter().product();
    let mut data: Vec<f64> = x.data.iter().copied().collect();
    let (places, values) = (index.ints(), update.data.iter().copied().collect::<Vec<f64>>());
    if depth == 0 || places.len() / depth * row != values.len() {
        return Err("a ScatterND of other sizes".to_owned());
    }
    for (place, values) in places.chunks(depth).zip(values.chunks(row.max(1))) {
        let at = offset(place, x.dims())?;
        data[at * row..(at + 1) * row].copy_from_slice(values);
    }
    Array::new(x.dtype, x.dims(), data)
}
