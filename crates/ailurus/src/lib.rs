//! Make ONNX vision transformers faster by merging tokens.
//!
//! From some block on, a rewritten model runs on clusters of similar patches instead of on all
//! patches, and gives every patch its own value back where the encoder ends. Inputs, outputs and
//! their shapes stay what they were.
//!
//! The whole way, for example from a build script:
//!
//! ```no_run
//! # fn main() -> Result<(), ailurus::Error> {
//! let summary = ailurus::rewrite_file("in.onnx", "out.onnx", &ailurus::Options::new(4))?;
//! println!("{:.2}x fewer operations", summary.promise());
//! # Ok(())
//! # }
//! ```
//!
//! The way is a chain of plain values, each step of which can be taken alone ([`pipeline`]):
//! load → [`onnx::Model`] → analyze → [`analyze::Analysis`] → plan → [`rewrite::Plan`] → rewrite →
//! [`onnx::Model`] → verify → `verify::Verdict` → emit.
//!
//! # Features
//! - `tract` (default): verification in the embedded runtime;
//! - `ort` (default): verification in ONNX Runtime, where it is installed;
//! - `cli` (default): the programs `ailurus` and `ailurus-rewrite`.
//!
//! A build script needs none of them: `default-features = false`.

#[cfg(feature = "runtime")]
pub mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod codes;
#[cfg(feature = "runtime")]
mod engine;
mod error;
#[cfg(feature = "runtime")]
pub mod inputs;
#[cfg(feature = "runtime")]
pub mod interface;
mod options;
pub mod pipeline;
#[cfg(feature = "runtime")]
pub mod plugin;
pub mod presets;
mod report;
mod summary;
#[cfg(feature = "runtime")]
pub mod verify;
#[cfg(feature = "runtime")]
pub mod view;

pub use error::{Error, Result};
pub use options::Options;
pub use pipeline::{Rewriter, Stage, rewrite_file};
pub use report::{ReportSummary, report_file};
pub use summary::{OutputSummary, Summary, TokenSummary};

pub use ailurus_analyze as analyze;
pub use ailurus_onnx as onnx;
pub use ailurus_rewrite as rewrite;
pub use ailurus_rewrite::Layer;
#[cfg(feature = "runtime")]
pub use ailurus_runtime as runtime;
