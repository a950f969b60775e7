//! Function bodies of the operators a plan uses, from the plain data of `ailurus-ops`.

use crate::{
    DOMAIN,
    apply::{density_peaks, grid_kmeans},
    error::Error,
    options::UnfoldMode,
    plan::{ClusterPlan, Plan},
};
use ailurus_onnx::{Attribute, DataType, FunctionNode, FunctionSpec, GraphEdit, OpsetImport, Storage, Tensor};
use ailurus_ops::{
    Assignment, ElementType, Merge, Unfold, UnfoldResidual,
    body::{Body, BodyAttr, BodyData, BodyOptions, BodyTensor},
};

/// Adds a function for each operator the plan uses.
pub fn add(edit: &mut GraphEdit, plan: &Plan) -> Result<(), Error> {
    let element = |dtype| if dtype == DataType::F16 { ElementType::F16 } else { ElementType::F32 };
    let opset = edit.model().opset();
    let options = BodyOptions { opset, element: element(DataType::from_onnx(plan.cut.dtype)) };
    let channels = plan.metric_width()?;
    let (mut list, assignment) = match &plan.cluster {
        ClusterPlan::DensityPeaks(p) => (
            vec![
                ("AilurusDensityPeaks", density_peaks(plan, p).body(options, channels)?),
                ("AilurusMerge", Merge.body(options)?),
            ],
            Assignment::Hard,
        ),
        ClusterPlan::Expedit { expedit } => {
            (vec![("AilurusGridKMeans", grid_kmeans(plan, expedit).body(options, channels)?)], Assignment::Soft)
        }
        ClusterPlan::Pool { .. } => (vec![], Assignment::Soft),
        ClusterPlan::Windows { .. } => (vec![("AilurusMerge", Merge.body(options)?)], Assignment::Hard),
    };
    let uses = |mode: UnfoldMode| plan.unfolds.iter().any(|u| u.mode == mode);
    if uses(UnfoldMode::Residual) {
        list.push(("AilurusUnfoldResidual", UnfoldResidual { assignment }.body(options)?));
    }
    if uses(UnfoldMode::Copy) {
        let copied = BodyOptions { opset, element: element(plan.copied_type()) };
        list.push(("AilurusUnfold", Unfold { assignment }.body(copied)?));
    }
    for (name, body) in list {
        edit.add_function(function(name, body))?;
    }
    edit.import_opset(DOMAIN, 1);
    Ok(())
}

fn function(name: &str, body: Body) -> FunctionSpec {
    FunctionSpec {
        name: name.to_owned(),
        domain: DOMAIN.to_owned(),
        inputs: body.inputs,
        outputs: body.outputs,
        attributes: Vec::new(),
        opset_imports: vec![OpsetImport { domain: String::new(), version: body.opset }],
        doc: body.doc,
        nodes: body
            .nodes
            .into_iter()
            .map(|n| FunctionNode {
                name: String::new(),
                op_type: n.op_type.to_owned(),
                domain: String::new(),
                inputs: n.inputs,
                outputs: n.outputs,
                attributes: n.attributes.into_iter().map(|(k, v)| (k.to_owned(), attribute(v))).collect(),
            })
            .collect(),
    }
}

fn attribute(a: BodyAttr) -> Attribute {
    match a {
        BodyAttr::Int(v) => Attribute::Int(v),
        BodyAttr::Float(v) => Attribute::Float(v),
        BodyAttr::Ints(v) => Attribute::Ints(v),
        BodyAttr::Floats(v) => Attribute::Floats(v),
        BodyAttr::Str(v) => Attribute::Str(v.into_bytes()),
        BodyAttr::Tensor(t) => Attribute::Tensor(tensor(t)),
    }
}

fn tensor(t: BodyTensor) -> Tensor {
    fn bytes<T, const N: usize>(v: Vec<T>, f: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        v.into_iter().flat_map(f).collect()
    }
    let (dtype, data) = match t.data {
        BodyData::I64(v) => (DataType::I64, bytes(v, i64::to_le_bytes)),
        BodyData::I32(v) => (DataType::I32, bytes(v, i32::to_le_bytes)),
        BodyData::F32(v) => (DataType::F32, bytes(v, f32::to_le_bytes)),
        BodyData::F64(v) => (DataType::F64, bytes(v, f64::to_le_bytes)),
        BodyData::Bool(v) => (DataType::Bool, bytes(v, |b| [u8::from(b)])),
    };
    Tensor { name: String::new(), dtype, dims: t.dims, storage: Storage::Memory(data.into()) }
}
