//! The operators on ONNX Runtime's CUDA provider.
//!
//! Every operator enqueues the kernels of `ailurus-cuda` on the stream of the call and returns. Nothing waits, and nothing
//! is allocated but tensors and a workspace, both by ONNX Runtime.

mod operators;
#[cfg(test)]
mod tests;
mod workspace;

pub(crate) use operators::create;

use std::ffi::CStr;

/// The provider's name.
pub(crate) const PROVIDER: &CStr = c"CUDAExecutionProvider";
