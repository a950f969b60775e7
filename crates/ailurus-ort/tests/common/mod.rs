//! Sessions with the library.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod model;
pub mod python;

use ailurus_runtime::{Model, OnnxRuntime, Optimization, Result, Runtime, Session, SessionOptions, testing};

/// Options with the library.
pub fn options() -> SessionOptions {
    SessionOptions { custom_op_libraries: vec![testing::kernel_library()], ..SessionOptions::default() }
}

/// Prepares a model.
pub fn load(runtime: &OnnxRuntime, model: &[u8], optimization: Optimization) -> Result<Box<dyn Session>> {
    runtime.load(Model::Bytes(model), &SessionOptions { optimization, ..options() })
}
