//! The launcher, typed: parameters and sizes as `ailurus_ops` has them, errors with codes.
//!
//! Tensors are device pointers, which cannot be checked from here, so the operators are `unsafe`. They enqueue kernels on
//! a stream of the current context and return without waiting.

mod grid_kmeans;

use std::ffi::{CString, c_void};
use std::path::Path;
use std::ptr;

use ailurus_ops::{DensityPeaks, ElementType, Keep, MergeDims, UnfoldDims};

use crate::error::{Error, Result, Status, check};
use crate::sys;

pub use grid_kmeans::{GridKMeansCall, GridKMeansTensors};

/// Element types of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Element {
    /// 32-bit float
    F32 = 0,
    /// 16-bit IEEE float
    F16 = 1,
    /// The upper half of a 32-bit float
    Bf16 = 2,
}

impl From<ElementType> for Element {
    fn from(from: ElementType) -> Self {
        match from {
            ElementType::F32 => Self::F32,
            ElementType::F16 => Self::F16,
        }
    }
}

/// A `CUstream`, or `cudaStream_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream(pub *mut c_void);

impl Stream {
    /// The legacy default stream.
    pub const DEFAULT: Self = Self(ptr::null_mut());
}

/// Loads the driver library, the system's or the one given. Once it has succeeded, further calls change nothing.
pub fn load(library: Option<&Path>) -> Result<()> {
    let path = match library {
        None => None,
        Some(path) => {
            let text = path.to_str().and_then(|text| CString::new(text).ok());
            Some(text.ok_or_else(|| Error::Launcher {
                status: Status::NoLibrary,
                detail: format!("{} cannot be handed to the system", path.display()),
            })?)
        }
    };
    // SAFETY: null, or a text that ends with a zero and outlives the call.
    check(unsafe { sys::ailurus_cuda_load(path.as_ref().map_or(ptr::null(), |p| p.as_ptr())) })
}

/// True if the driver can be loaded and has a device.
pub fn available() -> bool {
    // SAFETY: no arguments.
    unsafe { sys::ailurus_cuda_available() != 0 }
}

/// Loads the kernels into the current context. Operators do so themselves, but cannot while a graph is captured.
pub fn prepare() -> Result<()> {
    // SAFETY: no arguments.
    check(unsafe { sys::ailurus_cuda_prepare() })
}

/// Removes the kernels from the current context.
///
/// # Safety
/// None of them may be running, and no graph that was captured with them may be launched again.
pub unsafe fn release() -> Result<()> {
    // SAFETY: handed on to the caller.
    check(unsafe { sys::ailurus_cuda_release() })
}

/// The parameters as the launcher takes them, for a grid of height and width `grid`.
pub fn params(params: &DensityPeaks, grid: (usize, usize)) -> Result<sys::DensityPeaksParams> {
    params.validate()?;
    let (h, w) = params.resolve_grid(Some(grid))?;
    let (tokens, keep_num, keep_den) = match params.keep {
        Keep::Tokens(m) => (int(m), 0, 0),
        Keep::Ratio { num, den } => (0, int(num), int(den)),
    };
    Ok(sys::DensityPeaksParams {
        prefix: int(params.prefix),
        suffix: int(params.suffix),
        grid_h: int(h),
        grid_w: int(w),
        tokens,
        keep_num,
        keep_den,
        neighbors: int(params.neighbors),
        window: int(params.window),
        spatial_mix: params.spatial_mix,
    })
}

/// A parameter as the launcher takes it. The operator's `validate` has made sure that it fits.
fn int(v: usize) -> i32 {
    i32::try_from(v).unwrap_or(i32::MAX)
}

/// A size as the launcher takes it; those that do not fit are too large for it too.
fn size(v: usize) -> i64 {
    i64::try_from(v).unwrap_or(i64::MAX)
}

/// A call of `AilurusDensityPeaks`: parameters, grid of this call, and sizes of `metric` (`[batch, T, channels]`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DensityPeaksCall<'a> {
    /// Attributes of the operator.
    pub params: &'a DensityPeaks,
    /// Height and width of the grid.
    pub grid: (usize, usize),
    /// Element type of `metric`.
    pub element: Element,
    /// B
    pub batch: usize,
    /// d
    pub channels: usize,
}

/// Device memory that a call of `AilurusDensityPeaks` works on.
#[derive(Clone, Copy, Debug)]
pub struct DensityPeaksTensors {
    /// `[B, T, d]`
    pub metric: *const c_void,
    /// `[B, T]`
    pub index: *mut i32,
    /// `[B, R]`
    pub anchor: *mut i32,
    /// `[B, R]`
    pub size: *mut f32,
    /// At least [`DensityPeaksCall::workspace`] bytes, aligned to 16.
    pub workspace: *mut c_void,
    /// Bytes of `workspace`.
    pub workspace_bytes: usize,
}

impl DensityPeaksCall<'_> {
    /// R: rows of the reduced sequence.
    pub fn rows(&self) -> Result<usize> {
        let params = params(self.params, self.grid)?;
        let mut rows = 0;
        // SAFETY: both point to values of the right type.
        check(unsafe { sys::ailurus_cuda_density_peaks_rows(&params, &mut rows) })?;
        Ok(usize::try_from(rows).unwrap_or(0))
    }

    /// Bytes of device memory that the call needs besides its tensors.
    pub fn workspace(&self) -> Result<usize> {
        let params = params(self.params, self.grid)?;
        let mut bytes = 0;
        // SAFETY: both pointers point to values of the right type.
        check(unsafe {
            sys::ailurus_cuda_density_peaks_workspace(
                &params,
                size(self.batch),
                size(self.channels),
                self.element as i32,
                &mut bytes,
            )
        })?;
        Ok(bytes)
    }

    /// Enqueues the operator.
    ///
    /// # Safety
    /// The tensors must be device memory of the stated sizes that stays valid until the stream has done the work.
    pub unsafe fn enqueue(&self, tensors: &DensityPeaksTensors, stream: Stream) -> Result<()> {
        let params = params(self.params, self.grid)?;
        // SAFETY: handed on to the caller.
        check(unsafe {
            sys::ailurus_cuda_density_peaks(
                &params,
                self.element as i32,
                size(self.batch),
                size(self.channels),
                tensors.metric,
                tensors.index,
                tensors.anchor,
                tensors.size,
                tensors.workspace,
                tensors.workspace_bytes,
                stream.0,
            )
        })
    }
}

/// Enqueues `AilurusMerge`: `x [B, T, D]`, `index [B, T]`, `size [B, R]` to `y [B, R, D]`.
///
/// # Safety
/// The tensors must be device memory of the stated sizes that stays valid until the stream has done the work.
pub unsafe fn merge(
    element: Element,
    dims: MergeDims,
    x: *const c_void,
    index: *const i32,
    sizes: *const f32,
    y: *mut c_void,
    stream: Stream,
) -> Result<()> {
    // SAFETY: handed on to the caller.
    check(unsafe {
        sys::ailurus_cuda_merge(
            element as i32,
            size(dims.batch),
            size(dims.tokens),
            size(dims.rows),
            size(dims.channels),
            x,
            index,
            sizes,
            y,
            stream.0,
        )
    })
}

/// Enqueues `AilurusUnfold`: `z [B, R, D]`, `index [B, T, K]`, `weight [B, T, K]` (or null with K = 1) to `y [B, T, D]`.
///
/// # Safety
/// The tensors must be device memory of the stated sizes that stays valid until the stream has done the work.
pub unsafe fn unfold(
    element: Element,
    dims: UnfoldDims,
    z: *const c_void,
    index: *const i32,
    weight: *const f32,
    y: *mut c_void,
    stream: Stream,
) -> Result<()> {
    // SAFETY: handed on to the caller.
    check(unsafe {
        sys::ailurus_cuda_unfold(
            element as i32,
            size(dims.batch),
            size(dims.rows),
            size(dims.tokens),
            size(dims.choices),
            size(dims.channels),
            z,
            index,
            weight,
            y,
            stream.0,
        )
    })
}

/// The streams that `AilurusUnfoldResidual` reads.
#[derive(Clone, Copy, Debug)]
pub struct ResidualStreams {
    /// `[B, R, D]`: the stream where the reduced part ends.
    pub z: *const c_void,
    /// `[B, R, D]`: the stream where it began.
    pub start: *const c_void,
    /// `[B, T, D]`: the full stream before merging.
    pub base: *const c_void,
}

/// Enqueues `AilurusUnfoldResidual`; `y [B, T, D]` may be `base` itself.
///
/// # Safety
/// The tensors must be device memory of the stated sizes that stays valid until the stream has done the work.
pub unsafe fn unfold_residual(
    element: Element,
    dims: UnfoldDims,
    streams: ResidualStreams,
    index: *const i32,
    weight: *const f32,
    y: *mut c_void,
    stream: Stream,
) -> Result<()> {
    // SAFETY: handed on to the caller.
    check(unsafe {
        sys::ailurus_cuda_unfold_residual(
            element as i32,
            size(dims.batch),
            size(dims.rows),
            size(dims.tokens),
            size(dims.choices),
            size(dims.channels),
            streams.z,
            streams.start,
            streams.base,
            index,
            weight,
            y,
            stream.0,
        )
    })
}
