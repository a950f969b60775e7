//! `AilurusMerge` in tract.

use ailurus_ops::parallel::Rayon;
use ailurus_ops::{MergeDims, Schema, kernel};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::slices::{Both, axis, by_element, dims, objection, slice, tensor};
use super::{Operator, attributes};

#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(super) struct Merge;

impl Operator for Merge {
    const SCHEMA: &'static Schema = &ailurus_ops::Merge::SCHEMA;

    fn from_node(node: &NodeProto) -> TractResult<Self> {
        let list = attributes::read(node)?;
        ailurus_ops::Merge::from_attributes(attributes::lend(&list)).map_err(objection)?;
        Ok(Merge)
    }

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (x, size) = (inputs[0], inputs[2]);
        let shape = [axis(x, 3, 0)?, axis(size, 2, 1)?, axis(x, 3, 2)?];
        Ok(tvec!(x.datum_type.fact(shape)))
    }

    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        by_element!(inputs[0], eval(inputs))
    }
}

fn eval<E: Both>(inputs: &[TValue]) -> TractResult<TVec<TValue>> {
    let [batch, tokens, channels] = dims(&inputs[0])?;
    let [_, rows] = dims(&inputs[2])?;
    let sizes = MergeDims { batch, tokens, rows, channels };
    let (x, index, size) = (slice::<E>(&inputs[0])?, slice(&inputs[1])?, slice(&inputs[2])?);
    let y = kernel::merge(x, index, size, sizes, &Rayon).map_err(objection)?;
    Ok(tvec!(tensor(&[batch, rows, channels], &y)?))
}
