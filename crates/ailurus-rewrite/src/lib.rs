//! Plan and carry out the merging of tokens in ONNX vision transformers.
//!
//! [`plan()`] turns an analysis and [`Options`] into a [`Plan`]: plain data that can be printed, saved, edited and replayed.
//! [`apply()`] carries a plan out on a model. Everything between is a small pass in [`mod@apply`].

pub mod apply;
mod bodies;
mod error;
mod fold;
mod grid;
pub mod layer;
pub mod layout;
mod method;
mod metric;
pub mod options;
pub mod plan;
mod planner;
pub mod prepare;
mod proportional;
mod quantize;
mod replay;
pub mod report;
mod simulate;
mod skip;
pub mod tables;
mod windows;

pub use apply::apply;
pub use apply::index_name;
pub use error::Error;
pub use layer::Layer;
pub use options::{Emit, Expedit, Method, Metric, Options, Pool, Tables, UnfoldAt, UnfoldMode};
pub use plan::Plan;
pub use planner::plan;
pub use prepare::prepare;
pub use replay::{replay, settings};

/// Operator domain of everything this project adds to a graph.
pub const DOMAIN: &str = "ai.ailurus";
