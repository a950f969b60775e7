//! `AilurusMerge`.

use std::marker::PhantomData;

use ailurus_ops::kernel::merge_into;
use ailurus_ops::{Element, Merge, MergeDims};
use half::f16;

use super::{Attributes, Kernel, Operator, Typed, pairs, shapes};
use crate::error::Result;
use crate::ort::Call;

pub(super) const OPERATOR: Operator = Operator {
    schema: &Merge::SCHEMA,
    shapes: |attributes, inputs| Ok(Merge::from_attributes(pairs(attributes))?.output_shapes(inputs)?.into()),
    create_f32: Means::<f32>::boxed,
    create_f16: Means::<f16>::boxed,
};

struct Means<E>(Merge, PhantomData<fn(E)>);

impl<E: Element> Typed<E> for Means<E> {
    fn read(attributes: &Attributes) -> Result<Self> {
        Ok(Self(Merge::from_attributes(pairs(attributes))?, PhantomData))
    }
}

impl<E: Element> Kernel for Means<E> {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let [shape] = self.0.output_shapes(&shapes(&inputs))?;
        let [x, index, size] = [&inputs[0], &inputs[1], &inputs[2]];
        let dims = MergeDims { batch: x.dim(0), tokens: x.dim(1), rows: size.dim(1), channels: x.dim(2) };
        // SAFETY: types are those of the schema, the output is made once, and memory is the processor's.
        unsafe {
            let (y, _) = call.output::<E>(0, &shape, &inputs)?;
            merge_into(x.slice::<E>(), index.slice(), size.slice(), dims, &call.pool(), y)?;
        }
        Ok(())
    }
}
