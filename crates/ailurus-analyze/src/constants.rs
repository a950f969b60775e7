//! Weights that are constant, though not stored as such: dequantised, cast or transposed on the way to their operator.

use ailurus_onnx::{DataType, Model, Node, Tensor, ValueId};

/// A constant array of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Shape.
    pub dims: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f32>,
}

/// A constant array as a graph holds it: numbers, or integers with scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The array.
    pub value: ValueId,
    /// How its integers stand for numbers; `None` when it holds numbers.
    pub scaled: Option<Scaled>,
}

/// Scales of stored integers: `number = (stored - zero point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// One for the tensor, one for each position of an axis, or one for each block along it.
    pub scale: ValueId,
    /// In the shape of the scale; zero when absent.
    pub zero_point: Option<ValueId>,
    /// The axis.
    pub axis: i64,
}

impl Stored {
    /// An array of numbers.
    pub fn numbers(value: ValueId) -> Self {
        Self { value, scaled: None }
    }

    /// Its shape, without reading its elements; `None` when it is not constant.
    pub fn shape(&self, model: &Model) -> Option<Vec<usize>> {
        match &self.scaled {
            None => shape(model, self.value),
            Some(s) => scaled_shape(model, self.value, s),
        }
    }

    /// Its numbers.
    pub fn floats(&self, model: &Model) -> Option<Constant> {
        match &self.scaled {
            None => floats(model, self.value),
            Some(s) => dequantized(model, self.value, s),
        }
    }
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
        "DequantizeLinear" => scaled_shape(model, node.input(0)?, &scaled(node)?),
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
        "DequantizeLinear" => dequantized(model, node.input(0)?, &scaled(node)?),
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

fn scaled(node: &Node) -> Option<Scaled> {
    Some(Scaled { scale: node.input(1)?, zero_point: node.input(2), axis: node.int("axis", 1) })
}

/// Integers that can be read; 4-bit types and 8-bit floats are only carried.
fn is_integer(dtype: DataType) -> bool {
    matches!(dtype, DataType::U8 | DataType::I8 | DataType::U16 | DataType::I16 | DataType::I32)
}

fn scaled_shape(model: &Model, value: ValueId, s: &Scaled) -> Option<Vec<usize>> {
    let g = &model.graph;
    // Nothing of a tensor whose sizes cannot be multiplied may reach the arithmetic on places.
    let stored = g.constant(value).filter(|t| is_integer(t.dtype) && !t.is_empty())?;
    let dims = dims(&stored)?;
    let scale = g.constant(s.scale).filter(|t| t.dtype.is_float())?;
    let zero = match s.zero_point {
        Some(z) => Some(g.constant(z).filter(|t| is_integer(t.dtype))?),
        None => None,
    };
    for parameters in [Some(scale), zero].into_iter().flatten() {
        if parameters.is_empty() {
            return None;
        }
        Places::of(&dims, &self::dims(&parameters)?, s.axis)?;
    }
    Some(dims)
}

/// `(x - zero) * scale`.
fn dequantized(model: &Model, value: ValueId, s: &Scaled) -> Option<Constant> {
    let dims = scaled_shape(model, value, s)?;
    let g = &model.graph;
    let (stored, scale) = (g.constant(value)?, g.constant(s.scale)?);
    let scale = (Places::of(&dims, &self::dims(&scale)?, s.axis)?, model.f32s(&scale).ok()?);
    let zero = match s.zero_point {
        None => (Places::One, vec![0]),
        Some(z) => {
            let z = g.constant(z)?;
            (Places::of(&dims, &self::dims(&z)?, s.axis)?, model.i64s(&z).ok()?)
        }
    };
    let data = model.i64s(&stored).ok()?;
    let data = data.iter().enumerate().map(|(i, &q)| {
        let (zero, scale) = (zero.1.get(zero.0.at(i))?, scale.1.get(scale.0.at(i))?);
        Some(q.saturating_sub(*zero) as f32 * scale)
    });
    Some(Constant { data: data.collect::<Option<_>>()?, dims })
}

/// Which parameter belongs to which element of a quantised array.
enum Places {
    /// One for all.
    One,
    /// One per position of an axis: elements behind that axis, and its size.
    Axis(usize, usize),
    /// One per block along an axis: elements behind it, its size, elements in a block, and blocks.
    Blocks { inner: usize, along: usize, size: usize, blocks: usize },
}

impl Places {
    fn of(dims: &[usize], parameters: &[usize], axis: i64) -> Option<Self> {
        let count: usize = parameters.iter().product();
        if count == 1 {
            return Some(Self::One);
        }
        let axis = crate::interp::wrap(axis, dims.len())?;
        let inner: usize = dims[axis + 1..].iter().product();
        let along = dims[axis];
        if parameters.len() == 1 {
            return (count == along).then_some(Self::Axis(inner, along));
        }
        let blocks = *parameters.get(axis)?;
        let fits = parameters.len() == dims.len()
            && blocks > 0
            && parameters.iter().zip(dims).enumerate().all(|(i, (p, d))| i == axis || p == d);
        fits.then(|| Self::Blocks { inner, along, size: along.div_ceil(blocks), blocks })
    }

    fn at(&self, i: usize) -> usize {
        match *self {
            Self::One => 0,
            Self::Axis(inner, along) => i / inner % along,
            Self::Blocks { inner, along, size, blocks } => {
                let (outer, position, rest) = (i / inner / along, i / inner % along, i % inner);
                (outer * blocks + position / size) * inner + rest
            }
        }
    }
}
