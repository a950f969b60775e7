//! External data: every way to store it, and what becomes of it on writing.

mod common;

use ailurus_onnx::{Attribute, Error, ExternalData, GraphEdit, Model, Storage, Tensor, WriteOptions};
use common::*;
use onnx_protobuf::ModelProto;
use std::fs;
use std::path::{Path, PathBuf};

fn options(external_data: ExternalData) -> WriteOptions {
    WriteOptions { external_data, sync: false, ..WriteOptions::default() }
}

fn values(count: usize, from: f32) -> Vec<f32> {
    (0..count).map(|i| from + i as f32).collect()
}

fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// External tensors in two files, among them one in a `Constant`, one in a subgraph and one in a function.
fn sample() -> ModelProto {
    let mut m = everything();
    let g = m.graph.as_mut().unwrap();
    g.initializer.push(external("one", 4, "weights.bin", Some(8), Some(16)));
    g.initializer.push(external("rest", 2, "weights.bin", None, None));
    g.initializer.push(external("same", 4, "weights.bin", Some(8), Some(16)));
    g.initializer.push(external("big", 300_000, "sub/more.bin", Some(4), None));
    g.node.push(constant("ec", external("", 1, "sub/more.bin", None, Some(4))));
    let branch = g.node[2].attribute[0].g.as_mut().unwrap();
    branch.initializer.push(external("inner", 2, "weights.bin", Some(16), Some(8)));
    m.functions[0].node.push(constant("fc", external("", 1, "weights.bin", Some(4), None)));
    m
}

fn write_sample(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("weights.bin"), raw(&values(6, 0.0))).unwrap();
    fs::write(folder.join("sub/more.bin"), raw(&values(300_001, 100.0))).unwrap();
    let path = folder.join("in.onnx");
    fs::write(&path, encode(&sample())).unwrap();
    path
}

/// Every external tensor of the sample, read back.
fn check(model: &Model) {
    let g = &model.graph;
    let get = |name: &str| model.f32s(&g.constant(g.find(name).unwrap()).unwrap()).unwrap();
    assert_eq!(get("one"), values(4, 2.0));
    assert_eq!(get("same"), values(4, 2.0));
    assert_eq!(get("rest"), values(2, 0.0));
    assert_eq!(get("big"), values(300_000, 101.0));
    assert_eq!(get("ec"), [100.0]);
    let (_, branch) = g.nodes().find(|(_, n)| n.op_type == "If").unwrap();
    let inner = &branch.attributes["then_branch"].graphs()[0];
    assert_eq!(model.f32s(inner.initializer(inner.find("inner").unwrap()).unwrap()).unwrap(), [4.0, 5.0]);
    let body = &model.functions[0].body;
    assert_eq!(model.f32s(&body.constant(body.find("fc").unwrap()).unwrap()).unwrap(), [1.0]);
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn kept_beside_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let input = write_sample(dir.path());
    let model = Model::load(&input).unwrap();
    check(&model);
    let out = dir.path().join("out.onnx");
    model.write(&out, &options(ExternalData::Keep)).unwrap();
    assert_eq!(fs::read(&input).unwrap(), fs::read(&out).unwrap());
    model.write(&out, &options(ExternalData::Copy)).unwrap();
    assert_eq!(files(dir.path()), ["in.onnx", "out.onnx", "sub", "weights.bin"], "nothing to copy");
}

#[test]
fn kept_from_a_folder_above() {
    let dir = tempfile::tempdir().unwrap();
    let input = write_sample(&dir.path().join("models"));
    let out = dir.path().join("out.onnx");
    Model::load(&input).unwrap().write(&out, &options(ExternalData::Keep)).unwrap();
    check(&Model::load(&out).unwrap());
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    let out = dir.path().join("elsewhere/out.onnx");
    let error = Model::load(&input).unwrap().write(&out, &options(ExternalData::Keep)).unwrap_err();
    assert_eq!(error.code(), "AIL0117");
    assert!(error.to_string().contains("single"));
    assert!(files(&dir.path().join("elsewhere")).is_empty());
}

#[test]
fn copied_to_another_folder() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let input = write_sample(from.path());
    let out = to.path().join("out.onnx");
    fs::write(to.path().join("weights.bin"), "of another model").unwrap();
    let report = Model::load(&input).unwrap().write(&out, &options(ExternalData::Copy)).unwrap();
    assert_eq!(report.data_files.len(), 2);
    assert_eq!(files(to.path()), ["out.onnx", "out.onnx.data", "out.onnx.data.1", "weights.bin"]);
    assert_eq!(fs::read(to.path().join("weights.bin")).unwrap(), b"of another model");
    fs::remove_dir_all(from.path()).unwrap();
    check(&Model::load(&out).unwrap());
}

#[test]
fn gathered_in_one_file() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let input = write_sample(from.path());
    for edited in [false, true] {
        let mut edit = GraphEdit::new(Model::load(&input).unwrap());
        if edited {
            let (branch, _) = edit.graph().nodes().find(|(_, n)| n.op_type == "If").unwrap();
            edit.set_attribute(branch, "note", Attribute::Int(1)).unwrap();
            let h = edit.graph().find("h").unwrap();
            edit.rename_value(h, "renamed").unwrap();
        }
        let out = to.path().join("out.onnx");
        let report = edit.finish().unwrap().write(&out, &options(ExternalData::Single)).unwrap();
        assert_eq!(report.data_files.len(), 1);
        let again = Model::load(&out).unwrap();
        check(&again);
        let mut places = vec![];
        for (_, tensor) in again.graph.initializers() {
            if let Storage::External { location, offset, length } = &tensor.storage {
                assert_eq!(location, "out.onnx.data");
                assert_eq!(offset % if *length >= 1 << 20 { 4096 } else { 64 }, 0);
                places.push((tensor.name.clone(), *offset));
            }
        }
        assert_eq!(places[0].1, places[2].1, "one and same share their bytes");
        assert_eq!(files(to.path()), ["out.onnx", "out.onnx.data"]);
    }
}

#[test]
fn moved_into_the_model() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let input = write_sample(from.path());
    let out = to.path().join("out.onnx");
    Model::load(&input).unwrap().write(&out, &options(ExternalData::Inline)).unwrap();
    assert_eq!(files(to.path()), ["out.onnx"]);
    check(&Model::load(&out).unwrap());
}

#[test]
fn gathering_never_overwrites_what_the_model_reads() {
    let dir = tempfile::tempdir().unwrap();
    let input = write_sample(dir.path());
    let first = dir.path().join("out.onnx");
    Model::load(&input).unwrap().write(&first, &options(ExternalData::Single)).unwrap();
    // the model's own data file has the name the output would choose
    let again = WriteOptions { overwrite_source: true, ..options(ExternalData::Single) };
    let report = Model::load(&first).unwrap().write(&first, &again).unwrap();
    assert_eq!(report.data_files[0].0.file_name().unwrap(), "out.onnx.data.1");
    check(&Model::load(&first).unwrap());
    let data = dir.path().join("weights.bin");
    let error = Model::load(&input).unwrap().write(&data, &again).unwrap_err();
    assert_eq!(error.code(), "AIL0116");
}

#[test]
fn too_large_files_spill() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = encode(&everything());
    fs::write(dir.path().join("in.onnx"), &bytes).unwrap();
    let out = dir.path().join("out.onnx");
    let model = Model::load(dir.path().join("in.onnx")).unwrap();
    let small = WriteOptions { max_inline: 4000, ..options(ExternalData::Keep) };
    let report = model.write(&out, &small).unwrap();
    assert!(report.spilled && report.bytes < 4000);
    let again = Model::load(&out).unwrap();
    let big = again.graph.initializer(again.graph.find("w_big").unwrap()).unwrap();
    assert_eq!(again.f32s(big).unwrap(), vec![0.5; 2048]);
    let tiny = WriteOptions { max_inline: 100, ..options(ExternalData::Keep) };
    assert_eq!(model.write(dir.path().join("tiny.onnx"), &tiny).unwrap_err().code(), "AIL0118");
    assert_eq!(files(dir.path()), ["in.onnx", "out.onnx", "out.onnx.data"]);
}

fn one(location: &str, offset: Option<u64>, length: Option<u64>) -> ModelProto {
    let mut m = everything();
    m.graph.as_mut().unwrap().initializer.push(external("w_out", 4, location, offset, length));
    m
}

fn read(path: &Path) -> Result<Vec<f32>, Error> {
    let model = Model::load(path)?;
    let value = model.graph.find("w_out").unwrap();
    model.f32s(model.graph.initializer(value).unwrap())
}

#[test]
fn unsafe_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("m")).unwrap();
    fs::write(dir.path().join("secret"), [0; 16]).unwrap();
    let path = dir.path().join("m/in.onnx");
    for location in ["../secret", "/etc/passwd", "", "a/../../secret", "..\\secret", "C:\\secret"] {
        fs::write(&path, encode(&one(location, None, None))).unwrap();
        assert_eq!(Model::load(&path).unwrap_err().code(), "AIL0110", "{location}");
    }
    std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("m/link")).unwrap();
    fs::write(&path, encode(&one("link", None, None))).unwrap();
    assert_eq!(read(&path).unwrap_err().code(), "AIL0110");
    let error = Model::load(&path).unwrap().write(dir.path().join("out.onnx"), &options(ExternalData::Single));
    assert_eq!(error.unwrap_err().code(), "AIL0110");
    // a cache that links to a store is fine: model and data lie side by side there
    fs::create_dir(dir.path().join("store")).unwrap();
    fs::write(dir.path().join("store/1"), encode(&one("data", None, None))).unwrap();
    fs::write(dir.path().join("store/2"), raw(&values(4, 1.0))).unwrap();
    std::os::unix::fs::symlink("../store/1", dir.path().join("m/cached.onnx")).unwrap();
    std::os::unix::fs::symlink("../store/2", dir.path().join("m/data")).unwrap();
    assert_eq!(read(&dir.path().join("m/cached.onnx")).unwrap(), values(4, 1.0));
}

#[test]
fn missing_and_short_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.onnx");
    fs::write(&path, encode(&one("data", Some(8), None))).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.code(), "AIL0111");
    assert!(error.to_string().contains("w_out") && error.to_string().contains("data"));
    fs::write(dir.path().join("data"), [0; 20]).unwrap();
    assert_eq!(read(&path).unwrap_err().code(), "AIL0112");
    let out = dir.path().join("out.onnx");
    let error = Model::load(&path).unwrap().write(&out, &options(ExternalData::Single)).unwrap_err();
    assert_eq!(error.code(), "AIL0112");
    assert_eq!(files(dir.path()), ["data", "in.onnx"]);
    for (offset, length) in [(Some(u64::MAX), None), (None, Some(u64::MAX)), (Some(1 << 62), Some(16))] {
        fs::write(&path, encode(&one("data", offset, length))).unwrap();
        assert!(read(&path).is_err());
    }
}

#[test]
fn a_model_in_memory_has_no_folder() {
    let model = Model::from_bytes(encode(&sample())).unwrap();
    let value = model.graph.find("one").unwrap();
    assert!(model.bytes(model.graph.initializer(value).unwrap()).is_err());
    assert_eq!(model.to_bytes().unwrap(), encode(&sample()));
}

#[test]
fn overlapping_tensors_cannot_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut m = everything();
    let g = m.graph.as_mut().unwrap();
    for i in 0..200 {
        g.initializer.push(external(&format!("t{i}"), 100_000, "data", Some(i), Some(400_000)));
    }
    fs::write(dir.path().join("in.onnx"), encode(&m)).unwrap();
    fs::write(dir.path().join("data"), vec![0; 400_200]).unwrap();
    let model = Model::load(dir.path().join("in.onnx")).unwrap();
    let error = model.write(dir.path().join("out.onnx"), &options(ExternalData::Single)).unwrap_err();
    assert_eq!(error.code(), "AIL0105");
}

#[test]
fn a_new_tensor_may_share_external_data() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let input = write_sample(from.path());
    let mut edit = GraphEdit::new(Model::load(&input).unwrap());
    let one = edit.graph().find("one").unwrap();
    let shared = Tensor { name: "shared".into(), ..edit.graph().initializer(one).unwrap().clone() };
    edit.add_initializer(shared).unwrap();
    let out = to.path().join("out.onnx");
    edit.finish().unwrap().write(&out, &options(ExternalData::Single)).unwrap();
    let model = Model::load(&out).unwrap();
    let value = model.graph.find("shared").unwrap();
    assert_eq!(model.f32s(model.graph.initializer(value).unwrap()).unwrap(), values(4, 2.0));
}
