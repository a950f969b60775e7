//! `bench/gpu.sh` without a GPU: it says so, and everything but the device does what it should, down to calling the
//! launcher from Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ailurus_runtime::testing::skip;
use serde_json::Value;

/// The script's status where there is no GPU.
const NO_DEVICE: i32 = 77;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python with NumPy, or a visible skip (need `python`): `AILURUS_PYTHON`, else that of `cargo xtask wheels`.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("AILURUS_PYTHON").filter(|v| !v.is_empty());
    let python = python.map_or_else(|| root().join(".cache/venv/bin/python"), PathBuf::from);
    let works = Command::new(&python).args(["-c", "import numpy"]).output().is_ok_and(|o| o.status.success());
    if !works {
        skip("python", &format!("{} cannot import numpy; see `cargo xtask wheels`", python.display()));
    }
    works.then_some(python)
}

fn run(script: &Path, python: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    // Devices that are there are not shown.
    let output =
        Command::new("bash").arg(script).args(arguments).env("PYTHON", python).env("CUDA_VISIBLE_DEVICES", "").output();
    let Output { status, stdout, stderr } = output.expect("bash starts");
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn without_a_gpu_it_says_so() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let (status, said) = run(&root().join("bench/gpu.sh"), &python, &["--out", out.to_str().unwrap()]);
    assert_eq!(status, Some(NO_DEVICE), "{said}");
    assert!(said.contains("no GPU") && !out.exists(), "{said}");
}

/// Copies what the script needs into a folder, so that it can be tampered with.
fn copy(to: &Path) {
    for folder in ["bench", "bench/gpu", "crates/ailurus-cuda/kernels", "crates/ailurus-cuda/launcher"]
        .into_iter()
        .chain(["crates/ailurus-cuda/shim"])
    {
        std::fs::create_dir_all(to.join(folder)).unwrap();
        for entry in std::fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
}

fn rehearse(root: &Path, python: &Path) -> (Option<i32>, String, Value) {
    let out = root.join("out");
    let arguments = ["--rehearse", "--only", "check", "--out", out.to_str().unwrap()];
    let (status, said) = run(&root.join("bench/gpu.sh"), python, &arguments);
    let results = std::fs::read_to_string(out.join("gpu.json")).unwrap_or_else(|error| panic!("{error}: {said}"));
    (status, said, serde_json::from_str(&results).unwrap())
}

#[test]
fn the_check_runs_and_finds_what_is_wrong() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    copy(place.path());
    let (status, said, results) = rehearse(place.path(), &python);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(results["check"]["faults"].as_array().map(Vec::len), Some(0), "{said}");
    let path = place.path().join("bench/gpu/cases.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let small = text.matches("\"large\":false").count();
    assert_eq!(results["check"]["cases"], small, "{said}");

    // Another result is expected of one case, and patches join what is no anchor.
    let mut cases: Value = serde_json::from_str(&text).unwrap();
    let merge = cases["cases"].as_array_mut().unwrap().iter_mut().find(|c| c["operator"] == "merge").unwrap();
    merge["outputs"]["y"]["sha256"] = "0".into();
    let name = merge["name"].as_str().unwrap().to_owned();
    std::fs::write(&path, cases.to_string()).unwrap();
    let kernel = place.path().join("crates/ailurus-cuda/kernels/assign.cuh");
    let source = std::fs::read_to_string(&kernel).unwrap();
    let broken = source.replacen("row[other] >= 0", "row[other] < 0", 1);
    assert_ne!(source, broken);
    std::fs::write(&kernel, broken).unwrap();
    let (status, said, results) = rehearse(place.path(), &python);
    assert_eq!(status, Some(1), "{said}");
    let faults: Vec<&str> = results["check"]["faults"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(faults.iter().filter(|f| f.starts_with("merge")).collect::<Vec<_>>().len(), 1, "{said}");
    assert!(faults.iter().any(|f| f.starts_with(&name) && f.contains("y differs")), "{said}");
    assert!(faults.iter().any(|f| f.starts_with("density_peaks") && f.contains("index differs")), "{said}");
}

#[test]
fn the_results_have_their_place_in_the_documentation() {
    let docs = std::fs::read_to_string(root().join("docs/benchmarks.md")).unwrap();
    let report = std::fs::read_to_string(root().join("bench/gpu/report.py")).unwrap();
    let marks = report.lines().find_map(|line| line.strip_prefix("MARKS = ")).unwrap();
    let marks: Vec<&str> = marks.split('"').filter(|part| part.starts_with("<!--")).collect();
    let places: Vec<usize> = marks.iter().map(|mark| docs.find(mark.trim_end_matches("\\n")).unwrap()).collect();
    assert!(places.len() == 2 && places[0] < places[1], "{places:?}");
}
