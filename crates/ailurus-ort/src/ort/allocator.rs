//! Memory from ONNX Runtime.

use std::ffi::c_void;
use std::ptr;

use ort_sys::OrtAllocator;

use super::Api;
use crate::error::{Error, Result};

/// An allocator of ONNX Runtime, released when dropped. It may be used from any thread.
pub(crate) struct Allocator {
    api: Api,
    raw: *mut OrtAllocator,
}

impl Allocator {
    /// # Safety
    /// `raw` must be valid, and nobody else's to release.
    pub(super) unsafe fn own(api: Api, raw: *mut OrtAllocator) -> Self {
        Self { api, raw }
    }

    /// Memory of this size.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<*mut c_void> {
        let mut memory = ptr::null_mut();
        // SAFETY: the allocator is valid.
        self.api.check(unsafe { (self.api.AllocatorAlloc)(self.raw, bytes, &mut memory) })?;
        if memory.is_null() {
            return Err(Error::Ort(format!("no memory for a workspace of {bytes} bytes")));
        }
        Ok(memory)
    }

    /// Gives memory back that [`Allocator::allocate`] gave.
    pub(crate) fn free(&self, memory: *mut c_void) {
        // SAFETY: the allocator is valid, and the memory is its own. Nobody is left to tell of a failure.
        let _ = self.api.check(unsafe { (self.api.AllocatorFree)(self.raw, memory) });
    }
}

impl Drop for Allocator {
    fn drop(&mut self) {
        // SAFETY: ours, valid and released once.
        unsafe { (self.api.ReleaseAllocator)(self.raw) }
    }
}
