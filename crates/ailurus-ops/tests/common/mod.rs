//! Runs operator bodies in ONNX Runtime through Python, when there is a Python that has it.

// Every test binary uses its own part of this.
#![allow(dead_code)]

pub mod data;

use ailurus_ops::body::{Body, BodyAttr, BodyData, BodyTensor};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tensor on its way to or from Python.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub name: &'static str,
    pub dtype: &'static str,
    pub dims: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Tensor {
    pub fn f32(name: &'static str, dims: &[usize], data: &[f32]) -> Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name, dtype: "f32", dims: dims.to_vec(), bytes }
    }
    pub fn f16(name: &'static str, dims: &[usize], data: &[half::f16]) -> Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name, dtype: "f16", dims: dims.to_vec(), bytes }
    }
    pub fn i32(name: &'static str, dims: &[usize], data: &[i32]) -> Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name, dtype: "i32", dims: dims.to_vec(), bytes }
    }
    pub fn i64(name: &'static str, dims: &[usize], data: &[i64]) -> Self {
        let bytes = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name, dtype: "i64", dims: dims.to_vec(), bytes }
    }
    /// Elements as f32, whatever the type.
    pub fn values(&self) -> Vec<f32> {
        match self.dtype {
            "f32" => self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            "f16" => {
                self.bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect()
            }
            "i32" => self.bytes.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as f32).collect(),
            other => panic!("{other}"),
        }
    }
}

/// A body to run.
pub struct Case {
    pub op: &'static str,
    pub body: Body,
    pub model_opset: i64,
    pub inputs: Vec<Tensor>,
    /// Names and types.
    pub outputs: Vec<(&'static str, &'static str)>,
    pub repeat: usize,
    pub threads: usize,
}

/// What came out, or the runtime's error; and the least wall and processor times in ms if it was timed.
pub struct Outcome {
    pub outputs: Result<Vec<Tensor>, String>,
    pub ms: Option<(f64, f64)>,
}

/// Runs cases, or says why they are skipped.
pub fn run(cases: &[Case]) -> Option<Vec<Outcome>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run_body.py");
    let python = python();
    let versions = Command::new(&python).arg(&script).arg("--versions").output();
    if !versions.is_ok_and(|v| v.status.success()) {
        let why = format!("{} cannot import onnx and onnxruntime (cargo xtask wheels fetches them)", python.display());
        assert!(std::env::var("AILURUS_REQUIRE_RUNTIMES").as_deref() != Ok("1"), "{why}");
        // Written past the test harness, which would swallow what a passing test prints.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (request, reply) = (folder.path().join("request.json"), folder.path().join("reply.json"));
    let list: Vec<Value> = cases.iter().map(encode).collect();
    std::fs::write(&request, serde_json::to_vec(&list).unwrap()).unwrap();
    if let Some(copy) = std::env::var_os("AILURUS_KEEP_REQUEST") {
        std::fs::copy(&request, copy).unwrap();
    }
    let ran = Command::new(&python).arg(&script).arg(&request).arg(&reply).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let replies: Vec<Value> = serde_json::from_slice(&std::fs::read(&reply).unwrap()).unwrap();
    assert_eq!(replies.len(), cases.len());
    Some(cases.iter().zip(&replies).map(|(case, reply)| decode(case, reply)).collect())
}

fn python() -> PathBuf {
    match std::env::var_os("AILURUS_PYTHON") {
        Some(python) => python.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/venv/bin/python"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn encode(case: &Case) -> Value {
    let nodes: Vec<Value> = case
        .body
        .nodes
        .iter()
        .map(|n| {
            let attributes: Vec<Value> = n.attributes.iter().map(|(name, a)| json!([name, attribute(a)])).collect();
            json!({"op_type": n.op_type, "inputs": n.inputs, "outputs": n.outputs, "attributes": attributes})
        })
        .collect();
    let inputs: Vec<Value> = case
        .inputs
        .iter()
        .map(|t| json!({"name": t.name, "dtype": t.dtype, "dims": t.dims, "data": hex(&t.bytes)}))
        .collect();
    let outputs: Vec<Value> = case.outputs.iter().map(|(name, dtype)| json!({"name": name, "dtype": dtype})).collect();
    json!({
        "op": case.op, "model_opset": case.model_opset, "inputs": inputs, "outputs": outputs,
        "body": {"inputs": case.body.inputs, "outputs": case.body.outputs, "opset": case.body.opset, "nodes": nodes},
        "repeat": case.repeat, "threads": case.threads,
        "profile": std::env::var("AILURUS_PROFILE").ok(),
    })
}

fn attribute(attribute: &BodyAttr) -> Value {
    match attribute {
        BodyAttr::Int(v) => json!({"int": v}),
        BodyAttr::Float(v) => json!({"float": v}),
        BodyAttr::Ints(v) => json!({"ints": v}),
        BodyAttr::Floats(v) => json!({"floats": v}),
        BodyAttr::Str(v) => json!({"str": v}),
        BodyAttr::Tensor(BodyTensor { dims, data }) => {
            let (dtype, bytes): (&str, Vec<u8>) = match data {
                BodyData::I64(v) => ("i64", v.iter().flat_map(|v| v.to_le_bytes()).collect()),
                BodyData::I32(v) => ("i32", v.iter().flat_map(|v| v.to_le_bytes()).collect()),
                BodyData::F32(v) => ("f32", v.iter().flat_map(|v| v.to_le_bytes()).collect()),
                BodyData::F64(v) => ("f64", v.iter().flat_map(|v| v.to_le_bytes()).collect()),
                BodyData::Bool(v) => ("bool", v.iter().map(|&v| v.into()).collect()),
            };
            json!({"tensor": {"dtype": dtype, "dims": dims, "data": hex(&bytes)}})
        }
    }
}

fn decode(case: &Case, reply: &Value) -> Outcome {
    if let Some(error) = reply["error"].as_str() {
        return Outcome { outputs: Err(error.into()), ms: None };
    }
    let outputs = reply["outputs"].as_array().unwrap().iter().zip(&case.outputs).map(|(o, &(name, dtype))| Tensor {
        name,
        dtype,
        dims: o["dims"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect(),
        bytes: unhex(o["data"].as_str().unwrap()),
    });
    let ms = reply["ms"].as_array().map(|ms| (ms[0].as_f64().unwrap(), ms[1].as_f64().unwrap()));
    Outcome { outputs: Ok(outputs.collect()), ms }
}
