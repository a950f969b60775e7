//! A CUDA driver without a device, for tests: it executes the kernels on the host, one fiber per thread of a block.
//!
//! Load [`LIBRARY`] with [`crate::launcher::load`] before anything else; device memory then is host memory. It checks
//! that threads wait together and reports faults as errors of the driver; what no check can find, a missing barrier,
//! shows as results that depend on the schedule.

use std::path::Path;

/// The library.
pub const LIBRARY: &str = env!("AILURUS_CUDA_SHIM");

/// Loads it.
pub fn load() -> crate::Result<()> {
    crate::launcher::load(Some(Path::new(LIBRARY)))
}
