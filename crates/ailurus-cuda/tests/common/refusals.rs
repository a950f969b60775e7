//! Calls that the launcher refuses.

use ailurus_cuda::shim::{self, Shim};
use ailurus_cuda::{Error, Status, sys};

/// The driver without a device.
pub fn driver() -> &'static Shim {
    shim::load().expect("the driver without a device loads")
}

/// Status and detail of a call that must fail.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> (Status, String) {
    match result {
        Err(Error::Launcher { status, detail }) => (status, detail),
        other => panic!("expected a refusal by the launcher, got {other:?}"),
    }
}

/// A change that leads to a refusal.
pub type Change<T> = fn(&mut T);

/// What the last function that failed on this thread has to say.
pub fn last_error() -> String {
    // SAFETY: a text that ends with a zero, copied at once.
    unsafe { std::ffi::CStr::from_ptr(sys::ailurus_cuda_last_error()) }.to_string_lossy().into_owned()
}
