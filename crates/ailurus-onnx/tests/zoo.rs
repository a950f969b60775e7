//! Every model of the zoo loads, and comes back byte for byte.

mod common;

use ailurus_onnx::{Attribute, GraphEdit, Model, NodeSpec, Storage, Use, WriteOptions};

#[test]
fn loads_and_reads_every_tensor() {
    for file in common::zoo() {
        let model = Model::load(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(model.graph.nodes().len() > 50, "{}", file.display());
        for (_, tensor) in model.graph.initializers() {
            match tensor.storage {
                Storage::Strings(_) => {}
                _ => assert!(model.bytes(tensor).is_ok(), "{} {tensor:?}", file.display()),
            }
        }
    }
}

#[test]
fn rewriting_without_edits_returns_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for file in common::zoo() {
        let out = folder.path().join("out.onnx");
        let model = GraphEdit::new(Model::load(&file).unwrap()).finish().unwrap();
        let report = model.write(&out, &WriteOptions { sync: false, ..WriteOptions::default() }).unwrap();
        assert_eq!(report.spliced, report.bytes);
        assert!(std::fs::read(&file).unwrap() == std::fs::read(&out).unwrap(), "{}", file.display());
        let empty = GraphEdit::new(model);
        assert!(empty.finish().unwrap().to_bytes().unwrap() == std::fs::read(&file).unwrap());
    }
}

/// An Identity behind every tenth node, then everything taken back: the file differs, the graph does not.
#[test]
fn edits_touch_only_what_they_name() {
    for file in common::zoo() {
        let model = Model::load(&file).unwrap();
        let before = model.graph.clone();
        let mut edit = GraphEdit::new(model);
        let picked: Vec<_> = before.nodes().step_by(10).filter_map(|(_, n)| n.output(0)).collect();
        for &value in &picked {
            let name = edit.fresh_name("ailurus/test");
            let copy = edit.add(NodeSpec::new("Identity", [value]).name(name.clone()).output(name, None)).unwrap();
            let made = edit.graph().producer(copy).unwrap().0;
            edit.replace_uses(value, copy, |u| !matches!(u, Use::Input { node, .. } if node == made)).unwrap();
        }
        let written = Model::from_bytes(edit.finish().unwrap().to_bytes().unwrap()).unwrap();
        assert_eq!(written.graph.nodes().len(), before.nodes().len() + picked.len());
        let originals: Vec<_> =
            written.graph.nodes().map(|(_, n)| n).filter(|n| !n.name.starts_with("ailurus/test")).collect();
        for (old, new) in before.nodes().map(|(_, n)| n).zip(&originals) {
            assert_eq!((&old.name, &old.op_type), (&new.name, &new.op_type));
            assert_eq!(old.attributes.len(), new.attributes.len());
        }
        let outputs =
            |g: &ailurus_onnx::Graph| g.outputs().iter().map(|&v| g.name_of(v).to_owned()).collect::<Vec<_>>();
        assert_eq!(outputs(&written.graph), outputs(&before));
        for (new, old) in written.graph.initializers().zip(before.initializers()) {
            assert_eq!(new.1.name, old.1.name);
        }
        assert!(originals.iter().flat_map(|n| n.attributes.values()).all(|a| !matches!(a, Attribute::Ref(_))));
    }
}
