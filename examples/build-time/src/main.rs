//! Carries a rewritten model inside the program.

/// The model, rewritten by `build.rs`.
static MODEL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/model.onnx"));

/// What was done to its tokens.
static TOKENS: &str = include_str!(concat!(env!("OUT_DIR"), "/summary.json"));

#[allow(clippy::print_stdout, reason = "this is what the example shows")]
fn main() {
    println!("{} bytes of model are part of this program", MODEL.len());
    println!("its tokens: {TOKENS}");
    println!("operations promise {}x", env!("MODEL_PROMISE"));
}
