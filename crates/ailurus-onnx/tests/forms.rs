//! Every form in which ONNX stores a tensor.

mod common;

use ailurus_onnx::{DataType, Model, Storage};
use common::*;
use onnx_protobuf::{ModelProto, TensorProto};

fn with(tensors: Vec<TensorProto>) -> ModelProto {
    let mut g = graph("g", vec![node("Relu", &["x"], &["y"])], vec![info("y", 1, &[1])]);
    g.input = vec![info("x", 1, &[1])];
    g.initializer = tensors;
    model(g)
}

fn tensor(name: &str, data_type: i32, count: i64) -> TensorProto {
    TensorProto { name: name.into(), data_type, dims: vec![count], ..Default::default() }
}

fn load(tensors: Vec<TensorProto>) -> Model {
    Model::from_bytes(encode(&with(tensors))).unwrap()
}

fn first(model: &Model) -> &ailurus_onnx::Tensor {
    model.graph.initializers().next().unwrap().1
}

#[test]
fn typed_fields_become_raw_bytes() {
    let mut f32s = tensor("f32", 1, 3);
    f32s.float_data = vec![1.0, -2.5, 3.0];
    let mut f64s = tensor("f64", 11, 2);
    f64s.double_data = vec![1.0, -2.5];
    let mut i64s = tensor("i64", 7, 3);
    i64s.int64_data = vec![-1, 0, i64::MAX];
    let mut i32s = tensor("i32", 6, 2);
    i32s.int32_data = vec![-7, 7];
    let mut i8s = tensor("i8", 3, 3);
    i8s.int32_data = vec![-128, 0, 127];
    let mut u8s = tensor("u8", 2, 2);
    u8s.int32_data = vec![0, 255];
    let mut bools = tensor("bool", 9, 2);
    bools.int32_data = vec![0, 1];
    let mut f16s = tensor("f16", 10, 2);
    f16s.int32_data = vec![0x3c00, 0xc000];
    let mut bf16s = tensor("bf16", 16, 1);
    bf16s.int32_data = vec![0x3f80];
    let mut u32s = tensor("u32", 12, 1);
    u32s.uint64_data = vec![4_000_000_000];
    let mut u64s = tensor("u64", 13, 1);
    u64s.uint64_data = vec![u64::MAX];
    let model = load(vec![f32s, f64s, i64s, i32s, i8s, u8s, bools, f16s, bf16s, u32s, u64s]);
    let get = |name: &str| model.graph.initializer(model.graph.find(name).unwrap()).unwrap();
    assert_eq!(model.f32s(get("f32")).unwrap(), [1.0, -2.5, 3.0]);
    assert_eq!(model.f32s(get("f64")).unwrap(), [1.0, -2.5]);
    assert_eq!(model.i64s(get("i64")).unwrap(), [-1, 0, i64::MAX]);
    assert_eq!(model.i64s(get("i32")).unwrap(), [-7, 7]);
    assert_eq!(model.i64s(get("i8")).unwrap(), [-128, 0, 127]);
    assert_eq!(model.i64s(get("u8")).unwrap(), [0, 255]);
    assert_eq!(model.i64s(get("bool")).unwrap(), [0, 1]);
    assert_eq!(model.f32s(get("f16")).unwrap(), [1.0, -2.0]);
    assert_eq!(model.f32s(get("bf16")).unwrap(), [1.0]);
    assert_eq!(model.i64s(get("u32")).unwrap(), [4_000_000_000]);
    assert_eq!(model.f32s(get("u64")).unwrap(), [u64::MAX as f32]);
    assert!(model.i64s(get("f32")).is_err());
}

#[test]
fn unpacked_fields_read_the_same() {
    // dims, data_type, float_data one by one, name
    let mut bytes = vec![0x08, 2, 0x10, 1];
    for value in [1.5f32, -2.0] {
        bytes.push(4 << 3 | 5);
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0x42, 1, b'w']);
    let mut ints = vec![0x08, 2, 0x10, 7, 7 << 3, 5, 7 << 3];
    ints.extend([0xff; 9]);
    ints.extend([1, 0x42, 1, b'v']);
    let mut graph = vec![];
    for tensor in [bytes, ints] {
        graph.extend([5 << 3 | 2, tensor.len() as u8]);
        graph.extend(tensor);
    }
    let mut file = vec![0x08, 8, 7 << 3 | 2, graph.len() as u8];
    file.extend(graph);
    let model = Model::from_bytes(file.clone()).unwrap();
    let get = |name: &str| model.graph.initializer(model.graph.find(name).unwrap()).unwrap();
    assert_eq!(model.f32s(get("w")).unwrap(), [1.5, -2.0]);
    assert_eq!(model.i64s(get("v")).unwrap(), [5, -1]);
    assert_eq!(model.to_bytes().unwrap(), file);
}

#[test]
fn large_payloads_stay_in_the_file() {
    let mut typed = tensor("typed", 1, 4000);
    typed.float_data = (0..4000).map(|v| v as f32).collect();
    let raw = floats("raw", &vec![2.0; 4000]);
    let model = load(vec![typed, raw]);
    for (_, tensor) in model.graph.initializers() {
        assert!(matches!(tensor.storage, Storage::Source(_)));
        assert_eq!(model.f32s(tensor).unwrap().len(), 4000);
    }
    assert_eq!(model.f32s(first(&model)).unwrap()[3999], 3999.0);
}

#[test]
fn strings_narrow_and_absent() {
    let mut strings = tensor("s", 8, 2);
    strings.string_data = vec![b"a".to_vec(), vec![0xff]];
    let mut int4 = tensor("int4", 22, 3);
    int4.raw_data = vec![0x21, 0x03];
    let model = load(vec![strings, int4, tensor("gone", 1, 5), tensor("empty", 1, 0)]);
    let all: Vec<_> = model.graph.initializers().map(|(_, t)| t).collect();
    assert!(matches!(&all[0].storage, Storage::Strings(s) if s.len() == 2));
    assert!(model.bytes(all[0]).is_err());
    assert_eq!((all[1].dtype, model.bytes(all[1]).unwrap().len()), (DataType::Other(22), 2));
    assert_eq!(all[2].storage, Storage::Absent);
    assert_eq!(model.bytes(all[2]).unwrap_err().code(), "AIL0113");
    assert_eq!(model.f32s(all[3]).unwrap(), [0.0; 0]);
}

#[test]
fn shape_and_payload_must_agree() {
    let mut wrong = floats("w", &[1.0, 2.0]);
    wrong.dims = vec![i64::MAX, i64::MAX];
    let mut negative = floats("n", &[1.0]);
    negative.dims = vec![-1];
    let model = load(vec![wrong, negative]);
    for (_, tensor) in model.graph.initializers() {
        assert!(model.f32s(tensor).is_err());
    }
}

#[test]
fn constants_of_every_form() {
    use onnx_protobuf::attribute_proto::AttributeType as A;
    let mut g = graph("g", vec![constant("tensor", floats("", &[3.0]))], vec![info("tensor", 1, &[1])]);
    let mut add = |out: &str, name: &str, kind: A, set: &dyn Fn(&mut onnx_protobuf::AttributeProto)| {
        let mut n = node("Constant", &[], &[out]);
        let mut a = attribute(name, kind);
        set(&mut a);
        n.attribute.push(a);
        g.node.push(n);
    };
    add("int", "value_int", A::INT, &|a| a.i = 7);
    add("ints", "value_ints", A::INTS, &|a| a.ints = vec![1, 2]);
    add("float", "value_float", A::FLOAT, &|a| a.f = 0.5);
    add("floats", "value_floats", A::FLOATS, &|a| a.floats = vec![0.5, 1.0]);
    let model = Model::from_bytes(encode(&model(g))).unwrap();
    let get = |name: &str| model.graph.constant(model.graph.find(name).unwrap()).unwrap();
    assert_eq!(model.f32s(&get("tensor")).unwrap(), [3.0]);
    assert_eq!((model.i64s(&get("int")).unwrap(), get("int").dims.len()), (vec![7], 0));
    assert_eq!(model.i64s(&get("ints")).unwrap(), [1, 2]);
    assert_eq!(model.f32s(&get("float")).unwrap(), [0.5]);
    assert_eq!(model.f32s(&get("floats")).unwrap(), [0.5, 1.0]);
}

#[test]
fn subgraphs_know_what_they_capture() {
    let model = Model::from_bytes(encode(&everything())).unwrap();
    let g = &model.graph;
    let (_, branch) = g.nodes().find(|(_, n)| n.op_type == "If").unwrap();
    let mut names: Vec<_> = branch.captures.iter().map(|&v| g.name_of(v)).collect();
    names.sort();
    assert_eq!(names, ["h", "w"]);
    assert_eq!(g.consumers(g.find("h").unwrap()).len(), 1);
    assert_eq!(model.functions[0].body.nodes().len(), 2);
    assert_eq!(model.header.metadata["author"], "nobody");
}
