//! Arrays of numbers with the element type they stand for.

use super::{MOST, Unknown};
use ailurus_onnx::DataType;
use ndarray::{ArrayD, IxDyn};

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Element type in the graph.
    pub dtype: DataType,
    /// Numbers.
    pub data: ArrayD<f64>,
}

impl Array {
    pub fn new(dtype: DataType, dims: &[usize], data: Vec<f64>) -> Result<Self, Unknown> {
        let data = ArrayD::from_shape_vec(IxDyn(dims), data).map_err(|e| e.to_string())?;
        Ok(Self { dtype, data })
    }

    /// Made of one of the same type.
    pub fn like(&self, data: ArrayD<f64>) -> Self {
        Self { dtype: self.dtype, data }
    }

    pub fn dims(&self) -> &[usize] {
        self.data.shape()
    }

    pub fn rank(&self) -> usize {
        self.data.ndim()
    }

    /// The number, when there is one.
    pub fn scalar(&self) -> Option<f64> {
        (self.data.len() == 1).then(|| self.data.iter().next().copied()).flatten()
    }

    /// The elements as integers, in row-major order.
    pub fn ints(&self) -> Vec<i64> {
        self.data.iter().map(|&x| x as i64).collect()
    }

    /// The same elements in another shape.
    pub fn reshaped(&self, dims: &[usize]) -> Result<Self, Unknown> {
        checked(dims)?;
        let data: Vec<f64> = self.data.iter().copied().collect();
        Self::new(self.dtype, dims, data)
    }

    /// Grown to a shape, as operators with broadcasting do.
    pub fn broadcast(&self, dims: &[usize]) -> Result<ArrayD<f64>, Unknown> {
        checked(dims)?;
        let grown = self.data.broadcast(IxDyn(dims)).ok_or_else(|| format!("{:?} grown to {dims:?}", self.dims()))?;
        Ok(grown.to_owned())
    }
}

/// The number of elements of a shape, where it is bearable.
pub fn checked(dims: &[usize]) -> Result<usize, Unknown> {
    let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    count.filter(|&n| n <= MOST).ok_or_else(|| format!("an array of {dims:?}"))
}

/// The shape that both grow to.
pub fn common(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Unknown> {
    let rank = a.len().max(b.len());
    let at = |x: &[usize], i: usize| (i + x.len()).checked_sub(rank).map_or(1, |j| x[j]);
    let dims: Option<Vec<usize>> = (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => Some(x),
            (1, y) => Some(y),
            _ => None,
        })
        .collect();
    dims.ok_or_else(|| format!("{a:?} beside {b:?}"))
}
