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
use ailurus_onnx::{DataType, NodeId, NodeSpec, Tensor, Use, ValueId};
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
    let uses = b.edit.graph().uses(value).iter().copied();
    uses.filter(|u| match *u {
        Use::Input { node, .. } | Use::Capture { node } => !inside(node),
        Use::GraphOutput { .. } => true,
    })
    .collect()
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
    let (op, inputs, list) = match edit.mode {
        UnfoldMode::Residual => (
            "AilurusUnfoldResidual",
            vec![z, clusters.start, clusters.base, clusters.index],
            UnfoldResidual { assignment: Assignment::Hard }.attributes(),
        ),
        UnfoldMode::Copy => {
            let index = arranged.index(b, plan, clusters, edit.prefix, edit.suffix)?;
            ("AilurusUnfold", vec![z, index], Unfold { assignment: Assignment::Hard }.attributes())
        }
    };
    let spec = NodeSpec::new(op, inputs).domain(DOMAIN).name(name.clone()).output(name, Some(full.ty()));
    let y = b.edit.add(attributes(spec, list))?;
    let y = b.restored("unfolded_stream", y, edit.layout, &full)?;
    quantize::stored(b, "unfolded_stored", y, quantization, full.laid_out(edit.layout))
}
