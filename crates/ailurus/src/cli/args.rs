//! Flags exactly as they are typed; what they mean is decided in `resolve`.

mod compare;

use std::path::PathBuf;

use crate::presets::{self, Preset};
use ailurus_rewrite::Layer;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::compare::{BenchArgs, NativeArgs, PeakArgs, PluginArg, ProviderFlag, SourceArgs, VerifyArgs};

/// Make ONNX vision transformers faster by merging tokens
#[derive(Debug, Parser)]
#[command(name = "ailurus", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Make an ONNX vision transformer faster: from a block on, it runs on clusters of patches
#[derive(Debug, Parser)]
#[command(name = "ailurus-rewrite", version)]
pub struct RewriteCli {
    /// Its flags.
    #[command(flatten)]
    pub rewrite: RewriteArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a model that runs on clusters of patches from a block on
    Rewrite(RewriteArgs),
    /// Show blocks, tokens, grid and operations of a model
    Inspect(InspectArgs),
    /// Print the plan of a rewrite as JSON, to be replayed with `rewrite --plan`
    Plan(PlanArgs),
    /// Draw the clusters of a model on a picture
    View(ViewArgs),
    /// Run two models on the same inputs, report differences and time
    Verify(VerifyArgs),
    /// Measure how much faster one model is than another
    Bench(BenchArgs),
    /// Run one model and print the peak memory of this process: what `bench` starts for each model
    #[command(hide = true)]
    PeakMemory(PeakArgs),
    /// List published placements for --preset
    Presets(PresetsArgs),
    /// Show where the libraries of operators are and how runtimes load them; load them; write their sources
    Plugins(PluginsArgs),
    /// Tell what a code such as AIL0207 means; without one, list all
    Explain(ExplainArgs),
}

/// Flags of `rewrite`.
#[derive(Debug, Args)]
pub struct RewriteArgs {
    /// Model to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Model to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Blocks 1 to L run on all tokens, the rest on clusters; L is a number, a share of the blocks (1/3, 0.33, 33%), or
    /// the name of a tensor, node or module, as `blocks.7`
    #[arg(long, value_name = "L", required_unless_present_any = ["plan", "preset"])]
    pub layer: Option<Layer>,
    /// How tokens are merged.
    #[command(flatten)]
    pub tuning: Tuning,
    /// Carry out a plan made by `ailurus plan` instead of making one
    #[arg(long, value_name = "FILE", conflicts_with = "layer")]
    pub plan: Option<PathBuf>,
    /// How the operators travel: as functions of standard operators, expanded in place, or as bare
    /// nodes for runtimes with the library
    #[arg(long, value_enum, default_value_t)]
    pub emit: EmitFlag,
    /// Write the sources of CUDA kernels, TensorRT plugins and kernels for ONNX Runtime's CUDA
    /// provider into a new folder, too
    #[arg(long, value_name = "DIR")]
    pub emit_plugins: Option<PathBuf>,
    /// What happens to external data: refer to it where it is, copy it, gather it in one file
    /// beside the output, or move it into the output
    #[arg(long, value_enum, default_value_t)]
    pub external_data: ExternalFlag,
    /// Run both models before writing, on IMAGE or on noise; report differences and time
    #[arg(long, value_name = "IMAGE", num_args = 0..=1, require_equals = true)]
    pub check: Option<Option<PathBuf>>,
    /// How models are run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Operators of our own.
    #[command(flatten)]
    pub plugin: PluginArg,
    /// Largest relative L2 difference of an output for --check [default: 1e-3 (half precision: 3e-2)
    /// when all tokens are kept, else none]
    #[arg(long, value_name = "X", requires = "check", value_parser = positive)]
    pub tolerance: Option<f64>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Do everything but write the output
    #[arg(long)]
    pub dry_run: bool,
    /// Let the output replace the input
    #[arg(long)]
    pub force: bool,
}

/// How tokens are merged.
#[derive(Debug, Default, Args)]
pub struct Tuning {
    /// How tokens become clusters: of any shape, by density peaks (ailurus); of a smaller grid, by k-means (expedit) or
    /// average pooling (pool); of two by two patches that differ least (windows) [default: ailurus]
    #[arg(long, value_enum)]
    pub method: Option<MethodFlag>,
    /// Rows and columns of clusters, as 28x28 (expedit, pool)
    #[arg(long, value_name = "HxW", value_parser = grid, conflicts_with_all = ["keep", "tokens"])]
    pub grid: Option<(usize, usize)>,
    /// As the released code of expedit: an absolute temperature, weights of length one, ties kept
    #[arg(long)]
    pub expedit_parity: bool,
    /// A published placement for expedit; `ailurus presets` lists them, other flags change what they say
    #[arg(long, value_name = "NAME", value_parser = preset)]
    pub preset: Option<&'static Preset>,
    /// Iterations of k-means (expedit) [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(i32::MAX)))]
    pub iterations: Option<u32>,
    /// How fast weights fall with squared distance, relative to the mean distance to the nearest cluster; absolute with
    /// --expedit-parity (expedit) [default: 5, with --expedit-parity 0.02]
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub temperature: Option<f32>,
    /// How tables with a row per token are read: resized to the grid of clusters, or each cluster takes the row of the
    /// patch in its middle (expedit, pool) [default: resize]
    #[arg(long, value_enum)]
    pub tables: Option<TablesFlag>,
    /// Share of the patches to keep, above 0 and at most 1 [default: 0.5]
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "tokens")]
    pub keep: Option<f64>,
    /// Number of patches to keep
    #[arg(long, value_name = "M", value_parser = count())]
    pub tokens: Option<u32>,
    /// What distances are measured on: the keys of the next block, the stream (as published), or
    /// keys where they can be found [default: auto]
    #[arg(long, value_enum)]
    pub metric: Option<MetricFlag>,
    /// How the full grid is made again: each token keeps its value and receives its cluster's
    /// update, or becomes a copy of its cluster (as published) [default: residual]
    #[arg(long, value_enum)]
    pub unfold: Option<UnfoldFlag>,
    /// Where the full grid is made again: at the end of the encoder, or as late as possible, so that
    /// token-wise heads and decoders that attend to the patches run on clusters, too [default: trunk]
    #[arg(long, value_enum)]
    pub unfold_at: Option<UnfoldAtFlag>,
    /// Which encoder to rewrite, where there are several or one stage of many is meant: a tensor,
    /// node, input or module that only it depends on
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub trunk: Option<String>,
    /// Let each cluster weigh in attention as much as its patches would (adds the logarithm of its size to the scores)
    #[arg(long)]
    pub proportional_attention: bool,
    /// Nearest neighbours in the density [default: 1]; of expedit, nearest clusters that a patch is made of again
    /// [default: 4, with --expedit-parity 20]
    #[arg(long, value_name = "K", value_parser = count())]
    pub neighbors: Option<u32>,
    /// Patches that each patch is compared with [default: 24]; of expedit, rows and columns of clusters around a patch
    /// [default: 5]
    #[arg(long, value_name = "N", value_parser = count())]
    pub window: Option<u32>,
    /// Weight of features against position, 0 to 1 [default: 0.5]
    #[arg(long, value_name = "ALPHA", value_parser = mix)]
    pub spatial_mix: Option<f32>,
}

/// How models are run.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// What runs the models: ONNX Runtime where it is found, else the embedded tract; or one of
    /// them [default: auto]
    #[arg(long, value_enum)]
    pub runtime: Option<RuntimeFlag>,
    /// What is subtracted from a picture's channels, 0 to 1 [default: ImageNet's]
    #[arg(long, value_name = "R,G,B", value_parser = triple)]
    pub mean: Option<[f32; 3]>,
    /// What a picture's channels are divided by then [default: ImageNet's]
    #[arg(long, value_name = "R,G,B", value_parser = triple)]
    pub std: Option<[f32; 3]>,
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Model to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Show also what a cut after this block would change: a number, a share of the blocks, or a name
    #[arg(long, value_name = "L")]
    pub layer: Option<Layer>,
    /// How tokens are merged.
    #[command(flatten)]
    pub tuning: Tuning,
    /// Write a model file without weights that can be attached to an issue, also where the analysis refuses the model
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Model to read
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Blocks 1 to L run on all tokens, the rest on clusters; L is a number, a share of the blocks (1/3, 0.33, 33%), or
    /// the name of a tensor, node or module, as `blocks.7`
    #[arg(long, value_name = "L", required_unless_present = "preset")]
    pub layer: Option<Layer>,
    /// How tokens are merged.
    #[command(flatten)]
    pub tuning: Tuning,
}

/// Flags of `view`.
#[derive(Debug, Args)]
pub struct ViewArgs {
    /// Model to read: the original, not a rewritten one
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Picture to show the model, PNG or JPEG
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Picture to write, PNG
    #[arg(value_name = "OUT.png")]
    pub output: PathBuf,
    /// Cluster the stream behind this block: a number, a share of the blocks, or a name
    #[arg(long, value_name = "L", required_unless_present = "preset")]
    pub layer: Option<Layer>,
    /// How tokens are merged.
    #[command(flatten)]
    pub tuning: Tuning,
    /// How models are run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Flags of `presets`.
#[derive(Debug, Args)]
pub struct PresetsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `plugins`.
#[derive(Debug, Args)]
pub struct PluginsArgs {
    /// Write the sources of CUDA kernels, TensorRT plugins and kernels for ONNX Runtime's CUDA provider into a new
    /// folder, which builds without Rust
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub emit: Option<PathBuf>,
    /// Load the libraries and look at what they register
    #[arg(long)]
    pub check: bool,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Code, such as AIL0207
    #[arg(value_name = "CODE")]
    pub code: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Values of `--emit`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum EmitFlag {
    #[default]
    Function,
    Inline,
    Custom,
}

/// Values of `--external-data`.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum ExternalFlag {
    #[default]
    Keep,
    Copy,
    Single,
    Inline,
}

/// Values of `--metric`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum MetricFlag {
    Auto,
    Stream,
    Keys,
}

/// Values of `--unfold`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum UnfoldFlag {
    Residual,
    Copy,
}

/// Values of `--unfold-at`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum UnfoldAtFlag {
    Trunk,
    Latest,
}

/// Values of `--method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum MethodFlag {
    Ailurus,
    Expedit,
    Pool,
    Windows,
}

/// Values of `--tables`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum TablesFlag {
    Resize,
    Gather,
}

/// Values of `--runtime`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum RuntimeFlag {
    Auto,
    Ort,
    Tract,
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|e: T::Err| e.to_string())
}

/// A number of things, at least one; what the operators count with holds 31 bits.
fn count() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=i64::from(i32::MAX))
}

fn mix(text: &str) -> Result<f32, String> {
    let mix: f32 = number(text)?;
    if (0.0..=1.0).contains(&mix) { Ok(mix) } else { Err("it is a weight between 0 and 1".into()) }
}

fn grid(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| number::<u32>(text).ok().filter(|&n| n > 0).map(|n| n as usize);
    let sides = text.split_once(['x', 'X']).and_then(|(h, w)| Some((side(h)?, side(w)?)));
    sides.ok_or_else(|| "rows and columns are needed, such as 28x28".into())
}

fn preset(text: &str) -> Result<&'static Preset, String> {
    presets::find(text).ok_or_else(|| "there is no such preset; `ailurus presets` lists them".into())
}

fn temperature(text: &str) -> Result<f32, String> {
    let value: f32 = number(text)?;
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err("it must be a number and not negative".into()) }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = number(text)?;
    if share > 0.0 && share <= 1.0 {
        Ok(share)
    } else {
        Err("it is a share of the patches, above 0 and at most 1".into())
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = number(text)?;
    if value >= 0.0 { Ok(value) } else { Err("it must not be negative".into()) }
}

fn triple(text: &str) -> Result<[f32; 3], String> {
    let parts: Vec<f32> = text.split(',').map(number).collect::<Result<_, _>>()?;
    match parts[..] {
        [r, g, b] if parts.iter().all(|v: &f32| v.is_finite()) => Ok([r, g, b]),
        _ => Err("three numbers are needed, such as 0.5,0.5,0.5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        Cli::command().debug_assert();
        RewriteCli::command().debug_assert();
    }

    #[test]
    fn values() {
        assert_eq!(share("0.5"), Ok(0.5));
        assert_eq!(grid("28x14"), Ok((28, 14)));
        assert!(grid("28").is_err() && grid("0x3").is_err() && grid("x").is_err());
        assert_eq!(preset("segmenter-ade20k").map(|p| p.grid), Ok((28, 28)));
        assert!(preset("nobody").is_err() && temperature("-1").is_err() && temperature("inf").is_err());
        assert!(["0", "1.1", "NaN", "-1", "x", "inf"].iter().all(|t| share(t).is_err()));
        assert_eq!(mix("0.25"), Ok(0.25));
        assert!(["-0.1", "1.1", "NaN", "x"].iter().all(|t| mix(t).is_err()));
        assert_eq!(triple("0.5, 0.5,1"), Ok([0.5, 0.5, 1.0]));
        assert!(["1,2", "1,2,3,4", "a,b,c", "NaN,1,1"].iter().all(|t| triple(t).is_err()));
    }
}
