//! What the analysis knows about one tensor.

use crate::{
    axis::{AtomId, Axis},
    expr::Expr,
};
use ailurus_onnx::DataType;

/// Longest shape-like tensor whose elements are followed.
pub const MAX_TRACKED: usize = 64;

/// An element of a small tensor that shapes are computed with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// integer (or boolean as 0/1)
    Int(Expr),
    /// rational: numerator over a positive denominator (shape arithmetic done in floats)
    Ratio(Expr, i64),
    /// any other number
    Float(f64),
    /// not followed
    Unknown,
}

impl Scalar {
    /// The integer expression.
    pub fn int(&self) -> Option<&Expr> {
        if let Self::Int(e) = self { Some(e) } else { None }
    }
}

/// Abstract value of a tensor.
#[derive(Clone, Debug)]
pub struct Abs {
    /// Meaning of each axis; `None` when not even the rank is known.
    pub axes: Option<Vec<Axis>>,
    /// Elements in row-major order, for small tensors that feed shapes.
    pub elements: Option<Vec<Scalar>>,
    /// Depends on the data of a graph input, not only on its shape.
    pub activation: bool,
    /// Element type.
    pub dtype: DataType,
    /// Single elements picked out of atoms on the way here: which third of a fused projection this is.
    pub picked: Vec<(AtomId, i64)>,
}

impl Abs {
    /// Nothing but the element type.
    pub fn unknown(dtype: DataType, activation: bool) -> Self {
        Self { axes: None, elements: None, activation, dtype, picked: Vec::new() }
    }

    /// A tensor with these axes.
    pub fn new(axes: Vec<Axis>, dtype: DataType, activation: bool) -> Self {
        Self { axes: Some(axes), elements: None, activation, dtype, picked: Vec::new() }
    }

    /// The integer elements, when all are followed.
    pub fn ints(&self) -> Option<Vec<Expr>> {
        self.elements.as_ref()?.iter().map(|s| s.int().cloned()).collect()
    }

    /// The integer elements, when all are literal numbers.
    pub fn constants(&self) -> Option<Vec<i64>> {
        self.ints()?.iter().map(Expr::constant).collect()
    }

    /// Rank, if known.
    pub fn rank(&self) -> Option<usize> {
        self.axes.as_ref().map(Vec::len)
    }

    /// Axes, or none of them.
    pub fn axes(&self) -> &[Axis] {
        self.axes.as_deref().unwrap_or(&[])
    }
}
