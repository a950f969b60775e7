//! The ailurus operators in tract.
//!
//! [`Operator`] is what tells one from another; what they share, the inference rules that follow
//! from the schema and the plumbing of tract, is here and in [`rules`](self::rules).

mod attributes;
mod density_peaks;
mod grid_kmeans;
mod merge;
mod rules;
mod slices;
mod unfold;

use std::fmt::Debug;
use std::hash::Hash;

use ailurus_ops::{DOMAIN, Schema};
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use self::density_peaks::DensityPeaks;
use self::grid_kmeans::GridKMeans;
use self::merge::Merge;
use self::unfold::{Unfold, UnfoldResidual};

/// One operator.
trait Operator: Clone + Debug + Hash + Eq + Send + Sync + 'static {
    /// Its ports and attributes.
    const SCHEMA: &'static Schema;

    /// Reads a node.
    fn from_node(node: &NodeProto) -> TractResult<Self>;

    /// Dimensions of outputs that follow neither from equal letters in the schema nor from
    /// constants: output, axis, and the number of input 0's axis 1 that decides.
    fn rows(&self, _tokens: &TDim) -> Option<TDim> {
        None
    }

    /// Types and shapes of the outputs.
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>>;

    /// Computes the outputs.
    fn eval(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>>;
}

/// Teaches tract the operators. tract looks operators up by name alone; a node of another domain
/// with one of these names is refused.
pub fn register(onnx: &mut Onnx) {
    add::<DensityPeaks>(onnx);
    add::<GridKMeans>(onnx);
    add::<Merge>(onnx);
    add::<Unfold>(onnx);
    add::<UnfoldResidual>(onnx);
}

fn add<O: Operator>(onnx: &mut Onnx) {
    onnx.op_register.insert(O::SCHEMA.name, build::<O>);
}

fn build<O: Operator>(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    if node.domain != DOMAIN {
        bail!("{} of the domain {:?} is not the operator of {DOMAIN:?}", node.op_type, node.domain);
    }
    let ports = node.output.len();
    Ok((expand(Ailurus { op: O::from_node(node)?, ports }), vec![]))
}

/// An operator as tract sees it, before and after types are known.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Ailurus<O> {
    op: O,
    /// Outputs of the node. Beyond those that every node has there is only `map`, whose shape is the input `grid`.
    ports: usize,
}

impl<O: Operator> Ailurus<O> {
    fn has_map(&self) -> bool {
        self.ports > O::SCHEMA.required_outputs()
    }
}

impl<O: Operator> Expansion for Ailurus<O> {
    fn name(&self) -> StaticName {
        O::SCHEMA.name.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.ports)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        rules::from_schema(O::SCHEMA, s, inputs, outputs)?;
        rules::rows(O::SCHEMA, s, inputs, outputs, |tokens| self.op.rows(tokens))
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl<O: Operator> Op for Ailurus<O> {
    fn name(&self) -> StaticName {
        O::SCHEMA.name.into()
    }

    op_as_typed_op!();
}

impl<O: Operator> EvalOp for Ailurus<O> {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut outputs = self.op.eval(&inputs)?;
        if self.has_map() {
            let (h, w) = slices::grid(inputs.get(1))?.ok_or_else(|| format_err!("no grid for the output `map`"))?;
            outputs.push(Tensor::zero::<i32>(&[h, w])?.into_tvalue());
        }
        Ok(outputs)
    }
}

impl<O: Operator> TypedOp for Ailurus<O> {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut facts = self.op.output_facts(inputs)?;
        if self.has_map() {
            facts.push(i32::fact(slices::sides(inputs.get(1).copied())?));
        }
        Ok(facts)
    }
}
