//! Shared helpers.
#![allow(dead_code, clippy::print_stderr)]

use std::path::{Path, PathBuf};

/// Files of the model zoo; empty, and said so, when the folder is absent.
pub fn zoo() -> Vec<PathBuf> {
    let folder = match std::env::var_os("AILURUS_ZOO") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/zoo"),
    };
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no model zoo at {}; set AILURUS_ZOO", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "onnx"));
    files.sort();
    files
}

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TypeProto, ValueInfoProto, tensor_proto::DataLocation, tensor_shape_proto::dimension, type_proto,
};
use protobuf::Message;

pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.write_to_bytes().unwrap()
}

pub fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into(), ..Default::default() }
}

pub fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: domain.into(), version, ..Default::default() }
}

pub fn info(name: &str, dtype: i32, dims: &[i64]) -> ValueInfoProto {
    let mut tensor = type_proto::Tensor { elem_type: dtype, ..Default::default() };
    let shape = tensor.shape.mut_or_insert_default();
    for &dim in dims {
        let value = if dim < 0 { dimension::Value::DimParam("batch".into()) } else { dimension::Value::DimValue(dim) };
        shape.dim.push(onnx_protobuf::tensor_shape_proto::Dimension { value: Some(value), ..Default::default() });
    }
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), type_: Some(ty).into(), ..Default::default() }
}

pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        name: format!("{op}_{}", outputs.first().unwrap_or(&"")),
        op_type: op.into(),
        input: inputs.iter().map(|s| (*s).into()).collect(),
        output: outputs.iter().map(|s| (*s).into()).collect(),
        ..Default::default()
    }
}

pub fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), type_: kind.into(), ..Default::default() }
}

pub fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: 1,
        dims: vec![values.len() as i64],
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}

pub fn external(name: &str, count: i64, location: &str, offset: Option<u64>, length: Option<u64>) -> TensorProto {
    let mut tensor = TensorProto { name: name.into(), data_type: 1, dims: vec![count], ..Default::default() };
    tensor.data_location = DataLocation::EXTERNAL.into();
    tensor.external_data.push(entry("location", location));
    offset.into_iter().for_each(|v| tensor.external_data.push(entry("offset", &v.to_string())));
    length.into_iter().for_each(|v| tensor.external_data.push(entry("length", &v.to_string())));
    tensor
}

pub fn constant(output: &str, tensor: TensorProto) -> NodeProto {
    let mut n = node("Constant", &[], &[output]);
    let mut value = attribute("value", AttributeType::TENSOR);
    value.t = Some(tensor).into();
    n.attribute.push(value);
    n
}

/// An `If` whose branches return `then` and `other`.
pub fn branch(condition: &str, output: &str, then: GraphProto, other: GraphProto) -> NodeProto {
    let mut n = node("If", &[condition], &[output]);
    for (name, graph) in [("then_branch", then), ("else_branch", other)] {
        let mut value = attribute(name, AttributeType::GRAPH);
        value.g = Some(graph).into();
        n.attribute.push(value);
    }
    n
}

pub fn graph(name: &str, nodes: Vec<NodeProto>, outputs: Vec<ValueInfoProto>) -> GraphProto {
    GraphProto { name: name.into(), node: nodes, output: outputs, ..Default::default() }
}

pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset("", 17)],
        producer_name: "tests".into(),
        graph: Some(graph).into(),
        ..Default::default()
    }
}

/// A model that has one of nearly everything: subgraphs with captures, a function, constants of several forms,
/// `value_info`, metadata, and fields that no schema knows.
pub fn everything() -> ModelProto {
    let then = graph("then", vec![node("Add", &["h", "w"], &["then_out"])], vec![info("then_out", 1, &[-1, 2])]);
    let mut other = graph("else", vec![node("Neg", &["h"], &["else_out"])], vec![info("else_out", 1, &[-1, 2])]);
    other.initializer.push(floats("inner_const", &[1.0; 8]));
    let mut big = floats("w_big", &vec![0.5; 2048]);
    big.doc_string = "kept".into();
    let mut g = graph(
        "main",
        vec![
            node("Relu", &["x"], &["h"]),
            constant("c", floats("", &[1.0, 2.0])),
            branch("cond", "picked", then, other),
            node("Mul", &["picked", "c"], &["scaled"]),
            node("Twice", &["scaled"], &["y"]),
        ],
        vec![info("y", 1, &[-1, 2])],
    );
    g.node[4].domain = "local".into();
    let mut count = attribute("count", AttributeType::INT);
    count.i = 2;
    g.node[4].attribute.push(count);
    g.node[0].metadata_props.push(entry("scope", "a.b"));
    g.input = vec![info("x", 1, &[-1, 2]), info("cond", 9, &[])];
    g.initializer = vec![floats("w", &[1.0, 2.0]), big];
    g.value_info = vec![info("h", 1, &[-1, 2]), info("picked", 1, &[-1, 2])];
    // varint, fixed and bytes that nobody knows
    for message in [&mut g.special_fields, &mut g.node[3].special_fields] {
        message.mut_unknown_fields().add_varint(900, 7);
        message.mut_unknown_fields().add_length_delimited(901, b"unknown".to_vec());
        message.mut_unknown_fields().add_fixed32(902, 9);
    }
    let mut m = model(g);
    m.opset_import.push(opset("local", 1));
    m.metadata_props = vec![entry("author", "nobody"), entry("date", "today")];
    m.functions.push(FunctionProto {
        name: "Twice".into(),
        domain: "local".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        attribute: vec!["count".into()],
        node: vec![node("Add", &["a", "a"], &["t"]), node("Identity", &["t"], &["b"])],
        opset_import: vec![opset("", 17)],
        ..Default::default()
    });
    m
}
