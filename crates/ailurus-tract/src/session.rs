//! A model loaded by tract.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use ailurus_runtime::{Dim, Optimization, Outputs, Session, SessionOptions, Tensor, ValueInfo, check_inputs};
use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto};
use tract_onnx::pb::{tensor_shape_proto, type_proto};
use tract_onnx::prelude::multithread::{Executor, multithread_tract_scope};
use tract_onnx::prelude::{
    InferenceFact, InferenceModel, InferenceModelExt, IntoTValue, TVec, TractResult, TypedFact, TypedModel, TypedOp,
};
use tract_onnx::tract_core::plan::SimplePlan;

use crate::guard::guard;
use crate::value::{data_type, datum_type, from_tract, to_tract};
use crate::{Error, Result};

type Plan = SimplePlan<TypedFact, Box<dyn TypedOp>>;

/// How many input shapes keep their plan; a plan holds packed copies of the weights.
const KEPT_PLANS: usize = 4;

/// A model, and its plans for the input shapes that were used.
///
/// tract plans for fixed shapes: symbolic dimensions take the value that the inputs of a run have.
pub(crate) struct TractSession {
    model: InferenceModel,
    optimization: Optimization,
    /// The threads to run on; rayon's own when `None`.
    pool: Option<rayon::ThreadPool>,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    plans: Mutex<BTreeMap<Vec<Vec<usize>>, Arc<Plan>>>,
}

impl TractSession {
    pub(crate) fn new(onnx: &Onnx, proto: &ModelProto, folder: Option<&str>, options: &SessionOptions) -> Result<Self> {
        let graph = proto.graph.as_ref().ok_or_else(|| Error::Read("it holds no graph".into()))?;
        check_operators(onnx, proto, graph)?;
        let initialized: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        let inputs = graph.input.iter().filter(|i| !initialized.contains(i.name.as_str()));
        let inputs: Vec<ValueInfo> = inputs.map(describe).collect();
        let outputs: Vec<ValueInfo> = graph.output.iter().map(describe).collect();
        check_outputs(graph, &outputs)?;
        let parsed = guard(|| onnx.parse(proto, folder)).map_err(Error::Read)?;
        if let Some(name) = parsed.unresolved_inputs.first() {
            return Err(Error::Read(format!("nothing produces {name:?}")));
        }
        let optimization = if is_quantized(graph) { Optimization::None } else { options.optimization };
        let pool = options.threads.map(pool).transpose()?;
        let plans = Mutex::default();
        Ok(TractSession { model: parsed.model, optimization, pool, inputs, outputs, plans })
    }

    /// The plan for inputs of these shapes.
    fn plan(&self, tensors: &[&Tensor]) -> Result<Arc<Plan>> {
        let key: Vec<Vec<usize>> = tensors.iter().map(|t| t.dims().to_vec()).collect();
        // The map is consistent between any two operations on it, also after a panic elsewhere.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&key) {
            return Ok(plan.clone());
        }
        let plan = self.prepare(tensors).map_err(|reason| {
            let shapes = key.iter().map(|d| format!("{d:?}")).collect::<Vec<_>>().join(", ");
            Error::Prepare { shapes, reason }
        })?;
        if plans.len() >= KEPT_PLANS {
            plans.pop_first();
        }
        plans.insert(key, plan.clone());
        Ok(plan)
    }
}

impl TractSession {
    /// A new plan, as optimised as tract manages.
    ///
    /// Some of tract's own passes fail on graphs that it runs well without them, so a failure is
    /// answered with the next plainer form; the error reported is that of the plainest.
    fn prepare(&self, tensors: &[&Tensor]) -> Result<Arc<Plan>, String> {
        let typed = guard(|| {
            let mut model = self.model.clone();
            for (at, tensor) in tensors.iter().enumerate() {
                let kind = datum_type(tensor.data_type());
                model.set_input_fact(at, InferenceFact::dt_shape(kind, tensor.dims()))?;
            }
            model.into_typed()
        })?;
        if self.optimization != Optimization::None {
            type Form = fn(TypedModel) -> TractResult<TypedModel>;
            let forms: [(&str, Form); 2] =
                [("optimized", |m| m.into_optimized()), ("decluttered", |m| m.into_decluttered())];
            for (name, form) in forms {
                match guard(|| SimplePlan::new(form(typed.clone())?)) {
                    Ok(plan) => return Ok(plan),
                    Err(reason) => tracing::debug!(form = name, reason, "tract pass failed"),
                }
            }
        }
        guard(|| SimplePlan::new(typed))
    }
}

impl Session for TractSession {
    fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    fn run(&self, inputs: &[(&str, &Tensor)]) -> ailurus_runtime::Result<Outputs> {
        let tensors = check_inputs(&self.inputs, inputs)?;
        let plan = self.plan(&tensors)?;
        let run = || {
            let values: TVec<_> = tensors.iter().map(|t| Ok(to_tract(t)?.into_tvalue())).collect::<TractResult<_>>()?;
            // "Global" means the pool of the calling thread, as everywhere in rayon.
            multithread_tract_scope(Executor::RayonGlobal, || plan.run(values))
        };
        let values = guard(|| match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        })
        .map_err(Error::Run)?;
        let named = self.outputs.iter().zip(values.iter());
        named.map(|(o, v)| Ok((o.name.clone(), from_tract(&o.name, v)?))).collect()
    }
}

/// True when the graph computes with quantised values.
///
/// tract's passes move quantisation across operators and change results far beyond rounding
/// (measured on models with QuantizeLinear and DequantizeLinear: cosine 0.6 instead of 0.999).
fn is_quantized(graph: &GraphProto) -> bool {
    graph.node.iter().any(|n| n.op_type.ends_with("QuantizeLinear"))
}

/// Refuses what tract has no operator for, before it is met in the middle of an analysis.
fn check_operators(onnx: &Onnx, proto: &ModelProto, graph: &GraphProto) -> Result<()> {
    for node in &graph.node {
        // tract looks operators up by name alone; these two share only their name.
        let namesake = node.op_type == "Attention" && node.domain == "com.microsoft";
        if onnx.op_register.0.contains_key(&node.op_type) && !namesake {
            continue;
        }
        let is_function = proto.functions.iter().any(|f| f.name() == node.op_type && f.domain() == node.domain);
        let node_name = node.name.clone();
        return Err(if is_function {
            Error::Function { function: node.op_type.clone(), node: node_name }
        } else {
            Error::Operator { operator: node.op_type.clone(), node: node_name }
        });
    }
    Ok(())
}

/// A pool of this many threads.
fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.build().map_err(|e| Error::Run(e.to_string()))
}

/// Refuses outputs that nothing produces.
fn check_outputs(graph: &GraphProto, outputs: &[ValueInfo]) -> Result<()> {
    let produced: BTreeSet<&str> = (graph.input.iter().map(|i| i.name.as_str()))
        .chain(graph.initializer.iter().map(|t| t.name.as_str()))
        .chain(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)))
        .collect();
    match outputs.iter().find(|o| !produced.contains(o.name.as_str())) {
        Some(o) => Err(Error::Read(format!("nothing produces the output {:?}", o.name))),
        None => Ok(()),
    }
}

/// A declaration as plain data.
fn describe(value: &ValueInfoProto) -> ValueInfo {
    let tensor = value.r#type.as_ref().and_then(|t| t.value.as_ref()).map(|v| {
        let type_proto::Value::TensorType(tensor) = v;
        tensor
    });
    ValueInfo {
        name: value.name.clone(),
        data_type: tensor.and_then(|t| data_type(t.elem_type)),
        dims: tensor
            .and_then(|t| t.shape.as_ref())
            .map(|shape| shape.dim.iter().map(|d| dim(d.value.as_ref())).collect()),
    }
}

fn dim(value: Option<&tensor_shape_proto::dimension::Value>) -> Dim {
    use tensor_shape_proto::dimension::Value;
    match value {
        Some(Value::DimValue(n)) => usize::try_from(*n).map_or(Dim::Unknown, Dim::Known),
        Some(Value::DimParam(s)) if !s.is_empty() => Dim::Symbol(s.clone()),
        _ => Dim::Unknown,
    }
}
