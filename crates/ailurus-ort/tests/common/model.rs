//! A model that was rewritten, as users have it.

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Emit, Options};
use ailurus_runtime::Outputs;
use ailurus_runtime::compare::{Tolerance, tensors};
use ailurus_tests::case::{self, Case, Inputs};

/// A fixture with half of its patches from block 2 on, and one set of inputs.
pub fn rewritten(emit: Emit) -> (Vec<u8>, Inputs) {
    let case = Case::load(&case::fixtures().join("segmenter_mask.ts17b.onnx")).unwrap();
    let model = ailurus_rewrite::prepare(Model::load(&case.path).unwrap()).unwrap();
    let analysis = Analysis::of(&model).unwrap();
    let plan = ailurus_rewrite::plan(&analysis, &Options::new(2)).unwrap();
    let rewritten = ailurus_rewrite::apply(&model, &plan, emit).unwrap();
    (rewritten.to_bytes().unwrap(), case.inputs)
}

/// Two runs of the same model in two ways.
///
/// # Panics
/// When their outputs differ by more than the order of a sum does.
pub fn agree(a: &Outputs, b: &Outputs) {
    assert!(!a.is_empty() && a.len() == b.len());
    for ((name, a), (other, b)) in a.iter().zip(b) {
        assert_eq!(name, other);
        let difference = tensors(name, b, a, None).unwrap();
        let close = Tolerance { relative_l2: 1e-4, max_abs: f64::INFINITY };
        assert!(difference.is_within(close), "{difference:?}");
        assert!(a.to_f64().iter().any(|v| *v != 0.0), "{name} is empty");
    }
}
