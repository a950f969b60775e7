//! `AilurusUnfold`.

use std::marker::PhantomData;

use ailurus_ops::kernel::unfold_into;
use ailurus_ops::{Element, Unfold};
use half::f16;

use super::{Attributes, Kernel, Operator, Typed, pairs, rank, shapes, unfold_dims};
use crate::error::Result;
use crate::ort::Call;

/// Position of `index` among the inputs.
const INDEX: usize = 1;

pub(super) const OPERATOR: Operator = Operator {
    schema: &Unfold::SCHEMA,
    shapes: |attributes, inputs| {
        let unfold = Unfold::from_attributes(pairs(attributes), rank(inputs, INDEX))?;
        Ok(unfold.output_shapes(inputs)?.into())
    },
    create_f32: Copies::<f32>::boxed,
    create_f16: Copies::<f16>::boxed,
};

/// What the node is, apart from its attributes, shows in the rank of its index: known when it runs.
struct Copies<E>(Attributes, PhantomData<fn(E)>);

impl<E: Element> Typed<E> for Copies<E> {
    fn read(attributes: &Attributes) -> Result<Self> {
        Ok(Self(attributes.clone(), PhantomData))
    }
}

impl<E: Element> Kernel for Copies<E> {
    fn compute(&self, call: &Call<'_>) -> Result<()> {
        let inputs = call.inputs()?;
        let known = shapes(&inputs);
        let [shape] = Unfold::from_attributes(pairs(&self.0), rank(&known, INDEX))?.output_shapes(&known)?;
        let (z, index) = (&inputs[0], &inputs[INDEX]);
        let dims = unfold_dims(z, index);
        // SAFETY: types are those of the schema, the output is made once, and memory is the processor's.
        unsafe {
            let (y, _) = call.output::<E>(0, &shape, &inputs)?;
            let weight = inputs.get(INDEX + 1).map(|weight| weight.slice());
            unfold_into(z.slice::<E>(), index.slice(), weight, dims, &call.pool(), y)?;
        }
        Ok(())
    }
}
