//! Flags of the commands that run two models: `verify` and `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{RunArgs, positive};

/// The library of operators for ONNX Runtime.
#[derive(Debug, Default, Args)]
pub struct PluginArg {
    /// Register the library of native operators with ONNX Runtime: the one at PATH, else at AILURUS_ORT_LIBRARY, else
    /// beside this program, in ../lib or in deps
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true)]
    pub plugin: Option<Option<PathBuf>>,
}

/// Where the inputs of models come from.
#[derive(Debug, Default, Args)]
pub struct SourceArgs {
    /// Picture to run them on, PNG or JPEG [default: noise]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    /// Arrays to run them on, by input name; `in_` may stand in front of the names
    #[arg(long, value_name = "FILE.npz", conflicts_with = "image")]
    pub inputs: Option<PathBuf>,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Original model
    #[arg(value_name = "A")]
    pub original: PathBuf,
    /// Model to compare with it
    #[arg(value_name = "B")]
    pub other: PathBuf,
    /// What they are run on.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Run them on every PNG and JPEG file of a folder; report the mean and the worst
    #[arg(long, value_name = "DIR", conflicts_with_all = ["image", "inputs"])]
    pub images: Option<PathBuf>,
    /// How models are run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Operators of our own.
    #[command(flatten)]
    pub plugin: PluginArg,
    /// Largest relative L2 difference of an output [default: none]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub tolerance: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Original model
    #[arg(value_name = "A")]
    pub original: PathBuf,
    /// Model to compare with it
    #[arg(value_name = "B")]
    pub other: PathBuf,
    /// How one of them is run.
    #[command(flatten)]
    pub native: NativeArgs,
    /// Pairs of runs that are measured [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: Option<u32>,
    /// Runs of each before that [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub warm_up: Option<u32>,
    /// Leave peak memory out, which takes a process for each model
    #[arg(long)]
    pub no_memory: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How a model is run and measured.
#[derive(Debug, Args)]
pub struct NativeArgs {
    /// What they are run on.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How models are run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Operators of our own.
    #[command(flatten)]
    pub plugin: PluginArg,
    /// Threads within an operator [default: the runtime's choice]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,
    /// What computes; CUDA needs an ONNX Runtime that has it [default: cpu]
    #[arg(long, value_enum)]
    pub provider: Option<ProviderFlag>,
}

/// Flags of the process that `bench` starts for each model to measure its memory.
#[derive(Debug, Args)]
pub struct PeakArgs {
    /// Model to run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// How it is run.
    #[command(flatten)]
    pub native: NativeArgs,
}

/// Values of `--provider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the variants are the values")]
pub enum ProviderFlag {
    Cpu,
    Cuda,
}
