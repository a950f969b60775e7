//! `AilurusGridKMeans`.

use std::ffi::c_void;

use ailurus_ops::{GridKMeans, Norm, TemperatureMode};

use super::{Element, Stream, int, size};
use crate::error::{Result, check};
use crate::sys;

/// The parameters as the launcher takes them, for a grid of height and width `grid`.
fn params(params: &GridKMeans, grid: (usize, usize)) -> Result<sys::GridKMeansParams> {
    params.validate()?;
    let (h, w) = params.resolve_grid(Some(grid))?;
    Ok(sys::GridKMeansParams {
        prefix: int(params.prefix),
        suffix: int(params.suffix),
        grid_h: int(h),
        grid_w: int(w),
        cluster_h: int(params.clusters.0),
        cluster_w: int(params.clusters.1),
        iterations: int(params.iterations),
        window: int(params.window),
        neighbors: int(params.neighbors),
        ties: int(params.ties),
        temperature: params.temperature,
        temperature_mode: match params.temperature_mode {
            TemperatureMode::Absolute => sys::ABSOLUTE,
            TemperatureMode::Relative => sys::RELATIVE,
        },
        norm: match params.norm {
            Norm::L1 => sys::L1,
            Norm::L2 => sys::L2,
        },
    })
}

/// A call of `AilurusGridKMeans`: parameters, grid of this call, and sizes of `x` (`[batch, T, channels]`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridKMeansCall<'a> {
    /// Attributes of the operator.
    pub params: &'a GridKMeans,
    /// Height and width of the grid.
    pub grid: (usize, usize),
    /// Element type of `x`: f32 or f16.
    pub element: Element,
    /// B
    pub batch: usize,
    /// C
    pub channels: usize,
}

/// Device memory that a call of `AilurusGridKMeans` works on.
#[derive(Clone, Copy, Debug)]
pub struct GridKMeansTensors {
    /// `[B, T, C]`
    pub x: *const c_void,
    /// `[B, R, C]`
    pub z: *mut c_void,
    /// `[B, T, K]`
    pub index: *mut i32,
    /// `[B, T, K]`
    pub weight: *mut f32,
    /// At least [`GridKMeansCall::workspace`] bytes, aligned to 16.
    pub workspace: *mut c_void,
    /// Bytes of `workspace`.
    pub workspace_bytes: usize,
}

impl GridKMeansCall<'_> {
    /// R, the rows of the reduced sequence, and K, the rows that a token is made of.
    pub fn sizes(&self) -> Result<(usize, usize)> {
        let params = params(self.params, self.grid)?;
        let (mut rows, mut choices) = (0, 0);
        // SAFETY: all pointers point to values of the right types.
        check(unsafe { sys::ailurus_cuda_grid_kmeans_sizes(&params, &mut rows, &mut choices) })?;
        Ok((usize::try_from(rows).unwrap_or(0), usize::try_from(choices).unwrap_or(0)))
    }

    /// Bytes of device memory that the call needs besides its tensors.
    pub fn workspace(&self) -> Result<usize> {
        let params = params(self.params, self.grid)?;
        let (batch, channels) = (size(self.batch), size(self.channels));
        let mut bytes = 0;
        // SAFETY: both pointers point to values of the right type.
        check(unsafe {
            sys::ailurus_cuda_grid_kmeans_workspace(&params, batch, channels, self.element as i32, &mut bytes)
        })?;
        Ok(bytes)
    }

    /// Enqueues the operator.
    ///
    /// # Safety
    /// The tensors must be device memory of the stated sizes that stays valid until the stream has done the work.
    pub unsafe fn enqueue(&self, tensors: &GridKMeansTensors, stream: Stream) -> Result<()> {
        let params = params(self.params, self.grid)?;
        // SAFETY: handed on to the caller.
        check(unsafe {
            sys::ailurus_cuda_grid_kmeans(
                &params,
                self.element as i32,
                size(self.batch),
                size(self.channels),
                tensors.x,
                tensors.z,
                tensors.index,
                tensors.weight,
                tensors.workspace,
                tensors.workspace_bytes,
                stream.0,
            )
        })
    }
}
