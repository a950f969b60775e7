//! `AilurusUnfoldResidual`.

use std::marker::PhantomData;

use ailurus_ops::kernel::unfold_residual_into;
use ailurus_ops::{Element, UnfoldResidual};
use half::f16;

use super::{Attributes, Kernel, Operator, Typed, pairs, rank, shapes, unfold_dims};
use crate::error::Result;
use crate::ort::Call;

/// Position of `index` among the inputs.
const INDEX: usize = 3;

pub(super) const OPERATOR: Operator = Operator {
    schema: &UnfoldResidual::SCHEMA,
    shapes: |attributes, inputs| {
        let unfold = UnfoldResidual::from_attributes(pairs(attributes), rank(inputs, INDEX))?;
        Ok(unfold.output_shapes(inputs)?.into())
    },
    create_f32: Updates::<f32>::boxed,
    create_f16: Updates::<f16>::boxed,
};

/// What the node is, apart from its attributes, shows in the rank of its index: known when it runs.
struct Updates<E>(Attributes, PhantomData<fn(E)>);

impl<E: Element> Typed<E> for Updates<E> {
    fn read(attributes: &Attributes) -> Result<Self> {
        Ok(Self(attributes.clone(), PhantomData))
    }
}

impl<E: Element> Kernel for Updates<E> {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let known = shapes(&inputs);
        let [shape] = UnfoldResidual::from_attributes(pairs(&self.0), rank(&known, INDEX))?.output_shapes(&known)?;
        let [z, start, base, index] = [&inputs[0], &inputs[1], &inputs[2], &inputs[INDEX]];
        let dims = unfold_dims(z, index);
        // SAFETY: types are those of the schema, the output is made once, and memory is the processor's.
        unsafe {
            let (y, _) = call.output::<E>(0, &shape, &inputs)?;
            let weight = inputs.get(INDEX + 1).map(|weight| weight.slice());
            let [z, start, base] = [z.slice::<E>(), start.slice(), base.slice()];
            unfold_residual_into(z, start, base, index.slice(), weight, dims, &call.pool(), y)?;
        }
        Ok(())
    }
}
