//! Without a driver every function ends in an error with a name, and a later one can succeed. One test, as what has been
//! loaded holds for the whole program.

use std::ptr;

use ailurus_cuda::launcher::{self, Element, Stream};
use ailurus_cuda::{Error, Status, shim};
use ailurus_ops::UnfoldDims;

fn status<T: std::fmt::Debug>(result: Result<T, Error>) -> (Status, String) {
    match result {
        Err(Error::Launcher { status, detail }) => (status, detail),
        other => panic!("expected an error of the launcher, got {other:?}"),
    }
}

#[test]
fn a_missing_driver_is_an_error_with_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("libcuda.so.1");
    let (error, detail) = status(launcher::load(Some(&missing)));
    assert_eq!((error, error.code()), (Status::NoLibrary, "AIL0801"));
    assert!(detail.contains("libcuda.so.1"), "{detail}");

    std::fs::write(&missing, "not a library").unwrap();
    let (error, _) = status(launcher::load(Some(&missing)));
    assert_eq!(error, Status::NoLibrary);

    // A library that is none of CUDA's lacks its first function.
    let (error, detail) = status(launcher::load(Some("libm.so.6".as_ref())));
    assert_eq!((error, error.code()), (Status::OldLibrary, "AIL0802"));
    assert!(detail.ends_with("has no function cuInit"), "{detail}");

    let nul = status(launcher::load(Some("lib\0cuda".as_ref())));
    assert_eq!(nul.0, Status::NoLibrary);

    // What the system has. Where there is a driver this test has seen what it can.
    if !launcher::available() {
        let (error, detail) = status(launcher::prepare());
        assert!(matches!(error, Status::NoLibrary | Status::NoDevice), "{error:?}: {detail}");
        assert!(!detail.is_empty());
        let dims = UnfoldDims { batch: 1, rows: 1, tokens: 1, choices: 1, channels: 4 };
        let (mut z, mut y, index) = ([0f32; 4], [0f32; 4], 0);
        let (z, y) = (ptr::from_mut(&mut z).cast(), ptr::from_mut(&mut y).cast());
        // SAFETY: nothing is launched.
        let result = unsafe { launcher::unfold(Element::F32, dims, z, &index, ptr::null(), y, Stream::DEFAULT) };
        assert_eq!(status(result).0, error);
        // Found later, it is used.
        shim::load().unwrap();
        assert!(launcher::available());
        launcher::prepare().unwrap();
        // And stays: another library is not looked at.
        launcher::load(Some(&missing)).unwrap();
    }
}
