//! Bad nodes, bad inputs and bad files come back as errors of ONNX Runtime with a code, a node and a reason.

mod common;

use ailurus_ops::{AttrValue, DensityPeaks, Keep, Merge};
use ailurus_runtime::testing::onnx::{ElementType, Graph};
use ailurus_runtime::{Optimization, Tensor, testing};
use ailurus_tests::conformance::{DOMAIN, attributes, noise};
use common::load;

/// A clustering of `x`, `[b, t, 5]`, with these attributes.
fn peaks(list: &[(&'static str, AttrValue)], inputs: &[&str]) -> Graph {
    Graph::new()
        .input("x", ElementType::F32, &["b", "t", "5"])
        .input("grid", ElementType::I64, &["g"])
        .custom(DOMAIN, "AilurusDensityPeaks", inputs, &["i", "a", "s"], &attributes(list))
        .output("i", ElementType::I32, &["b", "t"])
}

#[test]
fn bad_nodes_do_not_load() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let good = DensityPeaks::new(1, 0, Some((2, 2)), Keep::Tokens(2)).attributes();
    let fault = |graph: &Graph| load(&runtime, &graph.model(), Optimization::All).err().map(|e| e.to_string());
    assert_eq!(fault(&peaks(&good, &["x"])), None);
    let with = |name: &'static str, value: AttrValue| {
        let mut list: Vec<_> = good.iter().filter(|(n, _)| *n != name).cloned().collect();
        list.push((name, value));
        list
    };
    let cases = [
        (with("window", AttrValue::Int(0)), "AIL0301"),
        (with("neighbors", AttrValue::Int(-3)), "AIL0301"),
        (with("spatial_mix", AttrValue::Float(1.5)), "AIL0301"),
        (with("window", AttrValue::Float(3.0)), "AIL0304"),
        (with("spatial_mix", AttrValue::Int(1)), "AIL0304"),
        (with("tokens", AttrValue::Int(0)), "AIL0302"),
        (with("tokens", AttrValue::Int(5)), "AIL0305"),
        (with("grid_h", AttrValue::Int(i64::MAX)), "AIL0301"),
        (with("prefix", AttrValue::Int(1 << 40)), "AIL0301"),
    ];
    for (list, code) in cases {
        let text = fault(&peaks(&list, &["x"])).unwrap_or_else(|| panic!("{code}: it loads"));
        assert!(text.contains(code) && text.contains("AilurusDensityPeaks"), "{code}: {text}");
    }
    // The types that there are no kernels for.
    let double = Graph::new()
        .input("x", ElementType::F64, &["2", "9", "5"])
        .custom(DOMAIN, "AilurusDensityPeaks", &["x"], &["i", "a", "s"], &attributes(&good))
        .output("i", ElementType::I32, &["2", "9"]);
    assert!(fault(&double).is_some());
}

#[test]
fn bad_inputs_do_not_run() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let given = DensityPeaks::new(1, 0, None, Keep::Tokens(2)).attributes();
    let session = load(&runtime, &peaks(&given, &["x", "grid"]).model(), Optimization::All).unwrap();
    let x = |tokens: usize| Tensor::new([1, tokens, 5], noise(tokens * 5, 1)).unwrap();
    let grid = |values: &[i64]| Tensor::new([values.len()], values.to_vec()).unwrap();
    assert!(session.run(&[("x", &x(5)), ("grid", &grid(&[2, 2]))]).is_ok());
    let cases: [(usize, &[i64], &str); 8] = [
        (6, &[2, 2], "AIL0306"),
        (5, &[2, 3], "AIL0306"),
        (5, &[0, 4], "AIL0306"),
        (5, &[-2, -2], "AIL0306"),
        (5, &[4], "AIL0306"),
        (5, &[i64::MAX, i64::MAX], "AIL0301"),
        (1, &[1, 1], "AIL0306"),
        (2, &[1, 1], "AIL0305"),
    ];
    for (tokens, sides, code) in cases {
        let error = session.run(&[("x", &x(tokens)), ("grid", &grid(sides))]).expect_err(code).to_string();
        assert!(error.contains(code), "{code}: {error}");
    }
    // The session is none the worse for it.
    assert!(session.run(&[("x", &x(5)), ("grid", &grid(&[2, 2]))]).is_ok());
}

/// ONNX Runtime does not report what shape inference objects to, so contradictions in a file show when it runs.
#[test]
fn shapes_that_contradict_each_other_do_not_run() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let merge = Graph::new()
        .input("x", ElementType::F32, &["2", "9", "5"])
        .input("index", ElementType::I32, &["2", "8"])
        .input("size", ElementType::F32, &["2", "3"])
        .custom(DOMAIN, "AilurusMerge", &["x", "index", "size"], &["y"], &attributes(&Merge.attributes()))
        .output("y", ElementType::F32, &["2", "3", "5"]);
    let session = load(&runtime, &merge.model(), Optimization::All).unwrap();
    let x = Tensor::new([2, 9, 5], noise(90, 1)).unwrap();
    let index = Tensor::new([2, 8], vec![0i32; 16]).unwrap();
    let size = Tensor::new([2, 3], vec![1f32; 6]).unwrap();
    let error = session.run(&[("x", &x), ("index", &index), ("size", &size)]).unwrap_err().to_string();
    assert!(error.contains("AIL0306") && error.contains("index"), "{error}");
}

#[test]
fn indices_outside_the_rows_are_found() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let plain = Merge.attributes();
    let plain = attributes(&plain);
    for (op, inputs) in [
        ("AilurusMerge", &["x", "index", "size"][..]),
        ("AilurusUnfold", &["z", "index"]),
        ("AilurusUnfoldResidual", &["z", "z", "x", "index"]),
    ] {
        let graph = Graph::new()
            .input("x", ElementType::F32, &["b", "t", "5"])
            .input("z", ElementType::F32, &["b", "r", "5"])
            .input("index", ElementType::I32, &["b", "t"])
            .input("size", ElementType::F32, &["b", "r"])
            .named(DOMAIN, op, "the/node", inputs, &["y"], &plain)
            .output("y", ElementType::F32, &["b", "n", "5"]);
        let session = load(&runtime, &graph.model(), Optimization::All).unwrap();
        let (x, z) = (noise(20, 1), noise(10, 2));
        let (x, z) = (Tensor::new([1, 4, 5], x).unwrap(), Tensor::new([1, 2, 5], z).unwrap());
        let size = Tensor::new([1, 2], vec![2f32, 2.0]).unwrap();
        for (index, fits) in
            [([0, 1, 1, 0], true), ([0, 2, 1, 0], false), ([0, -1, 1, 0], false), ([i32::MIN; 4], false)]
        {
            let index = Tensor::new([1, 4], index.to_vec()).unwrap();
            let result = session.run(&[("x", &x), ("z", &z), ("index", &index), ("size", &size)]);
            match (result, fits) {
                (Ok(_), true) => {}
                (Err(error), false) => {
                    let text = error.to_string();
                    assert!(text.contains("AIL0307") && text.contains("the/node") && text.contains(op), "{text}");
                }
                (result, _) => panic!("{op}, {index:?}: {result:?}"),
            }
        }
    }
}

#[test]
fn empty_batches_and_rows_pass_through() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let list = DensityPeaks::new(1, 0, Some((2, 2)), Keep::Tokens(2)).attributes();
    let session = load(&runtime, &peaks(&list, &["x"]).model(), Optimization::All).unwrap();
    let none = Tensor::new([0, 5, 5], Vec::<f32>::new()).unwrap();
    let grid = Tensor::new([2], vec![2i64, 2]).unwrap();
    let got = session.run(&[("x", &none), ("grid", &grid)]).unwrap();
    assert_eq!(got[0].1.dims(), [0, 5]);
}
