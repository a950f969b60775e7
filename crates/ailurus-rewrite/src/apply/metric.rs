//! What distances are measured on: the stream, or the head-mean keys of the next block computed on all tokens.

use super::{
    Targets,
    build::{Build, StreamShape},
};
use crate::{
    error::Error,
    plan::{KeysPlan, MetricPlan, Plan},
};
use ailurus_onnx::{DataType, NodeSpec, Tensor, ValueId};
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
    let input = b.to_canonical("keys/input", input, keys.layout, &full)?;
    let (weight, bias) = fold(b, keys)?;
    let width = keys.heads.first().map(|h| h.len() as i64);
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

/// Averages the key columns over heads: `[C, d]` and `[d]`, in double precision.
fn fold(b: &mut Build, keys: &KeysPlan) -> Result<(Tensor, Option<Tensor>), Error> {
    let model = b.edit.model();
    let constant = |name: &str| {
        let v = b.value(name)?;
        let t = model.graph.constant(v).map(std::borrow::Cow::into_owned);
        t.ok_or_else(|| Error::Foreign { what: "the constant", name: name.to_owned() })
    };
    let t = constant(&keys.weight)?;
    let data = model.f32s(&t)?;
    let [first, second] = t.dims[..] else { return Err(Error::Plan("key weights are not a matrix".into())) };
    let (rows, columns) = if keys.transposed { (second, first) } else { (first, second) };
    let (rows, columns) = (rows.max(0) as usize, columns.max(0) as usize);
    let width = keys.heads.first().map_or(0, Vec::len);
    let sound = keys.heads.iter().all(|h| h.len() == width && h.iter().all(|&j| j < columns));
    if width == 0 || !sound || data.len() != rows * columns {
        return Err(Error::Plan("the key columns do not fit the weights".into()));
    }
    let at = |i: usize, j: usize| f64::from(if keys.transposed { data[j * rows + i] } else { data[i * columns + j] });
    let share = 1.0 / keys.heads.len() as f64;
    let mean = |f: &dyn Fn(usize) -> f64, d: usize| (keys.heads.iter().map(|h| f(h[d])).sum::<f64>() * share) as f32;
    let mut weight = Vec::with_capacity(rows * width);
    for i in 0..rows {
        weight.extend((0..width).map(|d| mean(&|j| at(i, j), d)));
    }
    let bias = match &keys.bias {
        None => None,
        Some(name) => {
            let t = constant(name)?;
            let data = model.f32s(&t)?;
            let get = |j: usize| data.get(if data.len() == 1 { 0 } else { j }).copied().unwrap_or(0.0);
            Some((0..width).map(|d| mean(&|j| f64::from(get(j)), d)).collect::<Vec<f32>>())
        }
    };
    let (dtype, width) = (t.dtype, width as i64);
    let weight = tensor(b.name("keys/weight"), dtype, &[rows as i64, width], &weight);
    let bias = bias.map(|data| tensor(b.name("keys/bias"), dtype, &[width], &data));
    Ok((weight, bias))
}

/// A constant in the element type of the model.
fn tensor(name: String, dtype: DataType, dims: &[i64], data: &[f32]) -> Tensor {
    if dtype != DataType::F16 {
        return Tensor::from_f32(name, dims, data);
    }
    let bytes: Vec<u8> = data.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    Tensor { name, dtype, dims: dims.to_vec(), storage: ailurus_onnx::Storage::Memory(bytes.into()) }
}
