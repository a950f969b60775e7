//! One library for many releases of ONNX Runtime: the suite of the operators in each that was fetched, each in a Python of
//! its own.

mod common;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ailurus_ops::{DensityPeaks, Keep};
use ailurus_rewrite::Emit;
use ailurus_runtime::testing;
use ailurus_runtime::testing::onnx::ElementType;
use ailurus_tests::{conformance, run};
use common::model::{agree, rewritten};
use common::python::{Server, interpreter};

/// ONNX Runtime of this version, or a visible skip (need `onnxruntime-versions`). `cargo xtask wheels` fetches it, and
/// `cargo xtask test` says in `AILURUS_ORT_VERSIONS` where it is: a folder with a folder of packages for each version.
fn start(version: &str) -> Option<Arc<Mutex<Server>>> {
    let packages = std::env::var_os("AILURUS_ORT_VERSIONS").map(|folder| PathBuf::from(folder).join(version));
    let Some(packages) = packages.filter(|p| p.join("onnxruntime").is_dir()) else {
        testing::skip("onnxruntime-versions", &format!("no ONNX Runtime {version} in AILURUS_ORT_VERSIONS"));
        return None;
    };
    let server = Server::start(&interpreter()?, &packages);
    assert_eq!(server.version, version, "{} is not what was loaded", packages.display());
    Some(Arc::new(Mutex::new(server)))
}

/// Every operator in both element types gives what its definition says, and a rewritten model runs with the library and
/// without it.
fn works(version: &str) {
    let Some(server) = start(version) else {
        return;
    };
    let load = |model: &[u8], register| {
        Server::load(&server, model, register).unwrap_or_else(|e| panic!("{version}, library {register}: {e}"))
    };
    conformance::check(&|model| load(model, true));
    let (model, inputs) = rewritten(Emit::Function);
    let [kernels, functions] =
        [true, false].map(|register| run::run(load(&model, register).as_ref(), &inputs).unwrap());
    agree(&kernels, &functions);
}

#[test]
fn the_oldest_that_is_supported() {
    works("1.17.3");
}

#[test]
fn one_in_between() {
    works("1.22.1");
}

/// The library says what is wrong, and the process lives on.
#[test]
fn what_is_too_old_is_refused() {
    let Some(server) = start("1.16.3") else {
        return;
    };
    let params = DensityPeaks::new(0, 0, Some((4, 4)), Keep::Tokens(5));
    for element in [ElementType::F32, ElementType::F16] {
        let error = Server::load(&server, &conformance::model(&params, element), true).err().expect("it is refused");
        let text = "ailurus AIL0901: ONNX Runtime 1.16.3 is too old for this library: 1.17 or newer is needed";
        assert!(error.contains(text), "{error}");
    }
    // The file needs no library, so it is none the worse for it.
    let (model, inputs) = rewritten(Emit::Function);
    let session = Server::load(&server, &model, false).unwrap();
    assert!(!run::run(session.as_ref(), &inputs).unwrap().is_empty());
}
