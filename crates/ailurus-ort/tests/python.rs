//! The Python and the messages in `docs/onnxruntime.md`, as they stand there.

mod common;

use std::path::Path;
use std::process::Command;

use ailurus_rewrite::Emit;
use ailurus_runtime::{Model, Runtime, SessionOptions, npz, testing};
use ailurus_tests::run;
use common::model::{agree, rewritten};
use common::python::interpreter;

fn manual() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/onnxruntime.md")).unwrap()
}

/// All Python of the manual, in order: later pieces use the names of earlier ones.
fn examples(manual: &str) -> Vec<&str> {
    let fences = manual.split("```python\n").skip(1);
    fences.map(|rest| rest.split_once("```").expect("an end of the example").0).collect()
}

/// What the script does behind the examples: keeps what the first one computed.
const KEEP: &str = r#"
names = [output.name for output in session.get_outputs()]
np.savez("outputs.npz", **dict(zip(names, outputs)))
np.savez("image.npz", **{session.get_inputs()[0].name: image})
"#;

#[test]
fn the_examples_of_the_manual_run() {
    let (Some(python), Some(runtime)) = (interpreter(), testing::onnx_runtime()) else {
        return;
    };
    let manual = manual();
    let examples = examples(&manual);
    assert!(examples.len() >= 3 && examples[0].contains("register_custom_ops_library"), "{examples:?}");
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = rewritten(Emit::Function);
    std::fs::write(folder.path().join("model.onnx"), &model).unwrap();
    std::fs::copy(testing::kernel_library(), folder.path().join("libailurus_ort.so")).unwrap();
    let ran = Command::new(python)
        .args(["-c", &(examples.concat() + KEEP)])
        .current_dir(folder.path())
        .env_remove("PYTHONPATH")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    // Comments say what the lines before them print.
    let printed: Vec<&str> =
        examples.iter().flat_map(|e| e.lines()).filter_map(|line| line.strip_prefix("# [")).collect();
    let expected: String = printed.iter().map(|line| format!("[{line}\n")).collect();
    assert!(!printed.is_empty());
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), expected);

    // The kernels computed what the functions do.
    let read = |name: &str| npz::read(folder.path().join(name)).unwrap();
    let session = runtime.load(Model::Bytes(&model), &SessionOptions::default()).unwrap();
    agree(&read("outputs.npz"), &run::run(session.as_ref(), &read("image.npz")).unwrap());
}

#[test]
fn bare_operators_need_the_library() {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let (model, inputs) = rewritten(Emit::Custom);
    let refused = runtime.load(Model::Bytes(&model), &SessionOptions::default()).err().expect("it is refused");
    let text = "Fatal error: ai.ailurus:AilurusDensityPeaks(-1) is not a registered function/op";
    assert!(refused.to_string().contains(text), "{refused}");
    assert!(manual().contains(text), "the manual shows another message");
    let session = runtime.load(Model::Bytes(&model), &common::options()).unwrap();
    assert!(!run::run(session.as_ref(), &inputs).unwrap().is_empty());
}

/// Every code of this library stands in the manual, and no other.
#[test]
fn the_manual_lists_the_codes() {
    let source = include_str!("../src/error.rs");
    let codes: Vec<&str> = source.match_indices("\"AIL09").map(|(at, _)| &source[at + 1..at + 8]).collect();
    assert!(codes.len() >= 5, "{codes:?}");
    let manual = manual();
    let listed: Vec<&str> = manual.lines().filter_map(|line| line.strip_prefix("| AIL").map(|_| &line[2..9])).collect();
    assert_eq!(listed, codes);
}
