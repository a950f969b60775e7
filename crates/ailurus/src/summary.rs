//! What a rewrite did, as plain data: the summary on the screen and the object of `--json`.

use std::path::PathBuf;

use ailurus_onnx::WriteReport;
use ailurus_rewrite::plan::{ClusterPlan, Flops, MetricPlan, Plan};
use ailurus_rewrite::{Emit, UnfoldMode};
use serde::Serialize;

/// What a rewrite did.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Version of this library.
    pub version: &'static str,
    /// The model read.
    pub input: PathBuf,
    /// What was written; nothing in a dry run.
    pub output: Option<OutputSummary>,
    /// Blocks of the encoder.
    pub blocks: usize,
    /// Blocks that run on all tokens.
    pub layer: usize,
    /// The value of the stream that is merged.
    pub cut: String,
    /// Tokens before and after.
    pub tokens: TokenSummary,
    /// How tokens become clusters: `ailurus`, `expedit`, `pool` or `windows`.
    pub method: &'static str,
    /// What distances are measured on: `keys` or `stream`, or `none`.
    pub metric: &'static str,
    /// How the operators travel.
    pub emit: Emit,
    /// Operations of one image, before and after.
    pub flops: Flops,
    /// Operations before, divided by operations after.
    pub promise: f64,
    /// The values that are unfolded to the full grid, and how.
    pub unfolds: Vec<(String, UnfoldMode)>,
    /// Shape operands re-written.
    pub operands: usize,
    /// Tables gathered by representative token.
    pub gathers: usize,
    /// Tables made anew for a smaller grid.
    pub tables: usize,
    /// Attentions that weigh clusters by their size.
    pub proportional: usize,
    /// Shapes that keep their old numbers behind the encoder.
    pub reroutes: usize,
    /// Things worth knowing.
    pub notes: Vec<String>,
    /// The comparison of original and rewritten model, where one was asked for.
    #[cfg(feature = "runtime")]
    pub check: Option<crate::verify::Verdict>,
    /// Time from opening the input to the finished output, without the comparison.
    pub seconds: f64,
}

/// Tokens before and after.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TokenSummary {
    /// Tokens before the patches.
    pub prefix: usize,
    /// Tokens behind the patches.
    pub suffix: usize,
    /// Rows and columns of the grid, when static.
    pub grid: Option<(usize, usize)>,
    /// Patches, when static.
    pub patches: Option<usize>,
    /// Clusters, when static.
    pub clusters: Option<usize>,
    /// All tokens of the sequence, when static.
    pub before: Option<usize>,
    /// Rows of the merged sequence, when static.
    pub after: Option<usize>,
    /// What was asked for.
    pub keep: ailurus_rewrite::options::Keep,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct OutputSummary {
    /// The model file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// External data files, with sizes.
    pub data_files: Vec<(PathBuf, u64)>,
}

impl From<WriteReport> for OutputSummary {
    fn from(report: WriteReport) -> Self {
        OutputSummary { path: report.path, bytes: report.bytes, data_files: report.data_files }
    }
}

impl Summary {
    pub(crate) fn of(input: PathBuf, plan: &Plan, emit: Emit) -> Self {
        let t = &plan.tokens;
        Summary {
            version: env!("CARGO_PKG_VERSION"),
            input,
            output: None,
            blocks: plan.blocks,
            layer: plan.layer,
            cut: plan.cut.value.clone(),
            tokens: TokenSummary {
                prefix: t.prefix,
                suffix: t.suffix,
                grid: t.grid,
                patches: t.patches,
                clusters: t.clusters,
                before: t.sequence(),
                after: t.rows(),
                keep: t.keep,
            },
            method: match plan.cluster {
                ClusterPlan::DensityPeaks(_) => "ailurus",
                ClusterPlan::Expedit { .. } => "expedit",
                ClusterPlan::Pool { .. } => "pool",
                ClusterPlan::Windows { .. } => "windows",
            },
            metric: match plan.metric {
                _ if matches!(plan.cluster, ClusterPlan::Pool { .. }) => "none",
                MetricPlan::Keys(_) => "keys",
                MetricPlan::Stream => "stream",
            },
            emit,
            flops: plan.flops,
            promise: plan.promise(),
            unfolds: plan.unfolds.iter().map(|u| (u.value.clone(), u.mode)).collect(),
            operands: plan.operands.len(),
            gathers: plan.gathers.len(),
            tables: plan.tables.len(),
            proportional: plan.proportional.len(),
            reroutes: plan.reroutes.len(),
            notes: plan.notes.clone(),
            #[cfg(feature = "runtime")]
            check: None,
            seconds: 0.0,
        }
    }

    /// What the operation count promises: operations before, divided by operations after.
    pub fn promise(&self) -> f64 {
        self.promise
    }
}
