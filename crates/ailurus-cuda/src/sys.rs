//! The C interface, `launcher/ailurus_cuda.h`, as it is. What functions and fields mean is written there.
#![allow(missing_docs, reason = "the header is the documentation")]

use std::ffi::{c_char, c_void};

/// Version of the interface that these declarations follow.
pub const ABI_VERSION: i32 = 1;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DensityPeaksParams {
    pub prefix: i32,
    pub suffix: i32,
    pub grid_h: i32,
    pub grid_w: i32,
    pub tokens: i32,
    pub keep_num: i32,
    pub keep_den: i32,
    pub neighbors: i32,
    pub window: i32,
    pub spatial_mix: f32,
}

/// Values of `ailurus_cuda_temperature`.
pub const ABSOLUTE: i32 = 0;
pub const RELATIVE: i32 = 1;

/// Values of `ailurus_cuda_norm`.
pub const L1: i32 = 0;
pub const L2: i32 = 1;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GridKMeansParams {
    pub prefix: i32,
    pub suffix: i32,
    pub grid_h: i32,
    pub grid_w: i32,
    pub cluster_h: i32,
    pub cluster_w: i32,
    pub iterations: i32,
    pub window: i32,
    pub neighbors: i32,
    pub ties: i32,
    pub temperature: f32,
    pub temperature_mode: i32,
    pub norm: i32,
}

unsafe extern "C" {
    pub fn ailurus_cuda_abi_version() -> i32;
    pub fn ailurus_cuda_load(library: *const c_char) -> i32;
    pub fn ailurus_cuda_available() -> i32;
    pub fn ailurus_cuda_prepare() -> i32;
    pub fn ailurus_cuda_release() -> i32;
    pub fn ailurus_cuda_status_name(status: i32) -> *const c_char;
    pub fn ailurus_cuda_status_message(status: i32) -> *const c_char;
    pub fn ailurus_cuda_status_code(status: i32) -> *const c_char;
    pub fn ailurus_cuda_last_error() -> *const c_char;
    pub fn ailurus_cuda_density_peaks_rows(params: *const DensityPeaksParams, rows: *mut i64) -> i32;
    pub fn ailurus_cuda_density_peaks_workspace(
        params: *const DensityPeaksParams,
        batch: i64,
        channels: i64,
        element: i32,
        bytes: *mut usize,
    ) -> i32;
    pub fn ailurus_cuda_density_peaks(
        params: *const DensityPeaksParams,
        element: i32,
        batch: i64,
        channels: i64,
        metric: *const c_void,
        index: *mut i32,
        anchor: *mut i32,
        size: *mut f32,
        workspace: *mut c_void,
        workspace_bytes: usize,
        stream: *mut c_void,
    ) -> i32;
    pub fn ailurus_cuda_grid_kmeans_sizes(params: *const GridKMeansParams, rows: *mut i64, choices: *mut i64) -> i32;
    pub fn ailurus_cuda_grid_kmeans_workspace(
        params: *const GridKMeansParams,
        batch: i64,
        channels: i64,
        element: i32,
        bytes: *mut usize,
    ) -> i32;
    pub fn ailurus_cuda_grid_kmeans(
        params: *const GridKMeansParams,
        element: i32,
        batch: i64,
        channels: i64,
        x: *const c_void,
        z: *mut c_void,
        index: *mut i32,
        weight: *mut f32,
        workspace: *mut c_void,
        workspace_bytes: usize,
        stream: *mut c_void,
    ) -> i32;
    pub fn ailurus_cuda_merge(
        element: i32,
        batch: i64,
        tokens: i64,
        rows: i64,
        channels: i64,
        x: *const c_void,
        index: *const i32,
        size: *const f32,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn ailurus_cuda_unfold(
        element: i32,
        batch: i64,
        rows: i64,
        tokens: i64,
        choices: i64,
        channels: i64,
        z: *const c_void,
        index: *const i32,
        weight: *const f32,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
    pub fn ailurus_cuda_unfold_residual(
        element: i32,
        batch: i64,
        rows: i64,
        tokens: i64,
        choices: i64,
        channels: i64,
        z: *const c_void,
        start: *const c_void,
        base: *const c_void,
        index: *const i32,
        weight: *const f32,
        y: *mut c_void,
        stream: *mut c_void,
    ) -> i32;
}
