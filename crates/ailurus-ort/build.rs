//! Keeps the library in memory once it is loaded.
//!
//! ONNX Runtime unloads it with the last session that uses it. What was registered is never freed, because nobody says
//! when it may be, and would be lost and made again with every load.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
