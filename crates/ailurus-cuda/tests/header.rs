//! The header is C, and the declarations in Rust follow it.

use std::io::Write;
use std::mem::offset_of;
use std::process::{Command, Stdio};

use ailurus_cuda::Status;
use ailurus_cuda::launcher::Element;
use ailurus_cuda::sys::{self, ABI_VERSION, DensityPeaksParams as Params, GridKMeansParams};

/// Has a C compiler look at a text that includes the header; its objections if there are any.
fn compile(standard: &str, text: &str) -> Result<(), String> {
    let compiler = std::env::var_os("CC").filter(|v| !v.is_empty()).unwrap_or_else(|| "cc".into());
    let mut child = Command::new(compiler)
        .args(["-x", "c", standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/launcher"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a C compiler");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("the compiler reads");
    let output = child.wait_with_output().expect("the compiler ends");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn the_header_is_c() {
    compile("-std=c99", "#include \"ailurus_cuda.h\"\ntypedef int used;\n").unwrap();
}

#[test]
fn rust_declares_what_the_header_does() {
    let mut text = String::from("#include \"ailurus_cuda.h\"\n");
    let mut equal = |c: String, rust: usize| {
        text += &format!("_Static_assert({c} == {rust}, \"{}\");\n", c.replace('"', "'"));
    };
    equal("AILURUS_CUDA_ABI_VERSION".into(), ABI_VERSION as usize);
    equal("sizeof(ailurus_cuda_status)".into(), size_of::<i32>());
    equal("sizeof(ailurus_cuda_type)".into(), size_of::<Element>());
    equal("sizeof(ailurus_cuda_density_peaks_params)".into(), size_of::<Params>());
    for (field, offset) in [
        ("prefix", offset_of!(Params, prefix)),
        ("suffix", offset_of!(Params, suffix)),
        ("grid_h", offset_of!(Params, grid_h)),
        ("grid_w", offset_of!(Params, grid_w)),
        ("tokens", offset_of!(Params, tokens)),
        ("keep_num", offset_of!(Params, keep_num)),
        ("keep_den", offset_of!(Params, keep_den)),
        ("neighbors", offset_of!(Params, neighbors)),
        ("window", offset_of!(Params, window)),
        ("spatial_mix", offset_of!(Params, spatial_mix)),
    ] {
        equal(format!("offsetof(ailurus_cuda_density_peaks_params, {field})"), offset);
    }
    equal("sizeof(ailurus_cuda_grid_kmeans_params)".into(), size_of::<GridKMeansParams>());
    for (field, offset) in [
        ("prefix", offset_of!(GridKMeansParams, prefix)),
        ("suffix", offset_of!(GridKMeansParams, suffix)),
        ("grid_h", offset_of!(GridKMeansParams, grid_h)),
        ("grid_w", offset_of!(GridKMeansParams, grid_w)),
        ("cluster_h", offset_of!(GridKMeansParams, cluster_h)),
        ("cluster_w", offset_of!(GridKMeansParams, cluster_w)),
        ("iterations", offset_of!(GridKMeansParams, iterations)),
        ("window", offset_of!(GridKMeansParams, window)),
        ("neighbors", offset_of!(GridKMeansParams, neighbors)),
        ("ties", offset_of!(GridKMeansParams, ties)),
        ("temperature", offset_of!(GridKMeansParams, temperature)),
        ("temperature_mode", offset_of!(GridKMeansParams, temperature_mode)),
        ("norm", offset_of!(GridKMeansParams, norm)),
    ] {
        equal(format!("offsetof(ailurus_cuda_grid_kmeans_params, {field})"), offset);
    }
    let names = [("ABSOLUTE", sys::ABSOLUTE), ("RELATIVE", sys::RELATIVE), ("L1", sys::L1), ("L2", sys::L2)];
    for (name, value) in names {
        equal(format!("AILURUS_CUDA_{name}"), value as usize);
    }
    for status in Status::ALL {
        equal(format!("AILURUS_CUDA_{}", status.name()), status.raw() as usize);
    }
    for element in [Element::F32, Element::F16, Element::Bf16] {
        equal(format!("AILURUS_CUDA_{}", format!("{element:?}").to_uppercase()), element as usize);
    }
    compile("-std=c11", &text).unwrap();
    // That the compiler looks at all.
    assert!(compile("-std=c11", "_Static_assert(1 == 2, \"never\");\n").is_err());
}
