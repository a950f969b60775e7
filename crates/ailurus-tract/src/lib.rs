//! tract as the embedded runtime, with the ailurus operators.
//!
//! - [`TractRuntime`] implements [`ailurus_runtime::Runtime`] without any library outside this
//!   program: what a rewrite is checked with when nothing else is installed;
//! - [`register`] teaches a tract of your own the operators.
//!
//! tract knows no model-local functions. The ailurus operators need none, since they are
//! registered by name; other functions have to be inlined before a model comes here.

mod error;
mod guard;
mod ops;
mod runtime;
mod session;
mod value;

pub use error::{Error, Result};
pub use ops::register;
pub use runtime::TractRuntime;
