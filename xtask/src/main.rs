//! Project chores that need more than cargo: `cargo xtask <command>`.
//!
//! Each command is one file in `commands`; this file only names them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a chore runner is for")]

mod commands;
mod dist;
mod generate;
mod memory;
mod packages;
mod python;
mod releases;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the ailurus workspace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch the pinned Python packages (ONNX Runtime, onnx, numpy, pillow) and older releases of ONNX Runtime into the cache
    /// folder
    Wheels(commands::wheels::Args),
    /// Fetch the pretrained models of the demo and write them as ONNX files
    Models(commands::models::Args),
    /// Write a random Vision Transformer of any size
    GenerateVit(commands::generate_vit::Args),
    /// Compile the CUDA kernels with NVIDIA's compilers: PTX, machine code, what every kernel needs
    Cuda(commands::cuda::Args),
    /// Fetch what tests of the TensorRT plugins need, or parse and build many models with them
    Tensorrt(commands::tensorrt::Args),
    /// Measure rewriting of large files against `cp` and Python onnx
    BenchIo(commands::bench_io::Args),
    /// Measure rewritten models end to end against what their operation counts promise
    BenchModels(commands::bench_models::Args),
    /// Measure the operators against a transformer block of the same size
    BenchOperators(commands::bench_operators::Args),
    /// Run the tests of the library for ONNX Runtime under valgrind
    Memcheck(commands::memcheck::Args),
    #[command(hide = true)]
    BenchIoRewrite(commands::bench_io::RewriteArgs),
    /// Rewrite the real models at several settings, measure quality and speed, write docs/results.md
    Demo(commands::demo::Args),
    /// Measure the methods of merging beside each other on the real models, write the last section of docs/results.md
    Methods(commands::methods::Args),
    /// Pack the library for ONNX Runtime: header, licences, checksums
    Dist(commands::dist::Args),
    /// Run every test with everything it can need, and list what was skipped
    Test(commands::test::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Wheels(args) => commands::wheels::run(&args),
        Command::Models(args) => commands::models::run(&args),
        Command::GenerateVit(args) => commands::generate_vit::run(&args),
        Command::Cuda(args) => commands::cuda::run(&args),
        Command::Tensorrt(args) => commands::tensorrt::run(&args),
        Command::BenchIo(args) => commands::bench_io::run(&args),
        Command::BenchModels(args) => commands::bench_models::run(&args),
        Command::BenchOperators(args) => commands::bench_operators::run(&args),
        Command::Memcheck(args) => commands::memcheck::run(&args),
        Command::BenchIoRewrite(args) => commands::bench_io::rewrite(&args),
        Command::Demo(args) => commands::demo::run(&args),
        Command::Methods(args) => commands::methods::run(&args),
        Command::Dist(args) => commands::dist::run(&args),
        Command::Test(args) => commands::test::run(&args),
    }
}
