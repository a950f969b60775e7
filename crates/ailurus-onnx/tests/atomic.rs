//! A write that fails leaves everything as it was.

mod common;

use ailurus_onnx::{GraphEdit, Model, Tensor, WriteOptions};
use common::*;
use std::fs;

#[test]
fn the_input_is_not_overwritten_by_accident() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    fs::write(&path, encode(&everything())).unwrap();
    let mut edit = GraphEdit::new(Model::load(&path).unwrap());
    edit.set_metadata("k", "v");
    let model = edit.finish().unwrap();
    assert_eq!(model.write(&path, &WriteOptions::default()).unwrap_err().code(), "AIL0116");
    std::os::unix::fs::symlink(&path, dir.path().join("link.onnx")).unwrap();
    let error = model.write(dir.path().join("link.onnx"), &WriteOptions::default()).unwrap_err();
    assert_eq!(error.code(), "AIL0116");
    assert_eq!(fs::read(&path).unwrap(), encode(&everything()));
    model.write(&path, &WriteOptions { overwrite_source: true, ..WriteOptions::default() }).unwrap();
    assert_eq!(Model::load(&path).unwrap().header.metadata["k"], "v");
    // the map of the replaced file still holds
    assert_eq!(model.graph.initializers().count(), 2);
    let big = model.graph.initializer(model.graph.find("w_big").unwrap()).unwrap();
    assert_eq!(model.f32s(big).unwrap()[2047], 0.5);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary files");
}

#[test]
fn impossible_destinations_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let model = Model::from_bytes(encode(&everything())).unwrap();
    for (path, code) in [
        (dir.path().join("missing/out.onnx"), "AIL0115"),
        (dir.path().to_owned(), "AIL0115"),
        ("/dev/null".into(), "AIL0115"),
        ("".into(), "AIL0115"),
    ] {
        let error = model.write(&path, &WriteOptions::default()).unwrap_err();
        assert_eq!(error.code(), code, "{}", path.display());
    }
    assert!(fs::metadata("/dev/null").unwrap().file_type() != fs::metadata(dir.path()).unwrap().file_type());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_existing_output_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.onnx");
    fs::write(&out, "old").unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o640)).unwrap();
    Model::from_bytes(encode(&everything())).unwrap().write(&out, &WriteOptions::default()).unwrap();
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o640);
}

/// The disk is simulated to be full by a limit on file sizes. The limit is one of the process and fails only writes
/// beyond 1 MB, which no other test here does; it is lifted again at once, because a log may be longer.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_output() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.onnx");
    fs::write(&out, "old").unwrap();
    let mut edit = GraphEdit::new(Model::from_bytes(encode(&everything())).unwrap());
    edit.add_initializer(Tensor::from_f32("huge", &[1 << 20], &vec![0.0; 1 << 20])).unwrap();
    let model = edit.finish().unwrap();
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls; the signal would end the process, ignoring it turns it into an error of `write`.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::getrlimit(libc::RLIMIT_FSIZE, &mut before), 0);
        let limit = libc::rlimit { rlim_cur: 1 << 20, ..before };
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
    let written = model.write(&out, &WriteOptions::default());
    // SAFETY: as above, with what was read before.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &before) }, 0);
    let error = written.unwrap_err();
    assert_eq!(error.code(), "AIL0115");
    assert!(error.to_string().contains("nothing was changed"));
    assert_eq!(fs::read(&out).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary files");
}
