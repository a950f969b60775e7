//! `AilurusUnfold` and `AilurusUnfoldResidual` in tract.

use ailurus_ops::parallel::Rayon;
use ailurus_ops::{Schema, UnfoldDims, kernel};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::slices::{Both, axis, by_element, dims, objection, optional, slice, tensor};
use super::{Operator, attributes};

/// How tokens refer to rows does not show in the attributes, only in the rank of `index`; reading
/// them needs some rank.
const ANY_RANK: usize = 2;

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Unfold;

impl Operator for Unfold {
    const SCHEMA: &'static Schema = &ailurus_ops::Unfold::SCHEMA;

    fn from_node(node: &NodeProto) -> TractResult<Self> {
        let list = attributes::read(node)?;
        let list = attributes::lend(&list);
        ailurus_ops::Unfold::from_attributes(list, ANY_RANK).map_err(objection)?;
        Ok(Unfold)
    }

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (z, index) = (inputs[0], inputs[1]);
        let shape = [axis(z, 3, 0)?, axis(index, index.rank(), 1)?, axis(z, 3, 2)?];
        Ok(tvec!(z.datum_type.fact(shape)))
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        by_element!(inputs[0], unfold(inputs))
    }
}

fn unfold<E: Both>(inputs: &[TValue]) -> TractResult<TVec<TValue>> {
    let sizes = sizes(&inputs[0], &inputs[1])?;
    let (z, index, weight) = (slice::<E>(&inputs[0])?, slice(&inputs[1])?, optional(inputs, 2)?);
    let y = kernel::unfold(z, index, weight, sizes, &Rayon).map_err(objection)?;
    Ok(tvec!(tensor(&[sizes.batch, sizes.tokens, sizes.channels], &y)?))
}

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct UnfoldResidual;

impl Operator for UnfoldResidual {
    const SCHEMA: &'static Schema = &ailurus_ops::UnfoldResidual::SCHEMA;

    fn from_node(node: &NodeProto) -> TractResult<Self> {
        let list = attributes::read(node)?;
        let list = attributes::lend(&list);
        ailurus_ops::UnfoldResidual::from_attributes(list, ANY_RANK).map_err(objection)?;
        Ok(UnfoldResidual)
    }

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[2].datum_type.fact(inputs[2].shape.clone())))
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        by_element!(inputs[0], unfold_residual(inputs))
    }
}

fn unfold_residual<E: Both>(inputs: &[TValue]) -> TractResult<TVec<TValue>> {
    let sizes = sizes(&inputs[0], &inputs[3])?;
    let (z, start, base) = (slice::<E>(&inputs[0])?, slice(&inputs[1])?, slice(&inputs[2])?);
    let (index, weight) = (slice(&inputs[3])?, optional(inputs, 4)?);
    let y = kernel::unfold_residual(z, start, base, index, weight, sizes, &Rayon).map_err(objection)?;
    Ok(tvec!(tensor(&[sizes.batch, sizes.tokens, sizes.channels], &y)?))
}

fn sizes(z: &TValue, index: &TValue) -> TractResult<UnfoldDims> {
    let [batch, rows, channels] = dims(z)?;
    let (tokens, choices) = match index.shape() {
        [_, tokens] => (*tokens, 1),
        [_, tokens, choices] => (*tokens, *choices),
        other => bail!("index has the shape {other:?}"),
    };
    Ok(UnfoldDims { batch, rows, tokens, choices, channels })
}
