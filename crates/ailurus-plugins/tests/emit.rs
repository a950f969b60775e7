//! The folder is complete, builds with a C++ compiler alone, and with CMake; TensorRT's functions are in what comes out.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ailurus_plugins::{Error, emit, files};
use ailurus_runtime::testing;

fn compiler() -> Command {
    Command::new(std::env::var_os("CXX").filter(|v| !v.is_empty()).unwrap_or_else(|| "c++".into()))
}

/// The folders of the headers, or a visible skip (need `tensorrt`).
fn include() -> Option<Vec<PathBuf>> {
    let folder = std::env::var_os("AILURUS_TENSORRT").filter(|v| !v.is_empty());
    if folder.is_none() {
        testing::skip("tensorrt", "`cargo xtask tensorrt` fetches it and says what to set AILURUS_TENSORRT to");
    }
    let headers = PathBuf::from(folder?).join("headers");
    Some(vec![headers.join("TRT-Enterprise-11.4"), headers])
}

fn succeeded(output: &Output) {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{errors}");
}

/// The library has five creators, and nothing to ask of TensorRT's libraries.
fn check_library(path: &Path) {
    // SAFETY: the library was just made from the sources, and the type is that of plugin/exports.cpp.
    unsafe {
        let library = libloading::Library::new(path).unwrap();
        let creators: libloading::Symbol<'_, unsafe extern "C" fn(*mut i32) -> *const *mut c_void> =
            library.get(b"getCreators").unwrap();
        let mut count = 0;
        assert!(!creators(&mut count).is_null());
        assert_eq!(count, 5);
        assert!(library.get::<unsafe extern "C" fn(*mut c_void)>(b"setLoggerFinder").is_ok());
    }
}

#[test]
fn builds_with_a_compiler_alone() {
    let Some(include) = include() else { return };
    let place = tempfile::tempdir().unwrap();
    let written = emit(place.path()).unwrap();
    let from = |path: &&PathBuf| ["plugin", "launcher"].iter().any(|folder| path.parent().unwrap().ends_with(folder));
    let sources = written.iter().filter(|path| path.extension().is_some_and(|e| e == "cpp")).filter(from);
    let library = place.path().join("libailurus_trt.so");
    let mut command = compiler();
    command.args(["-std=c++14", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
    for folder in &include {
        command.arg("-isystem").arg(folder);
    }
    command.arg("-Ilauncher").args(sources).arg("-o").arg(&library);
    command.args(["-ldl", "-lpthread", "-Wl,--no-undefined"]).current_dir(place.path());
    succeeded(&command.output().expect("there is a C++ compiler"));
    check_library(&library);
}

#[test]
fn builds_with_cmake() {
    let Some(include) = include() else { return };
    if Command::new("cmake").arg("--version").output().is_err() {
        testing::skip("cmake", "it is not installed");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    emit(place.path()).unwrap();
    let list: Vec<&str> = include.iter().map(|path| path.to_str().unwrap()).collect();
    let headers = format!("-DTENSORRT_INCLUDE={}", list.join(";"));
    let mut configure = Command::new("cmake");
    succeeded(&configure.args(["-S", ".", "-B", "build", &headers]).current_dir(place.path()).output().unwrap());
    let mut build = Command::new("cmake");
    succeeded(&build.args(["--build", "build"]).current_dir(place.path()).output().unwrap());
    check_library(&place.path().join("build/libailurus_trt.so"));
    // SAFETY: made from this crate's sources.
    unsafe {
        let library = libloading::Library::new(place.path().join("build/libailurus_ort_cuda.so")).unwrap();
        assert!(library.get::<unsafe extern "C" fn()>(b"RegisterCustomOps").is_ok());
        assert!(library.get::<unsafe extern "C" fn()>(b"ailurus_cuda_load").is_err(), "no more than that is exported");
    }
}

#[test]
fn every_source_is_in_the_folder() {
    let emitted: BTreeSet<&str> = files().iter().map(|(path, _)| *path).collect();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (package, folder) in [
        ("ailurus-cuda", "kernels"),
        ("ailurus-cuda", "launcher"),
        ("ailurus-trt", "plugin"),
        ("ailurus-plugins", "onnxruntime"),
    ] {
        for entry in std::fs::read_dir(crates.join(package).join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            // The stamp is for those who make the PTX.
            assert!(emitted.contains(name.as_str()) || name.ends_with(".stamp"), "{name}");
        }
    }
    assert_eq!(emitted.len(), files().len(), "no path is given twice");
}

#[test]
fn nothing_is_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("new/folder");
    assert_eq!(emit(&folder).unwrap().len(), files().len());
    std::fs::write(folder.join("README.md"), "mine").unwrap();
    let error = emit(&folder).unwrap_err();
    assert!(matches!(error, Error::NotEmpty { .. }) && error.code() == "AIL1012", "{error}");
    assert_eq!(std::fs::read_to_string(folder.join("README.md")).unwrap(), "mine");
    let error = emit(&folder.join("README.md")).unwrap_err();
    assert_eq!(error.code(), "AIL1013", "{error}");
}
