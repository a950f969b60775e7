//! A CUDA driver without a device, for tests: it executes the kernels on the host, one fiber per thread of a block.
//!
//! [`load`] it before anything else; device memory then is host memory. It checks that threads wait together and reports
//! faults as errors of the driver; what no check can find, a missing barrier, shows as results that depend on the
//! schedule. What is set here holds for the calling thread.

use std::ffi::{CString, c_char, c_int, c_ulonglong};
use std::path::Path;
use std::sync::OnceLock;

use crate::{Error, Result, Status};

/// The library.
pub const LIBRARY: &str = env!("AILURUS_CUDA_SHIM");

/// The functions that steer it.
pub struct Shim {
    set_schedule: unsafe extern "C" fn(c_ulonglong),
    fail: unsafe extern "C" fn(*const c_char, c_int),
    set_context: unsafe extern "C" fn(c_ulonglong),
    set_compute_capability: unsafe extern "C" fn(c_int),
    launches: unsafe extern "C" fn() -> c_ulonglong,
    modules_loaded: unsafe extern "C" fn() -> c_ulonglong,
}

/// Makes the launcher use it, for the whole program.
pub fn load() -> Result<&'static Shim> {
    static SHIM: OnceLock<Result<Shim>> = OnceLock::new();
    SHIM.get_or_init(|| {
        crate::launcher::load(Some(Path::new(LIBRARY)))?;
        Shim::find()
            .map_err(|error| Error::Launcher { status: Status::OldLibrary, detail: format!("{LIBRARY}: {error}") })
    })
    .as_ref()
    .map_err(Clone::clone)
}

impl Shim {
    fn find() -> std::result::Result<Self, libloading::Error> {
        // SAFETY: the build made this library, its initialisers do nothing, and the types are those of shim/driver.cpp.
        // It is never unloaded, so the functions stay.
        unsafe {
            let library = Box::leak(Box::new(libloading::Library::new(LIBRARY)?));
            Ok(Self {
                set_schedule: *library.get(b"ailurus_shim_set_schedule")?,
                fail: *library.get(b"ailurus_shim_fail")?,
                set_context: *library.get(b"ailurus_shim_set_context")?,
                set_compute_capability: *library.get(b"ailurus_shim_set_compute_capability")?,
                launches: *library.get(b"ailurus_shim_launches")?,
                modules_loaded: *library.get(b"ailurus_shim_modules_loaded")?,
            })
        }
    }

    /// The order in which threads run: 0 ascending, 1 descending, others shuffled.
    pub fn set_schedule(&self, seed: u64) {
        // SAFETY: any number is allowed.
        unsafe { (self.set_schedule)(seed) }
    }

    /// Makes the next call of a driver function return an error.
    ///
    /// # Panics
    /// When the name contains a zero.
    pub fn fail(&self, function: &str, with: i32) {
        let function = CString::new(function).expect("names of functions have no zero");
        // SAFETY: a text that ends with a zero and is copied.
        unsafe { (self.fail)(function.as_ptr(), with) }
    }

    /// Makes the context with this id current, all at the same address; 0 for none.
    pub fn set_context(&self, id: u64) {
        // SAFETY: any number is allowed.
        unsafe { (self.set_context)(id) }
    }

    /// The compute capability of the device, as major · 10 + minor; 7.5 unless set.
    pub fn set_compute_capability(&self, arch: i32) {
        // SAFETY: any number is allowed.
        unsafe { (self.set_compute_capability)(arch) }
    }

    /// Kernels launched so far.
    pub fn launches(&self) -> u64 {
        // SAFETY: no arguments.
        unsafe { (self.launches)() }
    }

    /// Modules loaded so far.
    pub fn modules_loaded(&self) -> u64 {
        // SAFETY: no arguments.
        unsafe { (self.modules_loaded)() }
    }
}
