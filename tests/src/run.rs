//! ONNX Runtime for the tests.

use crate::case::Inputs;
use ailurus_runtime::{
    Dim, Model, OnnxRuntime, Optimization, Outputs, Runtime, Session, SessionOptions, Tensor, testing,
};
use anyhow::{Context, Result};
use std::path::Path;

/// ONNX Runtime, or a visible skip. `AILURUS_REQUIRE_RUNTIMES=1` turns the skip into a failure.
///
/// # Panics
/// When it is required and not there.
pub fn onnx_runtime() -> Option<OnnxRuntime> {
    let found = testing::onnx_runtime();
    let required = std::env::var("AILURUS_REQUIRE_RUNTIMES").as_deref() == Ok("1");
    assert!(found.is_some() || !required, "AILURUS_REQUIRE_RUNTIMES is set, but ONNX Runtime was not found");
    found
}

/// How models are prepared.
#[derive(Clone, Copy, Debug)]
pub struct Loader<'a> {
    runtime: &'a OnnxRuntime,
    optimization: Optimization,
    library: Option<&'a Path>,
}

impl<'a> Loader<'a> {
    /// As users do it: everything fused that can be.
    pub fn usual(runtime: &'a OnnxRuntime) -> Self {
        Self { runtime, optimization: Optimization::All, library: None }
    }

    /// As the graph is written.
    pub fn literal(runtime: &'a OnnxRuntime) -> Self {
        Self { runtime, optimization: Optimization::None, library: None }
    }

    /// With native kernels from this library.
    pub fn with_kernels(self, library: &'a Path) -> Self {
        Self { library: Some(library), ..self }
    }

    /// Prepares a model that is held in memory, on one thread: files are checked side by side.
    pub fn load(&self, model: &ailurus_onnx::Model) -> Result<Box<dyn Session>> {
        let bytes = model.to_bytes()?;
        let options = SessionOptions {
            threads: Some(1),
            optimization: self.optimization,
            custom_op_libraries: self.library.map(Path::to_owned).into_iter().collect(),
            ..SessionOptions::default()
        };
        Ok(self.runtime.load(Model::Bytes(&bytes), &options)?)
    }
}

/// Runs with those of the tensors that the model asks for.
pub fn run(session: &dyn Session, pool: &[(String, Tensor)]) -> Result<Outputs> {
    let asked = |name: &str| session.inputs().iter().any(|i| i.name == name);
    let feed: Vec<(&str, &Tensor)> = pool.iter().filter(|(n, _)| asked(n)).map(|(n, t)| (n.as_str(), t)).collect();
    Ok(session.run(&feed)?)
}

/// An output by name.
pub fn output<'a>(outputs: &'a Outputs, name: &str) -> Result<&'a Tensor> {
    let found = outputs.iter().find(|(n, _)| n == name);
    Ok(&found.with_context(|| format!("`{name}` is not among the outputs"))?.1)
}

/// True when an input of four axes leaves the last two open.
pub fn size_is_open(session: &dyn Session) -> bool {
    session.inputs().iter().any(|i| {
        let dims = i.dims.as_deref().unwrap_or(&[]);
        matches!(dims, [_, _, h, w] if h.known().is_none() && w.known().is_none())
    })
}

/// True when every input leaves its first dimension open.
pub fn batch_is_open(session: &dyn Session, inputs: &Inputs) -> bool {
    session.inputs().iter().filter(|i| inputs.iter().any(|(n, _)| *n == i.name)).all(|i| {
        let first = i.dims.as_deref().and_then(<[Dim]>::first);
        first.is_some_and(|d| d.known().is_none())
    })
}
