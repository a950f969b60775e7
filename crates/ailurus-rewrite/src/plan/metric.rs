//! How a plan says what distances are measured on.

use super::{Quantization, Scales};
use crate::layout::Layout;
use serde::{Deserialize, Serialize};

/// What distances are measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one in a plan")]
pub enum MetricPlan {
    /// The stream.
    Stream,
    /// Head-mean keys of the next block.
    Keys(KeysPlan),
}

/// How head-mean keys are computed from the full stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeysPlan {
    /// What the next block projects to keys.
    pub input: String,
    /// How it is stored, where it exists in 8 bits only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Layout of that value.
    pub layout: Layout,
    /// Nodes from the cut to that value, by first output: they run on the full stream, too.
    pub path: Vec<String>,
    /// Weights.
    pub weight: String,
    /// Their scales, where they are integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_scales: Option<Scales>,
    /// Weights are stored `[out, in]`.
    pub transposed: bool,
    /// Bias over all columns.
    pub bias: Option<String>,
    /// Its scales, where it is of integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_scales: Option<Scales>,
    /// Which columns of the weights are keys.
    pub columns: KeyColumns,
}

/// Element `j` of head `h` is column `first + h * head_stride + j * stride` of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumns {
    /// Column of element 0 of head 0.
    pub first: usize,
    /// Number of heads.
    pub heads: usize,
    /// Columns from one head to the next.
    pub head_stride: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Columns from one element to the next.
    pub stride: usize,
}

impl From<KeyColumns> for ailurus_ops::keys::KeyColumns {
    fn from(k: KeyColumns) -> Self {
        let KeyColumns { first, heads, head_stride, head_dim, stride } = k;
        Self { first, heads, head_stride, head_dim, stride }
    }
}

impl KeyColumns {
    /// Reads the pattern off lists of columns by head; `None` when they follow none.
    pub fn of(heads: &[Vec<usize>]) -> Option<Self> {
        let step = |a: Option<&usize>, b: Option<&usize>| Some(b?.checked_sub(*a?)?.max(1));
        let (head, first) = (heads.first()?, *heads.first()?.first()?);
        let stride = if head.len() > 1 { step(head.first(), head.get(1))? } else { 1 };
        let head_stride = if heads.len() > 1 { step(head.first(), heads[1].first())? } else { head.len() * stride };
        let found = Self { first, heads: heads.len(), head_stride, head_dim: head.len(), stride };
        let same = heads.iter().enumerate().all(|(h, list)| {
            list.len() == head.len() && list.iter().enumerate().all(|(j, &c)| c == first + h * head_stride + j * stride)
        });
        same.then_some(found)
    }
}
