//! `AilurusGridKMeans`.

use std::marker::PhantomData;

use ailurus_ops::kernel::{GridClustersMut, grid_kmeans_into};
use ailurus_ops::{Element, GridKMeans};
use half::f16;

use super::{Attributes, Kernel, Operator, Typed, pairs, run_time_grid, run_time_map, shapes};
use crate::error::Result;
use crate::ort::Call;

pub(super) const OPERATOR: Operator = Operator {
    schema: &GridKMeans::SCHEMA,
    shapes: |attributes, inputs| Ok(GridKMeans::from_attributes(pairs(attributes))?.output_shapes(inputs)?.into()),
    create_f32: Means::<f32>::boxed,
    create_f16: Means::<f16>::boxed,
};

struct Means<E>(GridKMeans, PhantomData<fn(E)>);

impl<E: Element> Typed<E> for Means<E> {
    fn read(attributes: &Attributes) -> Result<Self> {
        Ok(Self(GridKMeans::from_attributes(pairs(attributes))?, PhantomData))
    }
}

impl<E: Element> Kernel for Means<E> {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let [z, index, weight] = self.0.output_shapes(&shapes(&inputs))?;
        let x = &inputs[0];
        let given = inputs.get(1).map(|grid| run_time_grid(&GridKMeans::SCHEMA, grid)).transpose()?;
        let grid = self.0.resolve_grid(given)?;
        // SAFETY: types are those of the schema, each output is made once, and memory is the processor's.
        unsafe {
            let (z, _) = call.output::<E>(0, &z, &inputs)?;
            let (index, _) = call.output::<i32>(1, &index, &inputs)?;
            let (weight, _) = call.output::<f32>(2, &weight, &inputs)?;
            run_time_map(call, 3, grid, &inputs)?;
            let memory = GridClustersMut { z, index, weight };
            grid_kmeans_into(&self.0, x.slice::<E>(), x.dim(0), x.dim(2), grid, &call.pool(), memory)?;
        }
        Ok(())
    }
}
