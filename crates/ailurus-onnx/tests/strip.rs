//! Models without weights: what they keep, and what they must not.

mod common;

use ailurus_onnx::{Attribute, GraphEdit, Model, Storage, Strip, dump};
use common::*;
use onnx_protobuf::{ModelProto, TensorProto, attribute_proto::AttributeType};

fn strip() -> Strip {
    Strip { integers: 64, floats: 8, metadata: vec!["kept.model".into()], node_metadata: vec!["kept.node".into()] }
}

/// A text that must not survive, in a place of its own.
fn secret(place: &str) -> String {
    format!("SECRET {place}")
}

/// The model that has everything, with a secret wherever a text says nothing about the graph.
fn with_secrets() -> ModelProto {
    let mut m = everything();
    m.producer_version = format!("/home/{}", secret("version"));
    m.doc_string = secret("model");
    m.domain = secret("domain");
    m.metadata_props.push(entry("author", &secret("metadata")));
    m.metadata_props.push(entry("kept.model", "stays"));
    m.functions[0].doc_string = secret("function");
    let g = m.graph.mut_or_insert_default();
    g.name = secret("graph");
    g.doc_string = secret("graph doc");
    g.metadata_props.push(entry("path", &secret("graph metadata")));
    g.input[0].doc_string = secret("input");
    g.value_info[0].metadata_props.push(entry("path", &secret("value")));
    for node in &mut g.node {
        node.doc_string = secret("node");
        node.metadata_props.push(entry("stack_trace", &secret("trace")));
        node.metadata_props.push(entry("kept.node", "['', 'blocks.0']"));
    }
    let mut doc = attribute("mode", AttributeType::STRING);
    doc.doc_string = secret("attribute");
    doc.s = b"linear".to_vec();
    let mut path = attribute("library", AttributeType::STRING);
    path.s = format!("/home/{}", secret("path")).into_bytes();
    let mut long = attribute("blob", AttributeType::STRING);
    long.s = secret("blob").repeat(100).into_bytes();
    let mut words = attribute("words", AttributeType::STRINGS);
    words.strings = vec![secret("word").into_bytes(), b"x".to_vec()];
    let mut scales = attribute("scales", AttributeType::FLOATS);
    scales.floats = vec![1.0, 2.0];
    let mut learned = attribute("learned", AttributeType::FLOATS);
    learned.floats = vec![0.123; 100];
    let mut table = attribute("table", AttributeType::INTS);
    table.ints = vec![12345; 100];
    g.node[0].attribute.extend([doc, path, long, words, scales, learned, table]);
    for (output, name, count) in [("few", "value_floats", 3), ("many", "value_floats", 300)] {
        let mut value = attribute(name, AttributeType::FLOATS);
        value.floats = vec![0.123; count];
        let mut constant = node("Constant", &[], &[output]);
        constant.attribute.push(value);
        g.node.push(constant);
    }
    let mut text = attribute("value_string", AttributeType::STRING);
    text.s = secret("constant").into_bytes();
    let mut constant = node("Constant", &[], &["text"]);
    constant.attribute.push(text);
    g.node.push(constant);
    let mut labels = TensorProto { name: "labels".into(), data_type: 8, dims: vec![1], ..Default::default() };
    labels.string_data.push(secret("label").into_bytes());
    g.initializer.push(labels);
    let shape = |name: &str, count: usize| TensorProto {
        name: name.into(),
        data_type: 7,
        dims: vec![count as i64],
        int64_data: vec![77; count],
        doc_string: secret("tensor"),
        ..Default::default()
    };
    g.initializer.extend([shape("shape", 64), shape("indices", 65)]);
    g.initializer.extend([floats("eight", &[0.123; 8]), floats("nine", &[0.123; 9])]);
    // says that it is small, and is not
    let mut liar = floats("liar", &[0.123; 50]);
    liar.dims = vec![2];
    g.initializer.push(liar);
    m
}

fn stored<'a>(model: &'a Model, name: &str) -> &'a Storage {
    let g = &model.graph;
    &g.initializer(g.find(name).unwrap()).unwrap().storage
}

#[test]
fn no_secret_survives() {
    let bytes = encode(&with_secrets());
    let model = Model::from_bytes(bytes).unwrap();
    let stripped = model.without_weights(&strip()).unwrap();
    let out = stripped.to_bytes().unwrap();
    let text = String::from_utf8_lossy(&out);
    assert!(!text.contains("SECRET"), "{text}");
    assert!(!text.contains("unknown"), "fields of no schema");
    let has = |pattern: &[u8]| out.windows(pattern.len()).any(|w| w == pattern);
    assert!(!has(&0.5f32.to_le_bytes().repeat(2)) && !has(&0.123f32.to_le_bytes().repeat(9)), "weights");
    assert_eq!(stripped.header.metadata.len(), 1);
    assert_eq!(stripped.header.metadata["kept.model"], "stays");
    assert_eq!((stripped.header.producer_name.as_str(), stripped.header.producer_version.as_str()), ("tests", ""));
}

#[test]
fn structure_stays() {
    let model = Model::from_bytes(encode(&with_secrets())).unwrap();
    let stripped = model.without_weights(&strip()).unwrap();
    let g = &stripped.graph;
    for (name, kept) in [
        ("w", true),
        ("w_big", false),
        ("shape", true),
        ("indices", false),
        ("eight", true),
        ("nine", false),
        ("liar", false),
        ("labels", false),
        ("c", true),
    ] {
        assert_eq!(matches!(stored(&stripped, name), Storage::Memory(_)), kept, "{name}");
        assert_eq!(*stored(&stripped, name) == Storage::Absent, !kept, "{name}");
    }
    assert_eq!(stripped.i64s(g.initializer(g.find("shape").unwrap()).unwrap()).unwrap(), vec![77; 64]);
    let many = g.constant(g.find("many").unwrap()).unwrap();
    assert_eq!((many.dims.as_slice(), &many.storage), (&[300][..], &Storage::Absent));
    assert_eq!(g.constant(g.find("few").unwrap()).unwrap().dims, [3]);
    assert!(
        stripped.missing_payload().is_some()
            && Model::from_bytes(encode(&everything())).unwrap().missing_payload().is_none()
    );
    let (_, first) = g.nodes().next().unwrap();
    assert_eq!(stripped.node_metadata(first, "kept.node").as_deref(), Some("['', 'blocks.0']"));
    assert_eq!(stripped.node_metadata(first, "stack_trace"), None);
    assert_eq!(first.str("mode"), Some("linear"));
    assert_eq!((first.str("library"), first.str("blob")), (Some(""), Some("")));
    assert!(matches!(&first.attributes["words"], Attribute::Strs(list) if list.len() == 2));
    assert!(matches!(&first.attributes["scales"], Attribute::Floats(list) if list[..] == [1.0, 2.0]));
    assert!(matches!(&first.attributes["learned"], Attribute::Floats(list) if list[..] == [0.0; 100]));
    assert_eq!(first.ints("table"), Some(&[0; 100][..]));
}

/// What is stripped is the model as it is now, and stripping again changes nothing.
#[test]
fn edited_models() {
    let mut edit = GraphEdit::new(Model::from_bytes(encode(&everything())).unwrap());
    let h = edit.graph().find("h").unwrap();
    edit.rename_value(h, "renamed").unwrap();
    let stripped = edit.finish().unwrap().without_weights(&strip()).unwrap();
    assert!(stripped.graph.find("renamed").is_some() && stripped.graph.find("h").is_none());
    let again = stripped.without_weights(&strip()).unwrap();
    assert_eq!(again.to_bytes().unwrap(), stripped.to_bytes().unwrap());
}

#[test]
fn small_tensors_of_other_files_come_along() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    let mut m = everything();
    let g = m.graph.mut_or_insert_default();
    g.initializer.push(external("small", 2, "w.bin", Some(0), Some(8)));
    g.initializer.push(external("large", 100, "w.bin", Some(8), Some(400)));
    g.initializer.push(external("lost", 2, "gone.bin", None, None));
    std::fs::write(&path, encode(&m)).unwrap();
    std::fs::write(dir.path().join("w.bin"), 3.0f32.to_le_bytes().repeat(102)).unwrap();
    let stripped = Model::load(&path).unwrap().without_weights(&strip()).unwrap();
    let g = &stripped.graph;
    assert_eq!(stripped.f32s(g.initializer(g.find("small").unwrap()).unwrap()).unwrap(), [3.0, 3.0]);
    assert_eq!(*stored(&stripped, "large"), Storage::Absent);
    assert_eq!(*stored(&stripped, "lost"), Storage::Absent);
}

#[test]
fn zoo_files_stay_the_same_graphs() {
    // of the name of a graph nothing is kept
    let plain = |model: &Model| {
        let text = dump::text(model);
        let lines = text.lines().filter(|l| !l.starts_with("producer") && !l.starts_with("metadata"));
        let lines = lines.map(|l| if l.ends_with('{') { l.split_whitespace().next().unwrap_or_default() } else { l });
        lines.map(|l| l.to_owned() + "\n").collect::<String>()
    };
    for path in zoo() {
        let model = Model::load(&path).unwrap();
        let stripped = model.without_weights(&strip()).unwrap();
        assert!(plain(&model) == plain(&stripped), "{}", path.display());
        assert!(stripped.source_len() < model.source_len());
    }
}
