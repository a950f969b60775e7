//! The crate `ort` loads the library, in the way that `docs/onnxruntime.md` shows.

mod common;

use ailurus_rewrite::Emit;
use ailurus_runtime::testing;
use common::model::rewritten;
use ort::session::Session;
use ort::value::Tensor;

#[test]
fn the_ort_crate_loads_it() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let environment = ort::init_from(runtime.library()).unwrap().build().unwrap();
    let (model, _) = rewritten(Emit::Custom);
    let build = |library: bool| {
        let builder = Session::builder(&environment).unwrap();
        let mut builder =
            if library { builder.with_operator_library(testing::kernel_library()).unwrap() } else { builder };
        builder.commit_from_memory(&model)
    };
    // The file has no functions, so it runs on the kernels or not at all.
    assert!(build(false).is_err());
    let mut session = build(true).unwrap();
    let image = Tensor::from_array(([1usize, 3, 96, 96], vec![0.5f32; 3 * 96 * 96])).unwrap();
    let outputs = session.run(ort::inputs![image]).unwrap();
    let (_, values) = outputs[0].try_extract_tensor::<f32>().unwrap();
    assert!(!values.is_empty() && values.iter().all(|v| v.is_finite()));
}
