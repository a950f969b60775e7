//! One library for many releases of ONNX Runtime: the suite of the operators in each that was fetched, each in a Python of
//! its own.

mod common;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ailurus_ops::{DensityPeaks, Keep};
use ailurus_runtime::testing;
use ailurus_runtime::testing::onnx::ElementType;
use ailurus_tests::conformance;
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

/// Every operator in both element types gives what its definition says.
fn operators_are_as_defined(version: &str) {
    if let Some(server) = start(version) {
        conformance::check(&|model| Server::load(&server, model).unwrap_or_else(|e| panic!("{version}: {e}")));
    }
}

#[test]
fn the_oldest_that_is_supported() {
    operators_are_as_defined("1.17.3");
}

#[test]
fn one_in_between() {
    operators_are_as_defined("1.22.1");
}

/// The library says what is wrong, and the process lives on.
#[test]
fn what_is_too_old_is_refused() {
    let Some(server) = start("1.16.3") else {
        return;
    };
    let params = DensityPeaks::new(0, 0, Some((4, 4)), Keep::Tokens(5));
    for element in [ElementType::F32, ElementType::F16] {
        let error = Server::load(&server, &conformance::model(&params, element)).err().expect("it is refused");
        let text = "ailurus AIL0901: ONNX Runtime 1.16.3 is too old for this library: 1.17 or newer is needed";
        assert!(error.contains(text), "{error}");
    }
}
