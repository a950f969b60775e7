//! Rewrites a model while the program is built.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let model = here.join("../../fixtures/segmenter_mask.ts17b.onnx");
    println!("cargo::rerun-if-changed={}", model.display());

    let options = ailurus::Options::new(2).keep(0.5)?;
    let summary = ailurus::rewrite_file(&model, out.join("model.onnx"), &options)?;

    std::fs::write(out.join("summary.json"), serde_json::to_string(&summary.tokens)?)?;
    println!("cargo::rustc-env=MODEL_PROMISE={:.2}", summary.promise());
    Ok(())
}
