//! Every constant expression that models with windows hold, against what ONNX Runtime makes of it.

use super::Folder;
use ailurus_analyze::Interp;
use ailurus_onnx::{DataType, GraphEdit, Model as Graph, ValueId};
use ailurus_runtime::{Model, Optimization, Runtime, SessionOptions, npz, testing};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Values of one operator that are looked at in one model.
const EACH: usize = 4;

fn models() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/windows");
    let entries = std::fs::read_dir(folder).expect("fixtures/windows can be read");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    if let Some(zoo) = testing::zoo() {
        let names = ["hf_sam_vision.ts17b-eager", "hf_vitdet_bb.ts17-eager", "sam_orig_win.ts17", "timm_swin.ts17b"];
        paths.extend(names.map(|name| zoo.join(format!("{name}.onnx"))));
    }
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    paths
}

/// Values that are computed and no activations, a few for each operator.
fn computed(model: &Graph, interp: &Interp) -> Vec<ValueId> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    let mut out = Vec::new();
    for (_, node) in model.graph.nodes().filter(|(_, n)| n.op_type != "Constant") {
        for &v in node.outputs.iter().flatten() {
            let known = interp.get(v).is_some_and(|x| !x.activation && x.dtype != DataType::Undefined);
            let seen = count.entry(&node.op_type).or_default();
            if known && *seen < EACH {
                *seen += 1;
                out.push(v);
            }
        }
    }
    out
}

#[test]
fn constants_are_what_onnx_runtime_computes() {
    let Some(runtime) = testing::onnx_runtime() else { return };
    let mut operators: HashMap<String, usize> = HashMap::new();
    for path in models() {
        let model = Graph::load(&path).expect("a model");
        let interp = Interp::run(&model);
        let mut folder = Folder::new(&interp);
        let folded: Vec<_> =
            computed(&model, &interp).into_iter().filter_map(|v| Some((v, folder.value(v).ok()?))).collect();
        let mut edit = GraphEdit::new(model.clone());
        for (v, _) in &folded {
            edit.add_graph_output(*v).expect("a value of the graph");
        }
        let bytes = edit.finish().expect("sound").to_bytes().expect("bytes");
        let options = SessionOptions { optimization: Optimization::None, ..SessionOptions::default() };
        let session = runtime.load(Model::Bytes(&bytes), &options).expect("ONNX Runtime takes it");
        let arrays = npz::read(path.with_extension("npz")).expect("arrays beside the model");
        let inputs: Vec<_> = arrays.iter().filter_map(|(n, t)| Some((n.strip_prefix("in_")?, t))).collect();
        let outputs = session.run(&inputs).expect("it runs");
        for (v, array) in folded {
            let name = model.graph.name_of(v);
            let (_, wanted) = outputs.iter().find(|(n, _)| n == name).expect("asked for");
            assert_eq!(array.dims(), wanted.dims(), "{name} of {}", path.display());
            for (got, want) in array.data.iter().zip(wanted.to_f64()) {
                let near = (got - want).abs() <= 1e-6 * want.abs().max(1.0) || *got == want;
                assert!(near, "{name} of {}: {got} instead of {want}", path.display());
            }
            let (id, _) = model.graph.producer(v).expect("computed");
            *operators.entry(model.graph.node(id).op_type.clone()).or_default() += 1;
        }
    }
    assert!(operators.len() >= 12, "only {operators:?}");
}
