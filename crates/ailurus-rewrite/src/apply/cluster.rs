//! Inserts clustering and merging at the cut.

use super::{
    Clusters, Targets,
    build::{Build, StreamShape},
    metric, quantize,
};
use crate::{DOMAIN, error::Error, plan::Plan};
use ailurus_onnx::{Attribute, DataType, NodeSpec, Use, ValueId};
use ailurus_ops::{AttrValue, Attributes, DensityPeaks};

/// Parameters of the clustering operator.
pub fn parameters(plan: &Plan) -> DensityPeaks {
    let t = &plan.tokens;
    let mut p = DensityPeaks::new(t.prefix, t.suffix, t.grid, t.keep.into());
    (p.neighbors, p.window, p.spatial_mix) = (plan.cluster.neighbors, plan.cluster.window, plan.cluster.spatial_mix);
    p
}

/// Operator attributes as node attributes.
pub fn attributes(mut spec: NodeSpec, list: Attributes) -> NodeSpec {
    for (name, value) in list {
        spec = spec.attribute(
            name,
            match value {
                AttrValue::Int(v) => Attribute::Int(v),
                AttrValue::Float(v) => Attribute::Float(v),
                AttrValue::Str(v) => Attribute::Str(v.into_bytes()),
            },
        );
    }
    spec
}

pub fn insert(b: &mut Build, plan: &Plan, targets: &Targets) -> Result<Clusters, Error> {
    let (full, merged) = (StreamShape::full(plan), StreamShape::merged(plan));
    let quantization = plan.cut.quantization.as_ref();
    let numbers = quantize::numbers(b, "stream_numbers", targets.cut, quantization, full.laid_out(plan.cut.layout))?;
    let base = b.canonical("stream", numbers, plan.cut.layout, &full)?;
    let measured = metric::value(b, plan, targets, base)?;

    let mut inputs = vec![measured];
    inputs.extend(grid(b, plan)?);
    let name = b.name("density_peaks");
    let mut spec = NodeSpec::new("AilurusDensityPeaks", inputs).domain(DOMAIN).name(name);
    for (what, ty) in [
        ("index", full.rows(DataType::I32)),
        ("anchor", merged.rows(DataType::I32)),
        ("size", merged.rows(DataType::F32)),
    ] {
        let name = b.name(what);
        spec = spec.output(name, Some(ty));
    }
    let node = b.edit.add_node(attributes(spec, parameters(plan).attributes()))?;
    let outputs = b.edit.outputs(node);
    let [index, anchor, size] = outputs[..] else {
        return Err(Error::Plan("the clustering node has lost an output".into()));
    };

    let name = b.name("merged");
    let spec = NodeSpec::new("AilurusMerge", [base, index, size])
        .domain(DOMAIN)
        .name(name.clone())
        .output(name, Some(merged.ty()));
    let mut start = b.edit.add(attributes(spec, ailurus_ops::Merge.attributes()))?;
    let mut stream = b.restored("merged_stream", start, plan.cut.layout, &merged)?;
    if quantization.is_some() {
        let ty = merged.laid_out(plan.cut.layout);
        stream = quantize::stored(b, "merged_stored", stream, quantization, ty.clone())?;
        // The update of a cluster counts from what its blocks really start with: the rounded mean.
        let rounded = quantize::numbers(b, "merged_rounded", stream, quantization, ty)?;
        start = b.canonical("merged_start", rounded, plan.cut.layout, &merged)?;
    }
    b.edit.replace_uses(targets.cut, stream, |u| match u {
        Use::Input { node, .. } | Use::Capture { node } => targets.region.contains(&node),
        Use::GraphOutput { .. } => false,
    })?;
    Ok(Clusters { index, anchor, base, start, size })
}

/// Rows and columns at run time, where they are not attributes.
fn grid(b: &mut Build, plan: &Plan) -> Result<Option<ValueId>, Error> {
    let Some(source) = &plan.cut.grid_source else { return Ok(None) };
    let map = b.value(&source.value)?;
    let shape = b.op("map_shape", "Shape", &[map], &[], None)?;
    let which = b.ints(&[source.rows as i64, source.columns as i64])?;
    Ok(Some(b.op("grid", "Gather", &[shape, which], &[("axis", Attribute::Int(0))], None)?))
}
