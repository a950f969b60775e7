//! Makes the full grid again on every edge that leaves the region.

use super::{
    Clusters, Targets,
    arranged::Arranged,
    build::{Build, StreamShape},
    cluster::attributes,
    quantize,
};
use crate::{
    DOMAIN,
    error::Error,
    options::UnfoldMode,
    plan::{Plan, UnfoldEdit},
};
use ailurus_onnx::{Attribute, DataType, NodeId, NodeSpec, Tensor, Use, ValueId};
use ailurus_ops::{Assignment, Unfold, UnfoldResidual};

pub fn insert(
    b: &mut Build,
    plan: &Plan,
    targets: &Targets,
    clusters: &Clusters,
    arranged: &mut Arranged,
) -> Result<(), Error> {
    for (edit, &value) in plan.unfolds.iter().zip(&targets.unfolds) {
        let outside = outside(b, targets, value);
        let full = one(b, plan, clusters, arranged, edit, value)?;
        b.edit.replace_uses(value, full, |u| outside.contains(&u))?;
    }
    for (edit, &value) in plan.reroutes.iter().zip(&targets.reroutes) {
        let outside = outside(b, targets, value);
        let dims: &[i64] = if edit.scalar { &[] } else { &[edit.elements.len() as i64] };
        let name = b.name("full_shape");
        let fixed = b.edit.add_initializer(Tensor::from_i64(name, dims, &edit.elements))?;
        b.edit.replace_uses(value, fixed, |u| outside.contains(&u))?;
    }
    Ok(())
}

/// Uses of a value behind the region, as they were before the edit.
fn outside(b: &Build, targets: &Targets, value: ValueId) -> Vec<Use> {
    let inside = |n: NodeId| targets.region.contains(&n) || !b.is_original(n);
    b.edit.graph().uses_outside(value, inside).collect()
}

fn one(
    b: &mut Build,
    plan: &Plan,
    clusters: &Clusters,
    arranged: &mut Arranged,
    edit: &UnfoldEdit,
    value: ValueId,
) -> Result<ValueId, Error> {
    let shape = |shape: StreamShape| {
        let channels = edit.channels.or(shape.channels);
        let dtype = DataType::from_onnx(edit.dtype);
        StreamShape { channels, dtype, ..shape }.beside(plan, edit.prefix, edit.suffix)
    };
    let (full, merged) = (shape(StreamShape::full(plan)), shape(StreamShape::merged(plan)));
    let quantization = edit.quantization.as_ref();
    let z = quantize::numbers(b, "reduced_numbers", value, quantization, merged.laid_out(edit.layout))?;
    let z = b.canonical("reduced", z, edit.layout, &merged)?;
    let name = b.name("unfolded");
    let assignment = clusters.assignment();
    // One function serves all copies, and a weighted sum is written for one type.
    let copied = (edit.mode == UnfoldMode::Copy && assignment == Assignment::Soft)
        .then(|| plan.copied_type())
        .filter(|&dtype| dtype != full.dtype);
    let z = cast(b, "reduced_type", z, copied)?;
    let (op, mut inputs, weight, list) = match edit.mode {
        UnfoldMode::Residual => (
            "AilurusUnfoldResidual",
            vec![z, clusters.start, clusters.base, clusters.index],
            clusters.weight,
            UnfoldResidual { assignment }.attributes(),
        ),
        UnfoldMode::Copy => {
            let index = arranged.index(b, plan, clusters, edit.prefix, edit.suffix)?;
            let weight = arranged.weight(b, plan, clusters, edit.prefix, edit.suffix)?;
            ("AilurusUnfold", vec![z, index], weight, Unfold { assignment }.attributes())
        }
    };
    inputs.extend(weight);
    let made = StreamShape { dtype: copied.unwrap_or(full.dtype), ..full.clone() };
    let spec = NodeSpec::new(op, inputs).domain(DOMAIN).name(name.clone()).output(name, Some(made.ty()));
    let y = b.edit.add(attributes(spec, list))?;
    let y = cast(b, "unfolded_type", y, copied.map(|_| full.dtype))?;
    let y = b.restored("unfolded_stream", y, edit.layout, &full)?;
    quantize::stored(b, "unfolded_stored", y, quantization, full.laid_out(edit.layout))
}

/// A value in another type, where one is asked for.
fn cast(b: &mut Build, what: &str, v: ValueId, to: Option<DataType>) -> Result<ValueId, Error> {
    match to {
        None => Ok(v),
        Some(to) => b.op(what, "Cast", &[v], &[("to", Attribute::Int(i64::from(to.to_onnx())))], None),
    }
}
