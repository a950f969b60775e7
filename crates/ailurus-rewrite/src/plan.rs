//! A plan: every change to a model, as plain data.

use crate::{
    layout::Layout,
    options::{Keep, UnfoldAt, UnfoldMode},
};
use crate::{method, windows};
use ailurus_onnx::DataType;
use serde::{Deserialize, Serialize};

mod cluster;
mod edits;
mod metric;

pub use cluster::{ClusterPlan, DensityPeaksPlan, ExpeditPlan, WindowsPlan};
pub use edits::{
    Coverage, DimSpec, DimText, GatherEdit, OperandEdit, ProportionalEdit, Reroute, ScoreForm, ShapeEdit, UnfoldEdit,
};
pub use metric::{KeyColumns, KeysPlan, MetricPlan};

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
