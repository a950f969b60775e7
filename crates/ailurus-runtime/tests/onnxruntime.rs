//! ONNX Runtime on models small enough to be written by hand.

use std::path::Path;

use ailurus_runtime::testing::onnx::{ElementType, Graph};
use ailurus_runtime::{
    DataType, Dim, Error, Model, OnnxRuntime, Optimization, Provider, Runtime, Session, SessionOptions, Tensor,
    compare, latency, testing,
};
use half::f16;

fn load(runtime: &OnnxRuntime, bytes: &[u8]) -> Box<dyn Session> {
    runtime.load(Model::Bytes(bytes), &SessionOptions::default()).unwrap()
}

#[test]
fn runs_from_bytes() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let model = Graph::new()
        .input("x", ElementType::F32, &["batch", "3"])
        .output("y", ElementType::F32, &["batch", "3"])
        .node("Neg", &["x"], &["y"])
        .model();
    let session = load(&runtime, &model);
    let x = &session.inputs()[0];
    assert_eq!((x.name.as_str(), x.data_type), ("x", Some(DataType::F32)));
    assert_eq!(x.dims, Some(vec![Dim::Symbol("batch".into()), Dim::Known(3)]));
    for batch in [0, 1, 2] {
        let x = Tensor::new([batch, 3], vec![1.5f32; batch * 3]).unwrap();
        let out = session.run(&[("x", &x)]).unwrap();
        assert_eq!(out, [("y".to_owned(), Tensor::new([batch, 3], vec![-1.5f32; batch * 3]).unwrap())]);
    }
}

#[test]
fn every_element_type_passes_through() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let values = [
        (ElementType::F32, Tensor::new([2], vec![0.5f32, -1.0]).unwrap()),
        (ElementType::F16, Tensor::new([2], vec![f16::ONE, f16::NEG_ONE]).unwrap()),
        (ElementType::F64, Tensor::new([2], vec![0.25f64, 3.0]).unwrap()),
        (ElementType::I64, Tensor::new([2], vec![i64::MIN, 7]).unwrap()),
        (ElementType::I32, Tensor::new([2], vec![-3i32, 4]).unwrap()),
        (ElementType::I8, Tensor::new([2], vec![-3i8, 4]).unwrap()),
        (ElementType::U8, Tensor::new([2], vec![200u8, 4]).unwrap()),
        (ElementType::Bool, Tensor::new([2], vec![true, false]).unwrap()),
    ];
    for (kind, x) in values {
        let model =
            Graph::new().input("x", kind, &["2"]).output("y", kind, &["2"]).node("Identity", &["x"], &["y"]).model();
        let out = load(&runtime, &model).run(&[("x", &x)]).unwrap();
        assert_eq!(out[0].1, x);
    }
}

#[test]
fn external_data_is_found_beside_the_file() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let model = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .output("y", ElementType::F32, &["2"])
        .external("w", ElementType::F32, &[2], "weights.bin")
        .node("Add", &["x", "w"], &["y"])
        .model();
    std::fs::write(&path, model).unwrap();
    let weights: Vec<u8> = [10f32, 20.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(folder.path().join("weights.bin"), weights).unwrap();
    let session = runtime.load(Model::Path(&path), &SessionOptions::default()).unwrap();
    let x = Tensor::new([2], vec![1f32, 2.0]).unwrap();
    assert_eq!(session.run(&[("x", &x)]).unwrap()[0].1.as_f32(), Some(&[11f32, 22.0][..]));
}

#[test]
fn options_are_accepted() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let model = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .output("y", ElementType::F32, &["2"])
        .node("Neg", &["x"], &["y"])
        .model();
    for optimization in [Optimization::None, Optimization::Basic, Optimization::Extended, Optimization::All] {
        let options = SessionOptions {
            threads: Some(1),
            optimization,
            profile: Some(folder.path().join("profile")),
            ..SessionOptions::default()
        };
        drop(runtime.load(Model::Bytes(&model), &options).unwrap());
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().count() >= 1);
    let options =
        SessionOptions { custom_op_libraries: vec![folder.path().join("absent.so")], ..SessionOptions::default() };
    let error = runtime.load(Model::Bytes(&model), &options).err().unwrap();
    assert_eq!(error.code(), "AIL0514");
    assert!(error.to_string().contains("absent.so"), "{error}");
}

/// A provider that a build lacks is an error of its own; one that it has computes the same.
#[test]
fn cuda_works_or_says_why_not() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let model = Graph::new()
        .input("x", ElementType::F32, &["2"])
        .output("y", ElementType::F32, &["2"])
        .node("Neg", &["x"], &["y"])
        .model();
    let options = SessionOptions { provider: Provider::Cuda, ..SessionOptions::default() };
    match runtime.load(Model::Bytes(&model), &options) {
        Ok(session) => {
            let x = Tensor::new([2], vec![1f32, -2.0]).unwrap();
            assert_eq!(session.run(&[("x", &x)]).unwrap()[0].1.as_f32(), Some(&[-1f32, 2.0][..]));
        }
        Err(error) => {
            assert_eq!(error.code(), "AIL0515");
            assert!(error.to_string().contains("cannot use CUDA"), "{error}");
        }
    }
}

#[test]
fn faults_are_errors() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let code = |model: Model<'_>| runtime.load(model, &SessionOptions::default()).err().map(|e| e.code());
    assert_eq!(code(Model::Bytes(b"")), Some("AIL0504"));
    assert_eq!(code(Model::Bytes(b"not a model")), Some("AIL0504"));
    assert_eq!(code(Model::Path(Path::new("/nonexistent.onnx"))), Some("AIL0504"));

    let model = Graph::new()
        .input("x", ElementType::I64, &["n"])
        .output("y", ElementType::F32, &["m"])
        .initializer_f32("w", &[3], &[1.0, 2.0, 3.0])
        .node("Gather", &["w", "x"], &["y"])
        .model();
    let session = load(&runtime, &model);
    let inside = Tensor::new([1], vec![2i64]).unwrap();
    assert_eq!(session.run(&[("x", &inside)]).unwrap()[0].1.as_f32(), Some(&[3.0f32][..]));
    let run = |inputs: &[(&str, &Tensor)]| session.run(inputs).unwrap_err();
    // The kernel itself refuses an index out of range.
    assert!(matches!(run(&[("x", &Tensor::new([1], vec![9i64]).unwrap())]), Error::Run { .. }));
    assert!(matches!(run(&[]), Error::MissingInput { .. }));
    assert!(matches!(run(&[("x", &inside.cast(DataType::F32))]), Error::InputType { .. }));
    assert!(matches!(run(&[("x", &inside), ("z", &inside)]), Error::UnknownInput { .. }));
}

#[test]
fn two_sessions_are_compared() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let model = |op: &str| {
        Graph::new()
            .input("x", ElementType::F32, &["n"])
            .output("y", ElementType::F32, &["n"])
            .node(op, &["x"], &["y"])
            .model()
    };
    let (a, b) = (load(&runtime, &model("Abs")), load(&runtime, &model("Relu")));
    let x = Tensor::new([4], vec![1f32, -2.0, 3.0, 0.0]).unwrap();
    let inputs = [("x", &x)];
    let (ya, yb) = (a.run(&inputs).unwrap(), b.run(&inputs).unwrap());
    let differences = compare::outputs(&ya, &yb, |_, _| None).unwrap();
    assert_eq!((differences[0].name.as_str(), differences[0].max_abs), ("y", 2.0));
    let rounds = latency::Rounds { warm_up: 1, pairs: 4 };
    let measured = latency::sessions(rounds, a.as_ref(), b.as_ref(), &inputs).unwrap();
    assert!(measured.base.median_ms > 0.0 && measured.speed_up > 0.0);
    assert_eq!(measured.pairs, 4);
}
