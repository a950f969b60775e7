//! The functions that TensorRT looks up in a plugin library: those of `plugin/exports.cpp`, under their real names.
#![allow(non_snake_case, reason = "TensorRT chose the names")]

#[cfg(any(ailurus_trt = "v2", ailurus_trt = "v3"))]
use std::ffi::c_void;

#[cfg(any(ailurus_trt = "v2", ailurus_trt = "v3"))]
unsafe extern "C" {
    fn ailurus_trt_setLoggerFinder(finder: *mut c_void);
    #[cfg(ailurus_trt = "v3")]
    fn ailurus_trt_getCreators(count: *mut i32) -> *const *mut c_void;
    #[cfg(ailurus_trt = "v2")]
    fn ailurus_trt_getPluginCreators(count: *mut i32) -> *const *mut c_void;
}

/// Tells the plugins where messages go.
///
/// # Safety
/// `finder` is an `nvinfer1::ILoggerFinder` that outlives its use, or null.
#[cfg(any(ailurus_trt = "v2", ailurus_trt = "v3"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setLoggerFinder(finder: *mut c_void) {
    // SAFETY: handed on to the caller.
    unsafe { ailurus_trt_setLoggerFinder(finder) }
}

/// The creators of the plugins, for TensorRT 10 and later.
///
/// # Safety
/// `count` points to a number that is written.
#[cfg(ailurus_trt = "v3")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getCreators(count: *mut i32) -> *const *mut c_void {
    // SAFETY: handed on to the caller.
    unsafe { ailurus_trt_getCreators(count) }
}

/// The creators of the plugins, for TensorRT 8.
///
/// # Safety
/// `count` points to a number that is written.
#[cfg(ailurus_trt = "v2")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getPluginCreators(count: *mut i32) -> *const *mut c_void {
    // SAFETY: handed on to the caller.
    unsafe { ailurus_trt_getPluginCreators(count) }
}
