//! One interface over the runtimes that execute ONNX models.
//!
//! - [`Runtime`] and [`Session`]: what every runtime offers;
//! - [`OnnxRuntime`]: ONNX Runtime, found and loaded while the program runs, never linked;
//! - [`Tensor`] and [`npz`]: plain data and its files;
//! - [`compare`] and [`latency`]: what two runs differ by, in values and in time; [`statistics`]: how sure that is.
//!
//! The embedded runtime lives in the crate `ailurus-tract`, so that this one stays light.

pub mod compare;
mod error;
pub mod latency;
mod npy;
pub mod npz;
mod ort;
mod session;
pub mod statistics;
mod tensor;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Error, Result};
pub use ort::OnnxRuntime;
pub use session::{
    Dim, Model, Optimization, Outputs, Provider, Runtime, Session, SessionOptions, ValueInfo, check_inputs,
};
pub use tensor::{Data, DataType, Tensor};
