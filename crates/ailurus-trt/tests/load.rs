//! The library in NVIDIA's own: those that load plugins without a device.

#[path = "common/tensorrt.rs"]
mod tensorrt;

use std::path::{Path, PathBuf};
use std::process::Command;

const TENSORRT_11: &str = "TRT-Enterprise-11.4";
/// TensorRT for RTX 1.3 has the interface of TensorRT 10.
const TENSORRT_10: &str = "TRT-RTX-1.3";

/// Compiles and runs `programs/registry.cpp`, with headers that have the registry of that version.
fn check(package: &str, library: &str, headers: &str) {
    let Some(folder) = tensorrt::folder() else { return };
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("registry");
    let mut command = tensorrt::compiler(&folder, headers);
    // Some of what the registry has to offer is deprecated in newer headers.
    command.args(["-Wall", "-Wextra", "-Wno-deprecated-declarations", "-Werror", "-o"]).arg(&program);
    command.args(["tests/programs/registry.cpp", "-ldl"]);
    let output = command.output().expect("there is a C++ compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let said = run(&program, &folder.join(package).join(library), &tensorrt::plugin_library());
    assert!(said.ends_with("all went well\n"), "{said}");
    assert!(said.contains("AilurusDensityPeaks writes 9 fields"), "{said}");
    assert!(said.contains("AilurusGridKMeans writes 13 fields"), "{said}");
}

fn run(program: &Path, tensorrt: &PathBuf, plugins: &Path) -> String {
    let output = Command::new(program).arg(tensorrt).arg(plugins).output().expect("the program just made starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn dispatch_runtime_of_tensorrt_11() {
    check("dispatch-11.4.0.106", "tensorrt_dispatch_libs/libnvinfer_dispatch.so.11", TENSORRT_11);
}

#[test]
fn lean_runtime_of_tensorrt_11() {
    check("lean-11.4.0.106", "tensorrt_lean_libs/libnvinfer_lean.so.11", TENSORRT_11);
}

#[test]
fn lean_runtime_of_tensorrt_10() {
    check("lean-10.16.1.11", "tensorrt_lean_libs/libnvinfer_lean.so.10", TENSORRT_10);
}
