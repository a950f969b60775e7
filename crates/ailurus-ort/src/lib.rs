//! `libailurus_ort`: the operators of the domain `ai.ailurus` as native kernels of ONNX Runtime.
//!
//! One library for ONNX Runtime 1.17 and newer, on every element type and provider that the operators have kernels for.
//! It is loaded with the session options, for example in Python:
//!
//! ```python
//! options = onnxruntime.SessionOptions()
//! options.register_custom_ops_library("libailurus_ort.so")
//! session = onnxruntime.InferenceSession("model.onnx", options)
//! ```
//!
//! A rewritten model holds every operator as a function of standard operators, too. Without this library ONNX Runtime
//! runs those; with it, the kernels. Results agree, see `docs/operators.md`.
//!
//! The crate has a layer for each side: `ort` wraps what it needs of the C interface, `operators` has one file per
//! operator, `cuda` the same for devices, and `register` brings them together. All arithmetic is in `ailurus-ops` and
//! `ailurus-cuda`.
//!
//! # Features
//! - `cuda` (default): kernels for the CUDA provider. Nothing of CUDA is needed to build or load the library; kernels are
//!   handed to the driver when the first of them runs.

#[cfg(feature = "cuda")]
mod cuda;
mod error;
mod operators;
mod ort;
mod register;

pub use register::RegisterCustomOps;

use std::ffi::{CStr, c_char};

/// The version of this library.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => unreachable!(),
};

/// The version of this library, as a C string that lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn ailurus_ort_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Compiles the Rust in the manual.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/onnxruntime.md")]
struct Manual;
