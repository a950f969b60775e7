//! Every model of the zoo loads.

mod common;

use ailurus_onnx::{Model, Storage};

#[test]
fn loads_and_reads_every_tensor() {
    for file in common::zoo() {
        let model = Model::load(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(model.graph.nodes().len() > 50, "{}", file.display());
        for (_, tensor) in model.graph.initializers() {
            match tensor.storage {
                Storage::Strings(_) => {}
                _ => assert!(model.bytes(tensor).is_ok(), "{} {tensor:?}", file.display()),
            }
        }
    }
}
