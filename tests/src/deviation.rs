//! How far outputs are from those they should equal.

use ailurus_onnx::{DataType, Model};
use ailurus_runtime::{Tensor, compare};
use anyhow::{Result, ensure};

/// The largest difference of any output, as a share of the largest number in that output.
pub fn outputs(wanted: &[(String, Tensor)], got: &[(String, Tensor)]) -> Result<f64> {
    let names = |o: &[(String, Tensor)]| o.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    ensure!(names(wanted) == names(got), "outputs {:?} instead of {:?}", names(got), names(wanted));
    let mut worst = 0f64;
    for ((name, a), (_, b)) in wanted.iter().zip(got) {
        worst = worst.max(tensor(name, a, b)?);
    }
    Ok(worst)
}

/// The largest difference, as a share of the largest number.
pub fn tensor(name: &str, wanted: &Tensor, got: &Tensor) -> Result<f64> {
    ensure!(wanted.data_type() == got.data_type(), "`{name}` is {} instead of {}", got.data_type(), wanted.data_type());
    let d = compare::tensors(name, wanted, got, None)?;
    if d.nan_mismatches > 0 {
        return Ok(f64::INFINITY);
    }
    let largest = wanted.to_f64().into_iter().filter(|v| v.is_finite()).fold(0f64, |m, v| m.max(v.abs()));
    Ok(if d.max_abs == 0.0 { 0.0 } else { d.max_abs / largest.max(1e-30) })
}

/// What a model computes in, and so how exactly two ways of computing the same agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats throughout.
    Single,
    /// 16-bit floats somewhere: a sum in another order moves the third digit.
    Half,
    /// 8-bit integers somewhere: a rounding that falls the other way moves a value by a whole step.
    Eight,
}

impl Precision {
    /// Reads it off the graph.
    pub fn of(model: &Model) -> Self {
        let g = &model.graph;
        let eight = |op: &str| {
            let named = ["QLinear", "QGemm", "QAttention", "DynamicQuantize"].iter().any(|start| op.starts_with(start));
            named || op.contains("QuantizeLinear") || op.contains("Integer")
        };
        let quantised = g.nodes().any(|(_, n)| eight(&n.op_type));
        let half = g.initializers().any(|(_, t)| t.dtype == DataType::F16);
        match (quantised, half) {
            (true, _) => Self::Eight,
            (false, true) => Self::Half,
            (false, false) => Self::Single,
        }
    }

    /// The largest deviation at `keep = 1.0`.
    pub fn at_full(self) -> f64 {
        match self {
            Self::Single => 1e-4,
            Self::Half => 1e-2,
            Self::Eight => 5e-2,
        }
    }

    /// The largest deviation from the oracle.
    pub fn at_fewer(self) -> f64 {
        match self {
            Self::Single => 2e-4,
            Self::Half => 1e-2,
            Self::Eight => 5e-2,
        }
    }

    /// The largest deviation of what distances are measured on: it is computed in floats, also where the blocks are not.
    pub fn at_metric(self) -> f64 {
        match self {
            Self::Eight => 1e-4,
            other => other.at_fewer(),
        }
    }

    /// The largest share of patches that may fall into another cluster because two distances are nearly equal.
    pub fn ties(self) -> f64 {
        match self {
            Self::Single => 0.02,
            Self::Half => 0.10,
            Self::Eight => 0.02,
        }
    }
}
