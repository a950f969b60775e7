//! TensorRT for RTX, which has a parser and a builder that need no device, takes rewritten models with the plugins.
//! `cargo xtask tensorrt --survey` does the same with every model and for more devices.

#[path = "common/tensorrt.rs"]
#[allow(dead_code, reason = "every test program uses another part")]
mod tensorrt;

use std::path::{Path, PathBuf};
use std::process::Command;

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Emit, Expedit, Method, Options};
use ailurus_runtime::testing;
use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A fixture, rewritten behind its first block.
fn rewritten(fixture: &str, method: Method, emit: Emit, to: &Path) {
    let path = workspace().join(format!("fixtures/{fixture}.onnx"));
    let model = ailurus_rewrite::prepare(Model::load(path).unwrap()).unwrap();
    let analysis = Analysis::of(&model).unwrap_or_else(|refusal| panic!("{fixture}: {refusal}"));
    let plan = ailurus_rewrite::plan(&analysis, &Options { method, ..Options::new(1) }).unwrap();
    let written = ailurus_rewrite::apply(&model, &plan, emit).unwrap();
    std::fs::write(to, written.to_bytes().unwrap()).unwrap();
}

/// What TensorRT makes of a rewritten fixture: the report of `xtask/python/tensorrt_rtx.py`. `None` if it is not there,
/// with a visible skip.
fn report(fixture: &str, method: Method, emit: Emit, plugins: bool, architectures: &[&str]) -> Option<Value> {
    let folder = tensorrt::folder()?;
    let Some(python) = std::env::var_os("AILURUS_PYTHON").filter(|v| !v.is_empty()) else {
        testing::skip("python", "`cargo xtask wheels` fetches it and says what to set AILURUS_PYTHON to");
        return None;
    };
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("model.onnx");
    rewritten(fixture, method, emit, &model);
    let mut command = Command::new(python);
    command.arg(workspace().join("xtask/python/tensorrt_rtx.py")).arg(folder.join("rtx-1.7.1.116")).arg(&model);
    command.args(architectures);
    if plugins {
        command.arg("--plugins").arg(tensorrt::plugin_library());
    }
    let output = command.output().expect("Python starts");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{fixture}: {errors}");
    Some(serde_json::from_str(said.lines().last().expect("a report")).expect("JSON"))
}

/// Every operator is a plugin, and engines are built.
fn check(fixture: &str, emit: Emit, element: &str, architectures: &[&str]) {
    check_method(fixture, Method::Ailurus, emit, element, architectures, 3);
}

fn check_method(fixture: &str, method: Method, emit: Emit, element: &str, architectures: &[&str], least: u64) {
    let Some(report) = report(fixture, method, emit, true, architectures) else { return };
    assert_eq!(report["parsed"], true, "{report}");
    let operators: u64 = report["operators"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let plugins = report["plugins"].as_array().unwrap();
    assert!(operators >= least && plugins.len() as u64 == operators, "{report}");
    assert!(plugins.iter().all(|name| name.as_str().unwrap().starts_with("ailurus/")), "{report}");
    for architecture in architectures {
        let bytes = report["engines"][architecture]["bytes"].as_u64();
        assert!(bytes.is_some_and(|bytes| bytes > 0), "{architecture}: {report}");
    }
    assert!(report["elements"].as_object().unwrap().values().all(|e| e == element), "{report}");
}

#[test]
fn static_sizes_in_single_precision() {
    check("timm_vit_seg.ts13-f0", Emit::Function, "FLOAT", &["SM80", "SM89", "SM120"]);
}

#[test]
fn open_batch() {
    check("torchvision_vit.ts17b", Emit::Function, "FLOAT", &["SM89"]);
}

#[test]
fn half_precision() {
    check("timm_vit_cls.ts17-f0+fp16", Emit::Function, "HALF", &["SM89"]);
}

#[test]
fn bare_nodes() {
    check("timm_vit_seg.ts13-f0", Emit::Custom, "FLOAT", &["SM89"]);
}

/// Centres instead of clusters: one plugin makes them, another brings the tokens back.
#[test]
fn grids_of_clusters() {
    let method = Method::Expedit(Expedit::new((6, 6)));
    check_method("timm_vit_seg.ts13-f0", method, Emit::Function, "FLOAT", &["SM80"], 2);
    check_method(
        "timm_vit_cls.ts17-f0+fp16",
        Method::Expedit(Expedit::new((3, 3))),
        Emit::Custom,
        "HALF",
        &["SM89"],
        2,
    );
}

#[test]
fn without_the_library_the_functions_are_used() {
    let Some(bodies) = report("timm_vit_seg.ts13-f0", Method::Ailurus, Emit::Function, false, &[]) else { return };
    let plugins = report("timm_vit_seg.ts13-f0", Method::Ailurus, Emit::Function, true, &[]).expect("just been there");
    assert_eq!((&bodies["parsed"], bodies["plugins"].as_array().unwrap().len()), (&Value::Bool(true), 0), "{bodies}");
    let layers = |report: &Value| report["layers"].as_u64().unwrap();
    assert!(layers(&bodies) > 2 * layers(&plugins), "{bodies} {plugins}");
}

/// Height and width of the image are open, and so is the grid: its sides are a shape that TensorRT computes.
#[test]
fn open_sizes() {
    check("hf_vit_dyn.ts17bhw-eager", Emit::Function, "FLOAT", &["SM80", "SM89", "SM120"]);
    check("hf_dinov3_vit.ts17bhw-eager", Emit::Function, "FLOAT", &["SM89"]);
    let method = Method::Expedit(Expedit::new((3, 3)));
    for fixture in ["hf_vit_dyn.ts17bhw-eager", "hf_dinov3_vit.ts17bhw-eager"] {
        check_method(fixture, method, Emit::Custom, "FLOAT", &["SM89"], 2);
    }
}
