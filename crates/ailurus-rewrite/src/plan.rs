//! A plan: every change to a model, as plain data.

use crate::{
    layout::Layout,
    options::{Expedit, Keep, Pool, Tables, UnfoldAt, UnfoldMode},
};
use crate::{method, windows};
use ailurus_onnx::DataType;
use serde::{Deserialize, Serialize};

/// Version of the plan format.
pub const FORMAT: u32 = 1;

/// What will be done to a model. Values are named as in the model; nodes by their first output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Format version.
    pub format: u32,
    /// Blocks that run on all tokens.
    pub layer: usize,
    /// Blocks of the trunk.
    pub blocks: usize,
    /// The name that the trunk was asked for by, where the model holds several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// Where the full grid is made again.
    #[serde(default)]
    pub unfold_at: UnfoldAt,
    /// Tokens and clusters.
    pub tokens: TokenPlan,
    /// Clustering.
    pub cluster: ClusterPlan,
    /// The cut.
    pub cut: Cut,
    /// What distances are measured on.
    pub metric: MetricPlan,
    /// Nodes that run on fewer tokens, by first output.
    pub region: Vec<String>,
    /// Shape operands to re-write.
    pub operands: Vec<OperandEdit>,
    /// Tables and masks to gather by representative token.
    pub gathers: Vec<GatherEdit>,
    /// Tables made anew for a smaller grid, where tokens stay a grid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<crate::tables::TableEdit>,
    /// Attentions whose scores take cluster sizes into account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proportional: Vec<ProportionalEdit>,
    /// Where the full grid is made again.
    pub unfolds: Vec<UnfoldEdit>,
    /// Shapes read inside the region that users behind it take for those of the full grid.
    pub reroutes: Vec<Reroute>,
    /// New shapes of tensors inside the region.
    pub shapes: Vec<ShapeEdit>,
    /// Operations before and after.
    pub flops: Flops,
    /// Things the user should know.
    pub notes: Vec<String>,
}

/// Tokens and clusters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenPlan {
    /// Tokens before the patches.
    pub prefix: usize,
    /// Tokens behind them.
    pub suffix: usize,
    /// Rows and columns of the patch grid; `None` when computed at run time.
    pub grid: Option<(usize, usize)>,
    /// Number of patches, when static.
    pub patches: Option<usize>,
    /// Number of clusters asked for.
    pub keep: Keep,
    /// Number of clusters, when static.
    pub clusters: Option<usize>,
}

impl TokenPlan {
    /// Rows of the reduced sequence, when static.
    pub fn rows(&self) -> Option<usize> {
        Some(self.prefix + self.clusters? + self.suffix)
    }

    /// Tokens of the full sequence, when static.
    pub fn sequence(&self) -> Option<usize> {
        Some(self.prefix + self.patches? + self.suffix)
    }
}

/// How tokens become clusters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClusterPlan {
    /// By density peaks.
    DensityPeaks(DensityPeaksPlan),
    /// By grid k-means.
    Expedit {
        /// Parameters.
        expedit: ExpeditPlan,
    },
    /// By average pooling.
    Pool {
        /// Parameters.
        pool: Pool,
    },
    /// Of windows of two by two patches.
    Windows {
        /// There are no parameters.
        windows: WindowsPlan,
    },
}

impl ClusterPlan {
    /// Rows and columns of clusters, where they form a grid.
    pub fn grid(&self) -> Option<(usize, usize)> {
        match self {
            Self::DensityPeaks(_) | Self::Windows { .. } => None,
            Self::Expedit { expedit } => Some(expedit.grid),
            Self::Pool { pool } => Some(pool.grid),
        }
    }

    /// How tables are read for clusters that form a grid.
    pub(crate) fn tables(&self) -> Tables {
        match self {
            Self::DensityPeaks(_) | Self::Windows { .. } => Tables::default(),
            Self::Expedit { expedit } => expedit.tables,
            Self::Pool { pool } => pool.tables,
        }
    }
}

/// Nothing: how many windows are merged follows from the number of clusters asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowsPlan {}

/// Parameters of `AilurusGridKMeans`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpeditPlan {
    /// Rows and columns of clusters.
    pub grid: (usize, usize),
    /// Iterations of k-means.
    pub iterations: usize,
    /// A patch looks at the clusters within `window / 2` rows and columns of its own cell.
    pub window: usize,
    /// Nearest clusters that a patch is made of again.
    pub neighbors: usize,
    /// How fast weights fall with squared distance.
    pub temperature: f32,
    /// As the released code.
    pub parity: bool,
    /// How tables are read.
    pub tables: Tables,
}

impl From<Expedit> for ExpeditPlan {
    fn from(e: Expedit) -> Self {
        let Expedit { grid, iterations, window, neighbors, temperature, parity, tables } = e;
        Self { grid, iterations, window, neighbors, temperature, parity, tables }
    }
}

impl From<ExpeditPlan> for Expedit {
    fn from(e: ExpeditPlan) -> Self {
        let ExpeditPlan { grid, iterations, window, neighbors, temperature, parity, tables } = e;
        Self { grid, iterations, window, neighbors, temperature, parity, tables }
    }
}

/// Parameters of `AilurusDensityPeaks`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DensityPeaksPlan {
    /// k
    pub neighbors: usize,
    /// λ
    pub window: usize,
    /// α
    pub spatial_mix: f32,
}

/// The cut: a value of the residual stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// Value.
    pub value: String,
    /// Its layout.
    pub layout: Layout,
    /// Batch, when static.
    pub batch: Option<i64>,
    /// Channels of the stream, when static.
    pub channels: Option<i64>,
    /// Element type of the stream's numbers, as numbered in `TensorProto.DataType`.
    pub dtype: i32,
    /// How they are stored, for a stream that exists in 8 bits only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Value whose axes `rows` and `columns` are the grid, where that is computed at run time.
    pub grid_source: Option<GridSource>,
}

/// How the numbers of a value are stored in 8 bits: `number = (stored - zero point) * scale`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantization {
    /// A constant number.
    pub scale: String,
    /// A constant of the stored type; zero when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero_point: Option<String>,
    /// Element type as stored, as numbered in `TensorProto.DataType`.
    pub stored: i32,
}

/// How the integers of a constant stand for numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scales {
    /// One number, one for each position of an axis, or one for each block along it.
    pub scale: String,
    /// In the shape of the scale; zero when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero_point: Option<String>,
    /// The axis.
    pub axis: i64,
}

/// Where the grid can be read at run time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridSource {
    /// Value.
    pub value: String,
    /// Axis that counts rows.
    pub rows: usize,
    /// Axis that counts columns.
    pub columns: usize,
}

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

/// Operations (multiplications and additions) of one image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flops {
    /// Original.
    pub before: f64,
    /// Rewritten.
    pub after: f64,
}

impl Plan {
    /// Checks what an edited plan may contradict: everything else is checked where it is used.
    pub(crate) fn validate(&self) -> Result<(), crate::Error> {
        let bad = |why: String| Err(crate::Error::Plan(why));
        self.check_format()?;
        if self.layer == 0 || self.layer >= self.blocks || self.blocks > 1 << 20 {
            return bad(format!(
                "layer {} of {} blocks leaves no block to run on fewer tokens",
                self.layer, self.blocks
            ));
        }
        let t = &self.tokens;
        if t.grid.is_some_and(|(h, w)| h.checked_mul(w) != t.patches) {
            return bad("the grid does not have as many cells as there are patches".into());
        }
        if let Some(patches) = t.patches {
            let params = ailurus_ops::DensityPeaks::new(t.prefix, t.suffix, t.grid, t.keep.into());
            let clusters = match (&self.cluster, t.grid) {
                (ClusterPlan::Windows { .. }, Some(grid)) => windows::clusters(grid, t.keep)?,
                _ => params.tokens(patches)?,
            };
            if Some(clusters) != t.clusters {
                return bad(format!("{:?} of {patches} patches is not {:?} clusters", t.keep, t.clusters));
            }
        }
        if matches!(self.cluster, ClusterPlan::Pool { .. } | ClusterPlan::Windows { .. }) && t.grid.is_none() {
            return bad("its method needs a grid of patches that is known".into());
        }
        if let ClusterPlan::Expedit { expedit } = &self.cluster {
            crate::apply::grid_kmeans(self, expedit).validate()?;
        }
        if let Some(grid) = self.cluster.grid()
            && t.clusters != grid.0.checked_mul(grid.1)
        {
            return bad(format!("{:?} clusters are not a grid of {grid:?}", t.clusters));
        }
        if let ClusterPlan::Pool { pool } = &self.cluster {
            method::fits(pool.grid, t.grid)?;
        }
        let unfolded = self.unfolds.iter().filter_map(|u| u.quantization.as_ref());
        let measured = if let MetricPlan::Keys(k) = &self.metric { k.quantization.as_ref() } else { None };
        for q in unfolded.chain(&self.cut.quantization).chain(measured) {
            if !crate::quantize::is_stored_type(DataType::from_onnx(q.stored)) {
                return bad(format!(
                    "values with the scale `{}` are stored in another type than 8-bit integers",
                    q.scale
                ));
            }
        }
        if let MetricPlan::Keys(k) = &self.metric {
            let c = k.columns;
            let cells = c.heads.checked_mul(c.head_dim).filter(|&n| n > 0 && n <= 1 << 24);
            if cells.is_none() || c.stride == 0 || c.head_stride == 0 {
                return bad("the key columns are not a projection's".into());
            }
        }
        Ok(())
    }

    /// Checks that this version can read the plan.
    pub(crate) fn check_format(&self) -> Result<(), crate::Error> {
        if self.format == FORMAT {
            return Ok(());
        }
        Err(crate::Error::Plan(format!("it has format {}, this version reads {FORMAT}", self.format)))
    }

    /// The type in which weighted copies are made: the wider of those that are asked for.
    pub(crate) fn copied_type(&self) -> DataType {
        let copies = self.unfolds.iter().filter(|u| u.mode == UnfoldMode::Copy);
        let wide = copies.into_iter().any(|u| DataType::from_onnx(u.dtype) != DataType::F16);
        if wide { DataType::F32 } else { DataType::F16 }
    }

    /// Channels of the metric.
    pub(crate) fn metric_width(&self) -> Result<usize, crate::Error> {
        let width = match &self.metric {
            MetricPlan::Stream => self.cut.channels.and_then(|c| usize::try_from(c).ok()),
            MetricPlan::Keys(k) => Some(k.columns.head_dim),
        };
        width
            .filter(|&w| w > 0)
            .ok_or_else(|| crate::Error::Plan("the number of channels of the metric is not known".into()))
    }

    /// What the operation count promises: `before / after`.
    pub fn promise(&self) -> f64 {
        self.flops.before / self.flops.after.max(1.0)
    }
}
