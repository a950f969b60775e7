//! Inserts clustering and merging at the cut.

use super::{
    Clusters, Targets,
    build::{Build, StreamShape},
    metric, pool, quantize, windows,
};
use crate::{
    DOMAIN,
    error::Error,
    method,
    plan::{ClusterPlan, DensityPeaksPlan, ExpeditPlan, Plan},
};
use ailurus_onnx::{Attribute, DataType, Dim, NodeSpec, TensorType, Use, ValueId};
use ailurus_ops::{AttrValue, Attributes, DensityPeaks, GridKMeans};

/// Parameters of density peaks.
pub fn density_peaks(plan: &Plan, peaks: &DensityPeaksPlan) -> DensityPeaks {
    let t = &plan.tokens;
    let plain = DensityPeaks::new(t.prefix, t.suffix, t.grid, t.keep.into());
    let DensityPeaksPlan { neighbors, window, spatial_mix } = *peaks;
    DensityPeaks { neighbors, window, spatial_mix, ..plain }
}

/// Parameters of grid k-means.
pub fn grid_kmeans(plan: &Plan, expedit: &ExpeditPlan) -> GridKMeans {
    method::grid_kmeans(plan.tokens.prefix, plan.tokens.suffix, plan.tokens.grid, expedit)
}

/// Rows that a token is made of, where it is made of several.
pub fn choices(plan: &Plan) -> Result<usize, Error> {
    match &plan.cluster {
        ClusterPlan::Expedit { expedit } => Ok(grid_kmeans(plan, expedit).choices()),
        ClusterPlan::Pool { .. } => Ok(pool::CHOICES),
        ClusterPlan::DensityPeaks(_) | ClusterPlan::Windows { .. } => {
            Err(Error::Plan("it asks for weights of clusters that have none".into()))
        }
    }
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
                AttrValue::Ints(v) => Attribute::Ints(v),
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
    let grid = grid(b, plan)?;
    let made = match &plan.cluster {
        ClusterPlan::DensityPeaks(peaks) => peaks_and_means(b, plan, targets, peaks, base, grid)?,
        ClusterPlan::Expedit { expedit } => centres(b, plan, expedit, base, grid)?,
        ClusterPlan::Pool { pool } => pool::insert(b, plan, pool, base)?,
        ClusterPlan::Windows { .. } => {
            let measured = metric::value(b, plan, targets, base)?;
            let windows::Partition { index, anchor, size } = windows::insert(b, plan, measured)?;
            merged_means(b, plan, base, [index, anchor, size])?
        }
    };
    let mut start = made.start;
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
    Ok(Clusters { start, grid, ..made })
}

/// Density peaks, and the means of their members.
fn peaks_and_means(
    b: &mut Build,
    plan: &Plan,
    targets: &Targets,
    peaks: &DensityPeaksPlan,
    base: ValueId,
    grid: Option<ValueId>,
) -> Result<Clusters, Error> {
    let (full, merged) = (StreamShape::full(plan), StreamShape::merged(plan));
    let measured = metric::value(b, plan, targets, base)?;
    let outputs = [
        ("index", full.rows(DataType::I32)),
        ("anchor", merged.rows(DataType::I32)),
        ("size", merged.rows(DataType::F32)),
    ];
    let list = density_peaks(plan, peaks).attributes();
    let spec = NodeSpec::new("AilurusDensityPeaks", [measured].into_iter().chain(grid));
    let [index, anchor, size] = node(b, "density_peaks", spec, outputs, list, grid.is_some())?;
    merged_means(b, plan, base, [index, anchor, size])
}

/// The means of the members of each row.
fn merged_means(b: &mut Build, plan: &Plan, base: ValueId, partition: [ValueId; 3]) -> Result<Clusters, Error> {
    let [index, anchor, size] = partition;
    let merged = StreamShape::merged(plan);
    let name = b.name("merged");
    let spec = NodeSpec::new("AilurusMerge", [base, index, size])
        .domain(DOMAIN)
        .name(name.clone())
        .output(name, Some(merged.ty()));
    let start = b.edit.add(attributes(spec, ailurus_ops::Merge.attributes()))?;
    Ok(Clusters { index, weight: None, anchor: Some(anchor), base, start, size: Some(size), grid: None })
}

/// Grid k-means.
fn centres(
    b: &mut Build,
    plan: &Plan,
    expedit: &ExpeditPlan,
    base: ValueId,
    grid: Option<ValueId>,
) -> Result<Clusters, Error> {
    let (full, merged) = (StreamShape::full(plan), StreamShape::merged(plan));
    let params = grid_kmeans(plan, expedit);
    let choices = StreamShape { channels: Some(params.choices() as i64), ..full };
    let outputs = [
        ("merged", merged.ty()),
        ("index", StreamShape { dtype: DataType::I32, ..choices.clone() }.ty()),
        ("weight", StreamShape { dtype: DataType::F32, ..choices }.ty()),
    ];
    let list = params.attributes();
    let spec = NodeSpec::new("AilurusGridKMeans", [base].into_iter().chain(grid));
    let [start, index, weight] = node(b, "grid_kmeans", spec, outputs, list, grid.is_some())?;
    Ok(Clusters { index, weight: Some(weight), anchor: None, base, start, size: None, grid: None })
}

/// A node that clusters; one whose grid is an input also has the output `map`.
fn node(
    b: &mut Build,
    name: &str,
    spec: NodeSpec,
    outputs: [(&str, TensorType); 3],
    list: Attributes,
    has_map: bool,
) -> Result<[ValueId; 3], Error> {
    let name = b.name(name);
    let mut spec = spec.domain(DOMAIN).name(name);
    for (what, ty) in outputs {
        let name = b.name(what);
        spec = spec.output(name, Some(ty));
    }
    if has_map {
        // Nothing reads it. TensorRT's parser wants nodes to have all outputs of their plugins.
        let name = b.name("map");
        spec = spec.output(name, Some(TensorType { dtype: DataType::I32, shape: Some(vec![Dim::Unknown; 2]) }));
    }
    let node = b.edit.add_node(attributes(spec, list))?;
    let outputs = b.edit.outputs(node);
    let first = outputs.get(..3).and_then(|first| first.try_into().ok());
    first.ok_or_else(|| Error::Plan("the clustering node has lost an output".into()))
}

/// Rows and columns at run time, where they are not attributes.
fn grid(b: &mut Build, plan: &Plan) -> Result<Option<ValueId>, Error> {
    let Some(source) = &plan.cut.grid_source else { return Ok(None) };
    let map = b.value(&source.value)?;
    let shape = b.op("map_shape", "Shape", &[map], &[], None)?;
    let which = b.ints(&[source.rows as i64, source.columns as i64])?;
    Ok(Some(b.op("grid", "Gather", &[shape, which], &[("axis", Attribute::Int(0))], None)?))
}
