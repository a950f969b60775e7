//! Compiles the launcher, with the compiled kernels as data, and for tests the driver without a device. Needs a C++
//! compiler and nothing of CUDA.

#[path = "src/images.rs"]
mod images;

use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Folder with machine code to embed besides the PTX: files `ailurus_sm_<architecture>.cubin`.
const CUBINS: &str = "AILURUS_CUDA_CUBINS";

const LAUNCHER: [&str; 8] =
    ["check", "density_peaks", "driver", "grid", "grid_kmeans", "merge_unfold", "module", "status"];

fn main() -> Result<()> {
    for input in ["kernels", "launcher", "shim", "build.rs", "src/images.rs"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed={CUBINS}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    launcher(&out)?;
    if env::var_os("CARGO_FEATURE_SHIM").is_some() {
        let library = shim(&out)?;
        println!("cargo:rustc-env=AILURUS_CUDA_SHIM={}", library.display());
    }
    Ok(())
}

fn compiler() -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++14").warnings(true).extra_warnings(true);
    build
}

fn launcher(out: &Path) -> Result<()> {
    let images = out.join("images.cpp");
    fs::write(&images, images_source()?)?;
    let mut build = compiler();
    // Two libraries in one program may both hold the launcher; each is to call its own.
    build.flag_if_supported("-fvisibility=hidden");
    build.include("launcher").file(images);
    build.files(LAUNCHER.map(|name| format!("launcher/{name}.cpp")));
    build.try_compile("ailurus_cuda_launcher")?;
    if env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        // A library of its own before glibc 2.34, an empty one since.
        println!("cargo:rustc-link-lib=dl");
    }
    Ok(())
}

/// The PTX, and the machine code that the environment names.
fn images_source() -> Result<String> {
    let mut found = vec![(0, fs::read("kernels/ailurus.ptx")?)];
    if let Some(folder) = env::var_os(CUBINS).filter(|v| !v.is_empty()) {
        println!("cargo:rerun-if-changed={}", Path::new(&folder).display());
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let arch = name.strip_prefix("ailurus_sm_").and_then(|n| n.strip_suffix(".cubin"));
            if let Some(arch) = arch.and_then(|a| a.parse().ok()) {
                found.push((arch, fs::read(&path)?));
            }
        }
        if found.len() == 1 {
            return Err(
                format!("{CUBINS} names a folder without ailurus_sm_*.cubin; `cargo xtask cuda` fills it").into()
            );
        }
        found.sort();
    }
    Ok(images::definitions(found.iter().map(|(arch, data)| (*arch, data.as_slice()))))
}

/// The driver without a device, a shared library that the launcher can load in place of libcuda.
fn shim(out: &Path) -> Result<PathBuf> {
    let library = out.join("libailurus_cuda_shim.so");
    let mut build = compiler();
    // Results are compared bit for bit: nothing may be fused. Optimised in any case, as every thread is simulated.
    build.flag("-ffp-contract=off").flag("-Wno-unknown-pragmas").flag("-fvisibility=hidden").opt_level(2).pic(true);
    let mut command = build.try_get_compiler()?.to_command();
    command.args(["-shared", "-o"]).arg(&library);
    command.args(["block", "driver", "fiber", "memory"].map(|name| format!("shim/{name}.cpp")));
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok(library)
}
