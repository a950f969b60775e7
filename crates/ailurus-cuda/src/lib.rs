//! The operators of `ai.ailurus` on CUDA devices.
//!
//! The kernels (`kernels/*.cu`) are started by one launcher in C++ (`launcher/`) on the driver API, which it looks up
//! while the program runs. ONNX Runtime library, TensorRT plugin and the sources that are handed to users share it; from
//! Rust it is called through [`launcher`]. A build needs a C++ compiler and nothing of CUDA: the kernels are embedded as
//! PTX ([`sources::PTX`]), which the driver compiles for its device.
//!
//! Results equal those of `ailurus_ops::reference` bit for bit (but for the last bit of a logarithm, see `docs/cuda.md`).

mod error;
pub mod fingerprint;
pub mod images;
pub mod launcher;
#[cfg(feature = "shim")]
pub mod shim;
pub mod sources;
pub mod sys;

pub use error::{Error, Result, Status};
