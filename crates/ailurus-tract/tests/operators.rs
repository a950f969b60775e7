//! The operators in tract, against their definitions.

use ailurus_ops::{AttrValue, DensityPeaks, Keep};
use ailurus_runtime::testing::onnx::{ElementType, Graph};
use ailurus_runtime::{Error, Model, Optimization, Runtime, Session, SessionOptions, Tensor};
use ailurus_tests::conformance::{self, DOMAIN, attributes};
use ailurus_tract::TractRuntime;

fn load(model: &[u8], optimization: Optimization) -> ailurus_runtime::Result<Box<dyn Session>> {
    let options = SessionOptions { optimization, ..SessionOptions::default() };
    TractRuntime.load(Model::Bytes(model), &options)
}

#[test]
fn operators_are_as_defined() {
    for optimization in [Optimization::None, Optimization::All] {
        conformance::check(&|model| load(model, optimization).unwrap());
    }
}

#[test]
fn bad_nodes_are_errors() {
    let build = |domain: &str, extra: &[(&'static str, AttrValue)]| {
        let mut list = DensityPeaks::new(1, 0, Some((2, 2)), Keep::Tokens(2)).attributes();
        list.extend(extra.iter().cloned());
        Graph::new()
            .input("x", ElementType::F32, &["b", "5", "5"])
            .custom(domain, "AilurusDensityPeaks", &["x"], &["i", "a", "s"], &attributes(&list))
            .output("i", ElementType::I32, &["b", "5"])
            .model()
    };
    let fault = |file: &[u8]| load(file, Optimization::All).err().map(|e| e.to_string());
    assert_eq!(fault(&build(DOMAIN, &[])), None);
    assert!(fault(&build("elsewhere", &[])).unwrap().contains("elsewhere"));
    let unknown = [("windw", AttrValue::Int(3))];
    assert!(fault(&build(DOMAIN, &unknown)).unwrap().contains("AIL0303"));

    // An index beyond the rows, which only shows when it runs.
    let plain = ailurus_ops::Merge.attributes();
    let plain = attributes(&plain);
    let file = Graph::new()
        .input("z", ElementType::F32, &["1", "2", "5"])
        .input("index", ElementType::I32, &["1", "1"])
        .custom(DOMAIN, "AilurusUnfold", &["z", "index"], &["y"], &plain)
        .output("y", ElementType::F32, &["1", "1", "5"])
        .model();
    let z = Tensor::new([1, 2, 5], vec![0f32; 10]).unwrap();
    let index = Tensor::new([1, 1], vec![2i32]).unwrap();
    let session = load(&file, Optimization::All).unwrap();
    let error = session.run(&[("z", &z), ("index", &index)]).unwrap_err();
    assert_eq!(error.code(), "AIL0605");
    assert!(error.to_string().contains("AIL0307"), "{error}");
}

#[test]
fn bad_models_are_errors() {
    let code = |file: &[u8]| load(file, Optimization::All).err().map(|e| e.code());
    assert_eq!(code(b""), Some("AIL0601"));
    assert_eq!(code(b"not a model"), Some("AIL0601"));
    let dangling = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .node("Neg", &["x"], &["y"])
        .output("z", ElementType::F32, &["2"])
        .model();
    assert_eq!(code(&dangling), Some("AIL0601"));
    let unknown = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .node("Frobnicate", &["x"], &["y"])
        .output("y", ElementType::F32, &["2"])
        .model();
    assert_eq!(code(&unknown), Some("AIL0602"));
    let mismatch = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .initializer_f32("w", &[3], &[0.0; 3])
        .node("Add", &["x", "w"], &["y"])
        .output("y", ElementType::F32, &["2"])
        .model();
    let session = load(&mismatch, Optimization::All).unwrap();
    let x = Tensor::new([2], vec![0f32; 2]).unwrap();
    let got = session.run(&[("x", &x)]);
    assert!(matches!(got, Err(Error::Backend { code: "AIL0605", .. })), "{got:?}");
    let absent = TractRuntime
        .load(Model::Path("/nonexistent.onnx".as_ref()), &SessionOptions::default())
        .err()
        .map(|e| e.code());
    assert_eq!(absent, Some("AIL0601"));
}
