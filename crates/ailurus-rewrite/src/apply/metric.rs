//! What distances are measured on: the stream, or the head-mean keys of the next block computed on all tokens.

use super::{
    Targets,
    build::{Build, StreamShape, floats},
    quantize,
};
use crate::{
    error::Error,
    plan::{KeysPlan, MetricPlan, Plan, Scales},
};
use ailurus_analyze::{
    constants::{Scaled, Stored},
    walk::ancestors,
};
use ailurus_onnx::{DataType, Model, NodeSpec, Storage, Tensor, ValueId};
use ailurus_ops::keys::{KeyProjection, fold_mean_keys};
use std::collections::HashMap;

pub fn value(b: &mut Build, plan: &Plan, targets: &Targets, base: ValueId) -> Result<ValueId, Error> {
    match &plan.metric {
        MetricPlan::Stream => Ok(base),
        MetricPlan::Keys(keys) => head_mean_keys(b, plan, targets, keys),
    }
}

fn head_mean_keys(b: &mut Build, plan: &Plan, targets: &Targets, keys: &KeysPlan) -> Result<ValueId, Error> {
    let full = StreamShape::full(plan);
    let input = clone_path(b, targets.cut, keys)?;
    let input = quantize::numbers(b, "keys/numbers", input, keys.quantization.as_ref(), full.laid_out(keys.layout))?;
    let input = b.canonical("keys/input", input, keys.layout, &full)?;
    let (weight, bias) = fold(b, keys, full.dtype)?;
    let width = Some(keys.columns.head_dim as i64);
    let ty = StreamShape { channels: width, ..full }.ty();
    let weight = b.edit.add_initializer(weight)?;
    let product = b.op("keys/product", "MatMul", &[input, weight], &[], Some(ty.clone()))?;
    match bias {
        None => Ok(product),
        Some(bias) => {
            let bias = b.edit.add_initializer(bias)?;
            b.op("keys", "Add", &[product, bias], &[], Some(ty))
        }
    }
}

/// Repeats the nodes between the cut and the projection (the norm) on the full stream.
fn clone_path(b: &mut Build, cut: ValueId, keys: &KeysPlan) -> Result<ValueId, Error> {
    let mut made: HashMap<ValueId, ValueId> = HashMap::new();
    for first in &keys.path {
        let id = b.node(first)?;
        let node = b.edit.graph().node(id).clone();
        let mut spec = NodeSpec { op_type: node.op_type.clone(), domain: node.domain.clone(), ..NodeSpec::default() };
        spec.name = b.name(&format!("keys/{}", node.op_type));
        spec.inputs = node.inputs.iter().map(|i| i.map(|v| made.get(&v).copied().unwrap_or(v))).collect();
        spec.attributes = node.attributes.clone();
        for &output in &node.outputs {
            let Some(v) = output else {
                spec.outputs.push((String::new(), None));
                continue;
            };
            let old = b.edit.graph().value(v).clone();
            let name = b.name(&format!("keys/{}", old.name));
            spec.outputs.push((name, old.ty));
        }
        let clone = b.edit.add_node(spec)?;
        let outputs = b.edit.graph().node(clone).outputs.clone();
        made.extend(node.outputs.iter().zip(outputs).filter_map(|(old, new)| Some(((*old)?, new?))));
    }
    let input = b.value(&keys.input)?;
    match made.get(&input) {
        Some(&v) => Ok(v),
        None if input == cut => Ok(cut),
        None => Err(Error::Plan(format!("the path of the keys does not end in `{}`", keys.input))),
    }
}

/// Averages the key columns over heads: `[C, d]` and `[d]`. The norm in front stays in the graph, affine part included.
/// Of weights that the file does not carry, only type and shape are known, and so it is with the average.
fn fold(b: &mut Build, keys: &KeysPlan, dtype: DataType) -> Result<(Tensor, Option<Tensor>), Error> {
    let model = b.edit.model();
    let foreign = |name: &str| Error::Foreign { what: "the constant", name: name.to_owned() };
    let find = |name: &str, scales: &Option<Scales>| {
        let scaled = match scales {
            None => None,
            Some(s) => Some(Scaled {
                scale: b.value(&s.scale)?,
                zero_point: s.zero_point.as_deref().map(|z| b.value(z)).transpose()?,
                axis: s.axis,
            }),
        };
        Ok::<_, Error>(Stored { value: b.value(name)?, scaled })
    };
    let constant = |name: &str, scales: &Option<Scales>| {
        let stored = find(name, scales)?;
        if let Some(found) = stored.floats(model) {
            return Ok(found);
        }
        // where a file is missing, this says so
        if let Some(t) = model.graph.constant(stored.value) {
            model.f32s(&t)?;
        }
        Err(foreign(name))
    };
    let dims = find(&keys.weight, &keys.weight_scales)?.shape(model).ok_or_else(|| foreign(&keys.weight))?;
    let [first, second] = dims[..] else { return Err(Error::Plan("key weights are not a matrix".into())) };
    let (channels, columns) = if keys.transposed { (second, first) } else { (first, second) };
    let width = keys.columns.head_dim as i64;
    let shapes = [vec![channels as i64, width], vec![width]];
    let stored: Vec<ValueId> =
        [Some(&keys.weight), keys.bias.as_ref()].into_iter().flatten().map(|n| b.value(n)).collect::<Result<_, _>>()?;
    if stored.iter().any(|&v| is_absent(model, v)) {
        let absent = |name: String, dims: &[i64]| Tensor { name, dtype, dims: dims.to_vec(), storage: Storage::Absent };
        let weight = absent(b.name("keys/weight"), &shapes[0]);
        let bias = keys.bias.is_some().then(|| absent(b.name("keys/bias"), &shapes[1]));
        return Ok((weight, bias));
    }
    let weight = constant(&keys.weight, &keys.weight_scales)?;
    let bias = match &keys.bias {
        None => None,
        Some(name) => {
            let bias = constant(name, &keys.bias_scales)?.data;
            Some(if bias.len() == 1 { vec![bias[0]; columns] } else { bias })
        }
    };
    let projection = KeyProjection {
        weight: &weight.data[..],
        bias: bias.as_deref(),
        channels,
        columns,
        transposed: keys.transposed,
        keys: keys.columns.into(),
    };
    let folded = fold_mean_keys(&projection, None)?;
    let weight = floats(b.name("keys/weight"), dtype, &shapes[0], &folded.weight);
    let bias = bias.map(|_| floats(b.name("keys/bias"), dtype, &shapes[1], &folded.bias));
    Ok((weight, bias))
}

/// True when a constant is made from elements that the file does not carry.
fn is_absent(model: &Model, v: ValueId) -> bool {
    let g = &model.graph;
    let absent = |v| g.constant(v).is_some_and(|t| t.storage == Storage::Absent && !t.is_empty());
    let made_from = ancestors(g, [v]);
    absent(v) || g.nodes().any(|(id, n)| made_from.contains(id) && n.inputs.iter().flatten().any(|&i| absent(i)))
}
