//! `ailurus plugins`.

mod common;

use std::process::Command;

fn ailurus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ailurus"));
    command.env_remove("AILURUS_TRT_LIBRARY").env_remove("AILURUS_ORT_LIBRARY");
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn says_how_libraries_are_loaded() {
    let place = tempfile::tempdir().unwrap();
    let library = place.path().canonicalize().unwrap().join("some.so");
    std::fs::write(&library, "").unwrap();
    let output = ailurus().arg("plugins").env("AILURUS_TRT_LIBRARY", &library).output().unwrap();
    let said = text(output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("--dynamicPlugins={}", library.display())), "{said}");
    assert!(said.contains("register_custom_ops_library") && said.contains("Plugin not found"), "{said}");
}

#[test]
fn a_library_that_does_not_load_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let library = place.path().join("some.so");
    std::fs::write(&library, "no library").unwrap();
    let mut command = ailurus();
    command.args(["plugins", "--check"]).env("AILURUS_TRT_LIBRARY", &library);
    let output = command.env("AILURUS_ORT_LIBRARY", place.path().join("none")).output().unwrap();
    let said = text(output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("AIL0713") && said.contains("some.so"), "{said}");
}

#[test]
fn sources_are_written_once() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("sources");
    let emit = || ailurus().args(["plugins", "--emit"]).arg(&folder).output().unwrap();
    let output = emit();
    assert!(output.status.success() && text(output.stdout).contains("README.md says how to build them"));
    for name in ["CMakeLists.txt", "kernels/ailurus.ptx", "launcher/images.cpp", "plugin/plugin_v3.cpp"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    let output = emit();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(output.stderr).contains("AIL1012"));
}

#[test]
fn sources_beside_a_rewritten_model() {
    let place = tempfile::tempdir().unwrap();
    let (model, folder) = (place.path().join("out.onnx"), place.path().join("sources"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ailurus-rewrite"));
    command
        .arg(common::fixture("timm_vit_seg.ts13-f0"))
        .arg(&model)
        .args(["--layer", "1", "--emit-plugins"])
        .arg(&folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(output.stderr));
    assert!(model.is_file() && folder.join("CMakeLists.txt").is_file());

    // A folder in the way is found before a model is written; a refused model leaves no sources.
    std::fs::remove_file(&model).unwrap();
    let output = command.output().unwrap();
    assert!(output.status.code() == Some(1) && !model.exists(), "{}", text(output.stderr));
    let other = place.path().join("other");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ailurus-rewrite"));
    command
        .arg(common::fixture("timm_vit_seg.ts13-f0"))
        .arg(&model)
        .args(["--layer", "99", "--emit-plugins"])
        .arg(&other);
    assert_eq!(command.output().unwrap().status.code(), Some(1));
    assert!(!model.exists() && !other.exists());
}
