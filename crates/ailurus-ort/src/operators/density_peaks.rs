//! `AilurusDensityPeaks`.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use ailurus_ops::kernel::{ClustersMut, density_peaks_into};
use ailurus_ops::{DensityPeaks, Element, Windows};
use half::f16;

use super::{Attributes, Kernel, Operator, Typed, pairs, run_time_grid, run_time_map, shapes};
use crate::error::Result;
use crate::ort::Call;

pub(super) const OPERATOR: Operator = Operator {
    schema: &DensityPeaks::SCHEMA,
    shapes: |attributes, inputs| Ok(DensityPeaks::from_attributes(pairs(attributes))?.output_shapes(inputs)?.into()),
    create_f32: Peaks::<f32>::boxed,
    create_f16: Peaks::<f16>::boxed,
};

struct Peaks<E> {
    params: DensityPeaks,
    /// The windows of the last grid; a model mostly stays with one.
    windows: Mutex<Option<Arc<Windows>>>,
    _element: PhantomData<fn(E)>,
}

impl<E: Element> Typed<E> for Peaks<E> {
    fn read(attributes: &Attributes) -> Result<Self> {
        let params = DensityPeaks::from_attributes(pairs(attributes))?;
        Ok(Self { params, windows: Mutex::default(), _element: PhantomData })
    }
}

impl<E: Element> Peaks<E> {
    fn windows(&self, grid: (usize, usize)) -> Result<Arc<Windows>> {
        // The lock is held while windows are made: others would only make the same ones. A panic leaves the last ones.
        let mut last = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(windows) if windows.grid() == grid => Ok(windows.clone()),
            _ => Ok(last.insert(Arc::new(Windows::new(grid, self.params.window)?)).clone()),
        }
    }
}

impl<E: Element> Kernel for Peaks<E> {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let [index, anchor, size] = self.params.output_shapes(&shapes(&inputs))?;
        let metric = &inputs[0];
        let (batch, channels) = (metric.dim(0), metric.dim(2));
        let grid = self
            .params
            .resolve_grid(inputs.get(1).map(|grid| run_time_grid(&DensityPeaks::SCHEMA, grid)).transpose()?)?;
        let windows = self.windows(grid)?;
        // SAFETY: types are those of the schema, each output is made once, and memory is the processor's.
        unsafe {
            let (index, _) = call.output::<i32>(0, &index, &inputs)?;
            let (anchor, _) = call.output::<i32>(1, &anchor, &inputs)?;
            let (size, _) = call.output::<f32>(2, &size, &inputs)?;
            run_time_map(call, 3, grid, &inputs)?;
            let memory = ClustersMut { index, anchor, size };
            let metric = metric.slice::<E>();
            density_peaks_into(&self.params, metric, batch, channels, &windows, &call.pool(), memory)?;
        }
        Ok(())
    }
}
