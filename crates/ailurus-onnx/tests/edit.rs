//! Edits, checked on what comes out of the file again.

mod common;

use ailurus_onnx::{
    Attribute, DataType, Dim, FunctionNode, FunctionSpec, GraphEdit, Model, NodeSpec, OpsetImport, Tensor, TensorType,
    Use, ValueId, ValueKind, dump,
};
use common::*;

fn sample() -> GraphEdit {
    GraphEdit::new(Model::from_bytes(encode(&everything())).unwrap())
}

fn find(edit: &GraphEdit, name: &str) -> ValueId {
    edit.graph().find(name).unwrap_or_else(|| panic!("no {name}"))
}

fn reload(edit: GraphEdit) -> Model {
    let model = edit.finish().unwrap();
    let again = Model::from_bytes(model.to_bytes().unwrap()).unwrap();
    assert_eq!(dump::text(&model).replace(' ', ""), dump::text(&again).replace(' ', ""), "memory and file agree");
    again
}

fn f32_type(dims: &[i64]) -> TensorType {
    TensorType { dtype: DataType::F32, shape: Some(dims.iter().map(|&d| Dim::Value(d)).collect()) }
}

fn ops(model: &Model) -> Vec<String> {
    model.graph.nodes().map(|(_, n)| n.op_type.clone()).collect()
}

#[test]
fn a_model_from_nothing() {
    let mut edit = GraphEdit::new(Model::new("built", 8, 17));
    let x = edit.add_graph_input("x", f32_type(&[2])).unwrap();
    let w = edit.add_initializer(Tensor::from_f32("w", &[2], &[1.0, 2.0])).unwrap();
    let sum = edit.add(NodeSpec::new("Add", [x, w]).output("sum", f32_type(&[2]))).unwrap();
    let y = edit.add(NodeSpec::new("Neg", [sum]).output("y", f32_type(&[2]))).unwrap();
    edit.add_graph_output(y).unwrap();
    edit.set_metadata("k", "v");
    edit.set_producer("ailurus", "0.1");
    let model = reload(edit);
    assert_eq!(
        dump::text(&model),
        "model ir=8 opset=[17]\nproducer ailurus 0.1\nmetadata k = \"v\"\ngraph built {\n  in  %x: f32[2]\n  \
         const %w f32[2]\n  %sum = Add(%x, %w)\n  %y = Neg(%sum)\n  out %y: f32[2]\n}\n"
    );
    assert_eq!(model.graph.value(model.graph.find("sum").unwrap()).ty, Some(f32_type(&[2])));
}

#[test]
fn new_nodes_go_right_before_their_first_reader() {
    let mut edit = sample();
    let scaled = find(&edit, "scaled");
    let after = edit.add(NodeSpec::new("Abs", [scaled]).output("after", None)).unwrap();
    let (last, _) = edit.graph().producer(after).unwrap();
    let h = find(&edit, "h");
    let early = edit.add(NodeSpec::new("Exp", [h]).output("early", None)).unwrap();
    let (exp, _) = edit.graph().producer(early).unwrap();
    edit.replace_uses(scaled, after, |u| !matches!(u, Use::Input { node, .. } if node == last)).unwrap();
    let moved = edit.replace_uses(h, early, |u| !matches!(u, Use::Input { node, .. } if node == exp)).unwrap();
    assert_eq!(moved, 1);
    let model = reload(edit);
    assert_eq!(ops(&model), ["Relu", "Constant", "Exp", "If", "Mul", "Abs", "Twice"]);
    let (_, branch) = model.graph.nodes().find(|(_, n)| n.op_type == "If").unwrap();
    let names: Vec<_> = branch.captures.iter().map(|&v| model.graph.name_of(v)).collect();
    assert_eq!(names, ["early", "w"], "captures follow");
}

#[test]
fn what_is_not_edited_keeps_its_bytes() {
    let source = encode(&everything());
    let mut edit = sample();
    edit.set_metadata("ailurus.version", "1");
    let relu = edit.graph().nodes().next().unwrap().0;
    edit.set_attribute(relu, "extra", Attribute::Ints(vec![1, -2])).unwrap();
    let bytes = edit.finish().unwrap().to_bytes().unwrap();
    let decoded: onnx_protobuf::ModelProto = protobuf::Message::parse_from_bytes(&bytes).unwrap();
    let mut expected = everything();
    let mut value = attribute("extra", onnx_protobuf::attribute_proto::AttributeType::INTS);
    value.ints = vec![1, -2];
    expected.graph.as_mut().unwrap().node[0].attribute.push(value);
    expected.metadata_props.push(entry("ailurus.version", "1"));
    assert_eq!(decoded, expected, "unknown fields, documentation and node metadata survive");
    assert!(bytes.len() > source.len());
}

#[test]
fn types_are_declared_changed_and_dropped() {
    let mut edit = sample();
    let (h, picked, scaled, x) = (find(&edit, "h"), find(&edit, "picked"), find(&edit, "scaled"), find(&edit, "x"));
    edit.set_type(h, f32_type(&[5, 2])).unwrap();
    edit.clear_type(picked).unwrap();
    edit.set_type(scaled, f32_type(&[5, 2])).unwrap();
    edit.set_type(x, f32_type(&[7, 2])).unwrap();
    let model = reload(edit);
    let ty = |name: &str| model.graph.value(model.graph.find(name).unwrap()).ty.clone();
    assert_eq!(ty("h"), Some(f32_type(&[5, 2])));
    assert_eq!(ty("picked"), None);
    assert_eq!(ty("scaled"), Some(f32_type(&[5, 2])));
    assert_eq!(ty("x"), Some(f32_type(&[7, 2])));
}

#[test]
fn an_output_keeps_its_public_name() {
    let mut edit = sample();
    let y = find(&edit, "y");
    let copy = edit.add(NodeSpec::new("Abs", [y]).output("copy", f32_type(&[5, 2]))).unwrap();
    assert_eq!(edit.take_output_name(0, copy).unwrap(), copy);
    let model = reload(edit);
    let out = model.graph.outputs()[0];
    assert_eq!(model.graph.name_of(out), "y");
    assert_eq!(model.graph.node(model.graph.producer(out).unwrap().0).op_type, "Abs");
    let declared = Some(vec![Dim::Param("batch".into()), Dim::Value(2)]);
    assert_eq!(model.graph.value(out).ty.as_ref().unwrap().shape, declared, "the interface is what it was");

    // an input cannot be renamed: a copy of it goes out
    let mut edit = sample();
    let (x, y) = (find(&edit, "x"), find(&edit, "y"));
    edit.replace_uses(y, x, |_| true).unwrap();
    edit.prune();
    let model = reload(edit);
    assert_eq!(ops(&model), ["Identity"]);
    assert_eq!(model.graph.name_of(model.graph.outputs()[0]), "y");
    assert_eq!(model.graph.inputs().count(), 2, "inputs are part of the interface");
}

#[test]
fn renaming_reaches_into_subgraphs() {
    let mut edit = sample();
    let (h, w) = (find(&edit, "h"), find(&edit, "w"));
    edit.rename_value(h, "hidden").unwrap();
    edit.rename_value(w, "weight").unwrap();
    let model = reload(edit);
    assert!(model.graph.find("h").is_none() && model.graph.find("hidden").is_some());
    assert_eq!(model.graph.initializer(model.graph.find("weight").unwrap()).unwrap().name, "weight");
}

#[test]
fn two_captures_can_become_one() {
    let mut edit = sample();
    let (h, w) = (find(&edit, "h"), find(&edit, "w"));
    edit.replace_uses(w, h, |_| true).unwrap();
    edit.prune();
    let model = reload(edit);
    let (_, branch) = model.graph.nodes().find(|(_, n)| n.op_type == "If").unwrap();
    assert_eq!(branch.captures.len(), 1);
    assert!(model.graph.find("w").is_none(), "pruned");
}

#[test]
fn a_model_is_cut_in_two() {
    let mut edit = sample();
    let picked = find(&edit, "picked");
    edit.make_input(picked).unwrap();
    edit.prune();
    edit.prune_inputs();
    let model = reload(edit);
    assert_eq!(ops(&model), ["Constant", "Mul", "Twice"]);
    let inputs: Vec<_> = model.graph.inputs().map(|v| model.graph.name_of(v).to_owned()).collect();
    assert_eq!(inputs, ["picked"]);
    assert_eq!(model.graph.initializers().count(), 0);

    let mut edit = sample();
    let picked = find(&edit, "picked");
    edit.set_graph_outputs(vec![picked]).unwrap();
    edit.prune();
    let model = reload(edit);
    assert_eq!(ops(&model), ["Relu", "If"]);
    assert_eq!(model.graph.value(model.graph.outputs()[0]).ty.as_ref().unwrap().dtype, DataType::F32);
}

#[test]
fn a_cut_behind_a_node_with_other_readers_keeps_it() {
    let mut g = graph("g", vec![node("Split", &["x"], &["a", "b"]), node("Add", &["a", "b"], &["y"])], vec![]);
    g.input = vec![info("x", 1, &[2])];
    g.output = vec![info("y", 1, &[1])];
    let mut edit = GraphEdit::new(Model::from_bytes(encode(&model(g))).unwrap());
    let a = find(&edit, "a");
    edit.make_input(a).unwrap();
    edit.set_type(a, f32_type(&[1])).unwrap();
    let model = reload(edit);
    assert_eq!(ops(&model), ["Split", "Add"]);
    assert_eq!(model.graph.value(model.graph.find("a").unwrap()).kind, ValueKind::Input);
}

#[test]
fn broken_graphs_are_refused_by_name() {
    let code = |r: Result<ValueId, ailurus_onnx::Error>| r.unwrap_err().code();
    let mut edit = sample();
    let (h, y) = (find(&edit, "h"), find(&edit, "y"));
    assert_eq!(code(edit.add(NodeSpec::new("Neg", [h]).output("y", None))), "AIL0107");
    assert_eq!(code(edit.add(NodeSpec::new("Neg", [h]).output("then_out", None))), "AIL0109");
    assert_eq!(code(edit.add_initializer(Tensor::from_f32("x", &[], &[1.0]))), "AIL0107");
    assert_eq!(code(edit.add_initializer(Tensor::from_f32("", &[], &[1.0]))), "AIL0114");
    assert_eq!(edit.rename_value(h, "inner_const").unwrap_err().code(), "AIL0109");
    let relu = edit.graph().producer(h).unwrap().0;
    let error = edit.remove_node(relu).unwrap_err().to_string();
    assert!(error.contains("Relu_h") && error.contains("`h`"), "{error}");
    edit.set_input(relu, 0, Some(y)).unwrap();
    assert_eq!(edit.finish().unwrap_err().code(), "AIL0108");

    let mut edit = sample();
    let scaled = find(&edit, "scaled");
    let twice = edit.graph().consumers(scaled)[0];
    edit.set_graph_outputs(vec![scaled]).unwrap();
    let y = find(&edit, "y");
    edit.remove_node(twice).unwrap();
    assert_eq!(edit.add(NodeSpec::new("Neg", [y]).output("z", None)).unwrap_err().code(), "AIL0114");
    edit.finish().unwrap();
}

#[test]
fn functions_are_added_inlined_and_dropped() {
    let imports = vec![OpsetImport { domain: String::new(), version: 17 }];
    let spec = FunctionSpec {
        name: "Pad".into(),
        domain: "ai.ailurus".into(),
        inputs: vec!["a".into(), "b".into()],
        outputs: vec!["r".into()],
        attributes: vec!["axis".into()],
        opset_imports: imports,
        doc: "joins".into(),
        nodes: vec![
            FunctionNode {
                op_type: "Concat".into(),
                inputs: vec!["a".into(), "a".into()],
                outputs: vec!["t".into()],
                attributes: [("axis".to_owned(), Attribute::Ref("axis".into()))].into_iter().collect(),
                ..FunctionNode::default()
            },
            FunctionNode {
                op_type: "Clip".into(),
                inputs: vec!["t".into(), "b".into()],
                outputs: vec!["r".into()],
                ..FunctionNode::default()
            },
        ],
    };
    let build = || {
        let mut edit = sample();
        edit.add_function(spec.clone()).unwrap();
        assert_eq!(edit.add_function(spec.clone()).unwrap_err().code(), "AIL0114");
        let y = find(&edit, "y");
        for _ in 0..2 {
            let name = edit.fresh_name("call");
            let call = NodeSpec::new("Pad", [y]).domain("ai.ailurus").name(name.clone());
            let out = edit.add(call.attribute("axis", Attribute::Int(1)).output(name, None)).unwrap();
            edit.add_graph_output(out).unwrap();
        }
        edit
    };
    let model = reload(build());
    assert_eq!((model.functions.len(), model.functions[1].doc.as_str()), (2, "joins"));
    assert!(model.header.opset_imports.iter().any(|o| o.domain == "ai.ailurus" && o.version == 1));

    for from_file in [false, true] {
        let mut edit = if from_file { GraphEdit::new(reload(build())) } else { build() };
        assert_eq!(edit.inline_functions("ai.ailurus").unwrap(), 2);
        assert_eq!(edit.inline_functions("local").unwrap(), 1);
        let model = reload(edit);
        assert!(model.functions.is_empty());
        assert_eq!(
            ops(&model),
            ["Relu", "Constant", "If", "Mul", "Add", "Identity", "Concat", "Clip", "Concat", "Clip"]
        );
        let (_, concat) = model.graph.nodes().find(|(_, n)| n.op_type == "Concat").unwrap();
        assert_eq!(concat.int("axis", 0), 1);
        let (_, clip) = model.graph.nodes().find(|(_, n)| n.op_type == "Clip").unwrap();
        assert_eq!(clip.inputs.len(), 1, "the omitted input stays omitted");
        assert!(clip.name.starts_with("call/"));
    }

    let mut edit = build();
    edit.drop_functions("ai.ailurus");
    let model = reload(edit);
    assert_eq!((model.functions.len(), ops(&model).last().unwrap().as_str()), (1, "Pad"));
}

#[test]
fn a_function_with_a_subgraph_is_inlined_twice() {
    let mut m = everything();
    let then = graph("t", vec![node("Add", &["a", "k"], &["inner"])], vec![info("inner", 1, &[2])]);
    let other = graph("e", vec![node("Neg", &["a"], &["inner2"])], vec![info("inner2", 1, &[2])]);
    m.functions[0].node =
        vec![constant("k", floats("", &[1.0])), constant("flag", bool_scalar()), branch("flag", "b", then, other)];
    let g = m.graph.as_mut().unwrap();
    g.node.push({
        let mut n = node("Twice", &["y"], &["z"]);
        n.domain = "local".into();
        n
    });
    g.output.push(info("z", 1, &[2]));
    let mut edit = GraphEdit::new(Model::from_bytes(encode(&m)).unwrap());
    assert_eq!(edit.inline_functions("local").unwrap(), 2);
    let model = reload(edit);
    let branches: Vec<_> = model.graph.nodes().filter(|(_, n)| n.op_type == "If").collect();
    assert_eq!(branches.len(), 3);
    let captured: Vec<Vec<_>> =
        branches[1..].iter().map(|(_, n)| n.captures.iter().map(|&v| model.graph.name_of(v)).collect()).collect();
    assert_eq!(captured, [["scaled", "Twice_y/k"], ["y", "Twice_z/k"]]);
}

fn bool_scalar() -> onnx_protobuf::TensorProto {
    onnx_protobuf::TensorProto { data_type: 9, raw_data: vec![1], ..Default::default() }
}

#[test]
fn an_initializer_is_replaced_in_place() {
    let mut edit = sample();
    let w = find(&edit, "w_big");
    let count = edit.graph().initializers().count();
    edit.set_initializer(w, Tensor::from_f32("ignored", &[1], &[9.0])).unwrap();
    let model = reload(edit);
    let tensor = model.graph.initializer(model.graph.find("w_big").unwrap()).unwrap();
    assert_eq!(model.f32s(tensor).unwrap(), [9.0]);
    assert_eq!(model.graph.initializers().count(), count);
    let bytes = model.to_bytes().unwrap();
    let decoded: onnx_protobuf::ModelProto = protobuf::Message::parse_from_bytes(&bytes).unwrap();
    assert_eq!(decoded.graph.initializer[1].doc_string, "kept");
}

#[test]
fn fresh_names_avoid_everything() {
    let mut edit = sample();
    assert_eq!(edit.fresh_name("new"), "new");
    assert_eq!(edit.fresh_name("new"), "new_1");
    assert_eq!(edit.fresh_name("then_out"), "then_out_1");
    assert_eq!(edit.fresh_name("Relu_h"), "Relu_h_1", "node names too");
}
