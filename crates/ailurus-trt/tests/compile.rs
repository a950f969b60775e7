//! The plugins compile without warnings against the headers of every TensorRT.

#[path = "common/tensorrt.rs"]
#[allow(dead_code, reason = "every test program uses another part")]
mod tensorrt;

use ailurus_trt::sources;

fn check(headers: &str, flags: &[&str]) {
    let Some(folder) = tensorrt::folder() else { return };
    let mut command = tensorrt::compiler(&folder, headers);
    command.args(["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]);
    command.args(flags).args(sources::PLUGIN.iter().map(|(path, _)| path).filter(|path| path.ends_with(".cpp")));
    let output = command.output().expect("there is a C++ compiler");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{headers} {flags:?}: {said}");
}

#[test]
fn tensorrt_11() {
    check("TRT-Enterprise-11.4", &[]);
}

#[test]
fn tensorrt_10() {
    // TensorRT for RTX 1.3 and 1.4 have the interface of TensorRT 10.
    check("TRT-RTX-1.3", &[]);
    check("TRT-RTX-1.4", &[]);
}

#[test]
fn tensorrt_for_rtx() {
    check("TRT-RTX-1.7", &[]);
}

#[test]
fn interface_of_tensorrt_8() {
    // Newer headers call it deprecated, as it is.
    for headers in ["TRT-RTX-1.3", "TRT-Enterprise-11.4"] {
        check(headers, &["-DAILURUS_TRT_FORCE_V2", "-Wno-deprecated-declarations"]);
    }
}

#[test]
fn every_source_is_among_the_texts() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin");
    let mut present: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("plugin/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    present.sort();
    let listed: Vec<&str> = sources::PLUGIN.iter().map(|(path, _)| *path).collect();
    assert_eq!(listed, present);
}
