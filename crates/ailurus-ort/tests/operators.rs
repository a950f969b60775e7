//! The operators in ONNX Runtime, against their definitions, and what sessions see of their shapes.

mod common;

use ailurus_ops::{DensityPeaks, Keep};
use ailurus_runtime::testing::onnx::{ElementType, Graph};
use ailurus_runtime::{Dim, Model, Optimization, Runtime, SessionOptions, testing};
use ailurus_tests::conformance::{self, DOMAIN, attributes};
use common::{load, options};

#[test]
fn operators_are_as_defined() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    for optimization in [Optimization::None, Optimization::All] {
        conformance::check(&|model| load(&runtime, model, optimization).unwrap());
        conformance::check_map(&|model| load(&runtime, model, optimization).unwrap());
    }
}

#[test]
fn results_do_not_depend_on_threads() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    for threads in [1, 2, 5] {
        let options = SessionOptions { threads: Some(threads), ..options() };
        conformance::check(&|model| runtime.load(Model::Bytes(model), &options).unwrap());
    }
}

/// The dimensions of output `y` of a graph whose output is declared with symbols only.
fn inferred(graph: Graph) -> Vec<String> {
    let runtime = testing::onnx_runtime().expect("checked by the caller");
    let session = load(&runtime, &graph.model(), Optimization::None).unwrap();
    let output = session.outputs().iter().find(|o| o.name == "y").unwrap();
    output.dims.as_ref().unwrap().iter().map(Dim::to_string).collect()
}

#[test]
fn shapes_are_inferred() {
    if testing::onnx_runtime().is_none() {
        return;
    }
    let peaks = |params: &DensityPeaks, tokens: &str, output: [&str; 3]| {
        Graph::new()
            .input("x", ElementType::F16, &["batch", tokens, "8"])
            .custom(DOMAIN, "AilurusDensityPeaks", &["x"], &output, &attributes(&params.attributes()))
            .output_of_any_shape("y", if output[2] == "y" { ElementType::F32 } else { ElementType::I32 })
    };
    let fixed = DensityPeaks::new(1, 1, Some((4, 5)), Keep::Ratio { num: 1, den: 2 });
    assert_eq!(inferred(peaks(&fixed, "tokens", ["y", "a", "s"])), ["batch", "22"]);
    assert_eq!(inferred(peaks(&fixed, "22", ["i", "y", "s"])), ["batch", "12"]);
    assert_eq!(inferred(peaks(&fixed, "22", ["i", "a", "y"])), ["batch", "12"]);

    let plain = ailurus_ops::Merge.attributes();
    let plain = attributes(&plain);
    let merge = Graph::new()
        .input("x", ElementType::F16, &["batch", "tokens", "8"])
        .input("index", ElementType::I32, &["batch", "tokens"])
        .input("size", ElementType::F32, &["batch", "rows"])
        .custom(DOMAIN, "AilurusMerge", &["x", "index", "size"], &["y"], &plain)
        .output_of_any_shape("y", ElementType::F16);
    assert_eq!(inferred(merge), ["batch", "rows", "8"]);
    let unfold = |residual: bool| {
        let (op, inputs): (_, &[&str]) = if residual {
            ("AilurusUnfoldResidual", &["z", "z", "x", "index"])
        } else {
            ("AilurusUnfold", &["z", "index"])
        };
        Graph::new()
            .input("z", ElementType::F32, &["batch", "rows", "8"])
            .input("x", ElementType::F32, &["batch", "tokens", "8"])
            .input("index", ElementType::I32, &["batch", "tokens"])
            .custom(DOMAIN, op, inputs, &["y"], &plain)
            .output_of_any_shape("y", ElementType::F32)
    };
    assert_eq!(inferred(unfold(false)), ["batch", "tokens", "8"]);
    assert_eq!(inferred(unfold(true)), ["batch", "tokens", "8"]);
}
