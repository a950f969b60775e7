//! Operators on each element, sums and products of matrices.

use super::{
    Call, Unknown,
    array::{Array, common},
};
use ailurus_onnx::DataType;
use ndarray::{ArrayD, Axis, Ix2, Zip};

type Results = Option<Result<Vec<Array>, Unknown>>;

pub fn apply(call: &Call) -> Results {
    let op = call.node.op_type.as_str();
    if let Some(f) = unary(op) {
        return Some(call.input(0).map(|x| vec![x.like(x.data.mapv(f))]));
    }
    if let Some(f) = comparison(op) {
        return Some(pairwise(call, f).map(|x| vec![Array { dtype: DataType::Bool, ..x }]));
    }
    if let Some(f) = arithmetic(op) {
        let whole = call.optional(0).is_some_and(|x| !x.dtype.is_float());
        let rounded = move |a: f64, b: f64| if whole { f(a, b).trunc() } else { f(a, b) };
        return Some(pairwise(call, rounded).map(|x| vec![x]));
    }
    Some(match op {
        "Cast" => cast(call),
        "Mod" => {
            // The sign is the divisor's, except for fmod.
            let truncated = call.node.int("fmod", 0) == 1;
            pairwise(call, move |a, b| if truncated { a % b } else { a - b * (a / b).floor() }).map(|x| vec![x])
        }
        "Where" => select(call),
        "MatMul" => product(call),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" => reduce(call),
        _ => return None,
    })
}

fn unary(op: &str) -> Option<fn(f64) -> f64> {
    Some(match op {
        "Abs" => f64::abs,
        "Ceil" => f64::ceil,
        "Cos" => f64::cos,
        "Exp" => f64::exp,
        "Floor" => f64::floor,
        "Log" => f64::ln,
        "Neg" => |x| -x,
        "Not" => |x| f64::from(x == 0.0),
        "Reciprocal" => f64::recip,
        "Relu" => |x| x.max(0.0),
        "Round" => f64::round_ties_even,
        "Sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        "Sign" => |x| if x == 0.0 { 0.0 } else { x.signum() },
        "Sin" => f64::sin,
        "Sqrt" => f64::sqrt,
        "Tanh" => f64::tanh,
        _ => return None,
    })
}

fn comparison(op: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        "And" => |a, b| f64::from(a != 0.0 && b != 0.0),
        "Equal" => |a, b| f64::from(a == b),
        "Greater" => |a, b| f64::from(a > b),
        "GreaterOrEqual" => |a, b| f64::from(a >= b),
        "Less" => |a, b| f64::from(a < b),
        "LessOrEqual" => |a, b| f64::from(a <= b),
        "Or" => |a, b| f64::from(a != 0.0 || b != 0.0),
        "Xor" => |a, b| f64::from((a != 0.0) != (b != 0.0)),
        _ => return None,
    })
}

fn arithmetic(op: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        "Add" | "Sum" => |a, b| a + b,
        "Div" => |a, b| a / b,
        "Max" => f64::max,
        "Min" => f64::min,
        "Mul" => |a, b| a * b,
        "Pow" => f64::powf,
        "Sub" => |a, b| a - b,
        _ => return None,
    })
}

/// All operands, two by two.
fn pairwise(call: &Call, f: impl Fn(f64, f64) -> f64) -> Result<Array, Unknown> {
    let mut sum = call.input(0)?.clone();
    for i in 1..call.inputs.len() {
        let other = call.input(i)?;
        let dims = common(sum.dims(), other.dims())?;
        let (a, b) = (sum.broadcast(&dims)?, other.broadcast(&dims)?);
        sum = sum.like(Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b)));
    }
    Ok(sum)
}

fn cast(call: &Call) -> Result<Vec<Array>, Unknown> {
    let (x, to) = (call.input(0)?, DataType::from_onnx(call.node.int("to", 1) as i32));
    let data = match to {
        DataType::Bool => x.data.mapv(|v| f64::from(v != 0.0)),
        DataType::F32 => x.data.mapv(|v| f64::from(v as f32)),
        DataType::F16 => x.data.mapv(|v| half::f16::from_f64(v).to_f64()),
        to if to.is_float() => x.data.clone(),
        _ => x.data.mapv(f64::trunc),
    };
    Ok(vec![Array { dtype: to, data }])
}

fn select(call: &Call) -> Result<Vec<Array>, Unknown> {
    let (c, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let dims = common(&common(c.dims(), x.dims())?, y.dims())?;
    let (c, a, b) = (c.broadcast(&dims)?, x.broadcast(&dims)?, y.broadcast(&dims)?);
    Ok(vec![x.like(Zip::from(&c).and(&a).and(&b).map_collect(|&c, &a, &b| if c != 0.0 { a } else { b }))])
}

/// A stack of matrices times one matrix.
fn product(call: &Call) -> Result<Vec<Array>, Unknown> {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let odd = || "a product of other than a stack and a matrix".to_owned();
    let matrix = y.data.view().into_dimensionality::<Ix2>().map_err(|_| odd())?;
    let Some((&inner, outer)) = x.dims().split_last() else { return Err(odd()) };
    let rows: usize = outer.iter().product();
    let left = x.reshaped(&[rows, inner])?.data.into_dimensionality::<Ix2>().map_err(|_| odd())?;
    if inner != matrix.nrows() {
        return Err(odd());
    }
    let mut dims = outer.to_vec();
    dims.push(matrix.ncols());
    let whole = x.like(left.dot(&matrix).into_dyn());
    Ok(vec![whole.reshaped(&dims)?])
}

fn reduce(call: &Call) -> Result<Vec<Array>, Unknown> {
    let x = call.input(0)?;
    let mut axes: Vec<usize> = match call.ints("axes", 1) {
        Some(list) => list.iter().map(|&a| super::wrap(a, x.rank())).collect::<Result<_, _>>()?,
        None => (0..x.rank()).collect(),
    };
    axes.sort_unstable();
    axes.dedup();
    let mut data: ArrayD<f64> = x.data.clone();
    for &axis in axes.iter().rev() {
        let count = data.len_of(Axis(axis)) as f64;
        data = match call.node.op_type.as_str() {
            "ReduceMax" => data.fold_axis(Axis(axis), f64::NEG_INFINITY, |a, b| a.max(*b)),
            "ReduceMin" => data.fold_axis(Axis(axis), f64::INFINITY, |a, b| a.min(*b)),
            "ReduceMean" => data.sum_axis(Axis(axis)) / count,
            _ => data.sum_axis(Axis(axis)),
        };
        if call.node.int("keepdims", 1) == 1 {
            data = data.insert_axis(Axis(axis));
        }
    }
    Ok(vec![x.like(data)])
}
