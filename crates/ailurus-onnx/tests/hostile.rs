//! Damaged and malicious files: an error, never a panic, never much memory.

mod common;

use ailurus_onnx::{Attribute, Error, Graph, GraphEdit, Model, dump};
use common::*;

/// Does with a model whatever a program might do.
fn exercise(bytes: Vec<u8>) -> Result<(), Error> {
    let model = Model::from_bytes(bytes)?;
    let _ = dump::text(&model);
    read_all(&model, &model.graph);
    let _ = model.to_bytes()?;
    let mut edit = GraphEdit::new(model.clone());
    let outputs: Vec<_> = edit.graph().outputs().to_vec();
    for value in outputs {
        let _ = edit.rename_value(value, "ailurus/renamed");
    }
    let first = edit.graph().inputs().next();
    if let Some(value) = first {
        let name = edit.fresh_name("copy");
        let copy = edit.add(ailurus_onnx::NodeSpec::new("Identity", [value]).output(name, None))?;
        let made = edit.graph().producer(copy).map(|p| p.0);
        let _ = edit.replace_uses(value, copy, |u| match u {
            ailurus_onnx::Use::Input { node, .. } => Some(node) != made,
            _ => true,
        });
    }
    let _ = edit.inline_functions("local");
    edit.prune();
    let _ = edit.finish()?.to_bytes()?;
    Ok(())
}

fn read_all(model: &Model, graph: &Graph) {
    for (_, tensor) in graph.initializers() {
        let _ = (model.bytes(tensor), model.f32s(tensor), model.i64s(tensor));
    }
    for (_, node) in graph.nodes() {
        node.attributes.values().flat_map(Attribute::graphs).for_each(|g| read_all(model, g));
        for &value in node.outputs.iter().flatten() {
            let _ = graph.constant(value);
        }
    }
}

fn small() -> Vec<u8> {
    let mut model = everything();
    model.graph.as_mut().unwrap().initializer.pop();
    encode(&model)
}

#[test]
fn the_sample_itself_is_fine() {
    exercise(small()).unwrap();
    exercise(encode(&everything())).unwrap();
}

#[test]
fn cut_short_at_every_byte() {
    let bytes = small();
    for end in 0..bytes.len() {
        let _ = exercise(bytes[..end].to_vec());
    }
}

#[test]
fn every_byte_damaged() {
    let bytes = small();
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff, 0x04] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let _ = exercise(bytes);
        }
    }
}

#[test]
fn random_damage() {
    let bytes = small();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for _ in 0..3000 {
        let mut bytes = bytes.clone();
        for _ in 0..1 + random() % 8 {
            let at = random() % bytes.len();
            match random() % 4 {
                0 => bytes[at] = random() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, random() as u8),
                _ => {
                    let part = bytes[at..(at + random() % 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let _ = exercise(bytes);
    }
}

#[test]
fn damaged_zoo_files() {
    for file in zoo().iter().step_by(9) {
        let bytes = std::fs::read(file).unwrap();
        for step in 0..24 {
            let _ = Model::from_bytes(bytes[..bytes.len() * step / 24].to_vec());
            let mut damaged = bytes.clone();
            let at = damaged.len() * step / 24 + step;
            damaged[at] ^= 0x55;
            let _ = Model::from_bytes(damaged);
        }
    }
}

fn nested(mut inner: Vec<u8>, wrap: &[u8], times: usize) -> Vec<u8> {
    for _ in 0..times {
        for &tag in wrap.iter().rev() {
            let mut outer = vec![tag];
            let mut len = inner.len();
            while len >= 0x80 {
                outer.push(len as u8 | 0x80);
                len >>= 7;
            }
            outer.push(len as u8);
            outer.extend(inner);
            inner = outer;
        }
    }
    inner
}

#[test]
fn nesting_is_limited() {
    let tag = |n: u8| n << 3 | 2;
    // graph > node > attribute > graph > …, and value_info > type > sequence > type > …
    let graphs = nested(vec![], &[tag(1), tag(5), tag(6)], 50_000 / 3);
    let types = nested(nested(vec![], &[tag(4), tag(1)], 20_000), &[tag(11), tag(2)], 1);
    for inner in [graphs, types] {
        let file = nested(inner, &[tag(7)], 1);
        assert_eq!(Model::from_bytes(file).unwrap_err().code(), "AIL0104");
    }
    let groups = nested([vec![0x0b; 50_000], vec![0x0c; 50_000]].concat(), &[tag(7)], 1);
    assert_eq!(Model::from_bytes(groups).unwrap_err().code(), "AIL0103");
}

#[test]
fn numbers_of_parts_are_limited() {
    // two bytes make a node
    let nodes = [0x0a, 0].repeat((1 << 20) + 1);
    let error = Model::from_bytes(nested(nodes, &[7 << 3 | 2], 1)).unwrap_err();
    assert!(error.to_string().contains("nodes"), "{error}");
}

#[test]
fn a_pipe_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    if std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|s| s.success()) {
        assert_eq!(Model::load(&pipe).unwrap_err().code(), "AIL0101");
    }
}

#[test]
fn foreign_files_are_named() {
    let reason = |bytes: &[u8]| Model::from_bytes(bytes).unwrap_err().to_string();
    assert!(reason(b"").contains("empty"));
    assert!(reason(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(reason(b"PK\x03\x04rest").contains("zip"));
    assert!(reason(&[0x08, 8]).contains("no graph"));
    assert!(Model::from_bytes(&b"hello world, this is text"[..]).is_err());
    assert_eq!(Model::load("/nonexistent/model.onnx").unwrap_err().code(), "AIL0101");
    assert_eq!(Model::load(std::env::temp_dir()).unwrap_err().code(), "AIL0101");
}

#[test]
fn invalid_graphs_are_refused_by_name() {
    let check = |nodes: Vec<onnx_protobuf::NodeProto>, output: &str| {
        let mut g = graph("g", nodes, vec![info(output, 1, &[1])]);
        g.input = vec![info("x", 1, &[1])];
        Model::from_bytes(encode(&model(g))).err().map(|e| (e.code(), e.to_string()))
    };
    assert!(check(vec![node("Relu", &["x"], &["y"])], "y").is_none());
    let (code, text) = check(vec![node("Relu", &["ghost"], &["y"])], "y").unwrap();
    assert!(code == "AIL0106" && text.contains("ghost") && text.contains("Relu_y"));
    let (code, text) = check(vec![node("Relu", &["x"], &["y"]), node("Neg", &["x"], &["y"])], "y").unwrap();
    assert!(code == "AIL0107" && text.contains("`y`"));
    let (code, _) = check(vec![node("Add", &["x", "b"], &["a"]), node("Neg", &["a"], &["b"])], "b").unwrap();
    assert_eq!(code, "AIL0108");
    let (code, _) = check(vec![node("Relu", &["x"], &["y"])], "nothing").unwrap();
    assert_eq!(code, "AIL0106");
    // out of order is legal in practice: the order is repaired, the bytes are not touched
    assert!(check(vec![node("Neg", &["a"], &["y"]), node("Relu", &["x"], &["a"])], "y").is_none());
}

#[test]
fn long_chains_do_not_overflow_the_stack() {
    let mut nodes: Vec<_> = (0..50_000).map(|i| node("Neg", &[&format!("v{i}")], &[&format!("v{}", i + 1)])).collect();
    nodes.reverse();
    let mut g = graph("g", nodes, vec![info("v50000", 1, &[1])]);
    g.input = vec![info("v0", 1, &[1])];
    exercise(encode(&model(g))).unwrap();
}
