//! The edits of a plan: operands, tables, scores, frontier and declared shapes.

use super::Quantization;
use crate::{layout::Layout, options::UnfoldMode};
use serde::{Deserialize, Serialize};

/// One element of a shape operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DimSpec {
    /// This number.
    Number(i64),
    /// The element the operand has there now.
    Same,
    /// The number of rows of the reduced sequence, times this, known only at run time.
    Rows(i64),
    /// The number of clusters, times this, known only at run time.
    Clusters(i64),
    /// The number of tokens of the full sequence, times this, known only at run time.
    Tokens(i64),
    /// The number of patches, times this, known only at run time.
    Patches(i64),
    /// The number of images, times this, known only at run time.
    Images(i64),
}

/// A shape operand to re-write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperandEdit {
    /// Node.
    pub node: String,
    /// Input position.
    pub input: usize,
    /// Elements of the new operand.
    pub dims: Vec<DimSpec>,
    /// It is a single number, not a list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scalar: bool,
}

/// Which tokens a table has a row for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Every token.
    Sequence,
    /// Patches only.
    Patches,
}

/// A table or mask to gather by representative token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatherEdit {
    /// Node.
    pub node: String,
    /// Input position.
    pub input: usize,
    /// Axes of the result with a row per token, ascending.
    pub axes: Vec<usize>,
    /// Which tokens.
    pub coverage: Coverage,
    /// Axis of the result that is the batch.
    pub batch: usize,
    /// The table has a row per image already; otherwise its batch axis is of size 1 or missing, and grows.
    pub per_image: bool,
    /// Rank of the table.
    pub rank: usize,
    /// Rank of what it is combined with: its axes are the last ones of these.
    pub out_rank: usize,
    /// It is resized to the grid of clusters instead: its element type, as numbered in `TensorProto.DataType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<i32>,
}

/// An attention whose scores take cluster sizes into account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProportionalEdit {
    /// The softmax, or the fused attention.
    pub node: String,
    /// Input position.
    pub input: usize,
    /// What that input is.
    pub form: ScoreForm,
    /// Element type of the scores, as numbered in `TensorProto.DataType`.
    pub dtype: i32,
    /// Tokens before the patches among the keys.
    pub prefix: usize,
    /// Tokens behind them.
    pub suffix: usize,
}

/// How scores appear in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreForm {
    /// Scores of their own, in front of a softmax.
    Scores {
        /// number of axes
        rank: usize,
        /// axis that counts keys
        keys: usize,
        /// heads folded into the first axis together with the batch; 1 when heads have an axis of their own or the batch is 1
        heads: usize,
    },
    /// Inside a fused operator: its mask or bias input.
    Mask {
        /// the mask there now is boolean
        boolean: bool,
    },
}

/// A value to unfold for its users behind the region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnfoldEdit {
    /// Value.
    pub value: String,
    /// Its layout.
    pub layout: Layout,
    /// Its channels, when static.
    pub channels: Option<i64>,
    /// How it is stored, when in 8 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// How.
    pub mode: UnfoldMode,
    /// Tokens before the patches in this value.
    pub prefix: usize,
    /// Tokens behind them.
    pub suffix: usize,
    /// Element type, as numbered in `TensorProto.DataType`.
    pub dtype: i32,
}

/// A shape read inside the region that is meant for the full grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reroute {
    /// Value computed inside the region.
    pub value: String,
    /// What users behind the region read instead: the same numbers as before.
    pub elements: Vec<i64>,
    /// It is a single number, not a list.
    pub scalar: bool,
}

/// New declared shape of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShapeEdit {
    /// Value.
    pub value: String,
    /// Dimensions: numbers, or expressions for people.
    pub dims: Vec<DimText>,
    /// Element type, as numbered in `TensorProto.DataType`; 0 where it could not be worked out.
    pub dtype: i32,
}

/// A dimension in a declared shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DimText {
    /// static
    Number(i64),
    /// symbolic
    Text(String),
}
