//! Compiles the plugins with a C++ compiler, against TensorRT's headers.
//!
//! Headers are looked for in `TENSORRT_INCLUDE` (a list of folders, as `PATH` is), where the compiler looks by itself, and
//! where `cargo xtask tensorrt` puts them. Without any the library is built empty, so that a workspace builds everywhere.

use std::path::{Path, PathBuf};
use std::{env, fs};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const INCLUDE: &str = "TENSORRT_INCLUDE";
const CACHE: &str = "AILURUS_CACHE";

const SOURCES: [&str; 12] = [
    "density_peaks",
    "fields",
    "grid",
    "grid_kmeans",
    "log",
    "logger_finder",
    "merge",
    "operator",
    "plugin_v2",
    "plugin_v3",
    "unfold",
    "unfold_residual",
];

fn main() -> Result<()> {
    for input in ["plugin", "bridge", "build.rs"] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rustc-check-cfg=cfg(ailurus_trt, values(\"v2\", \"v3\"))");
    println!("cargo:rerun-if-env-changed={INCLUDE}");
    println!("cargo:rerun-if-env-changed={CACHE}");
    if env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        // TensorRT unloads it with a registry, while a context still holds its kernels.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    let Some(headers) = headers()? else {
        println!(
            "cargo:warning=libailurus_trt has no plugins in it: TensorRT's headers were not found. \
             Set {INCLUDE} to the folder of NvInferRuntime.h (and that of CUDA's cuda_runtime_api.h)"
        );
        return Ok(());
    };
    plugins(&headers)
}

/// The folders of the headers; empty if the compiler finds them by itself.
fn headers() -> Result<Option<Vec<PathBuf>>> {
    if let Some(list) = env::var_os(INCLUDE).filter(|v| !v.is_empty()) {
        let folders: Vec<PathBuf> = env::split_paths(&list).collect();
        if !folders.iter().any(|f| f.join("NvInferRuntime.h").is_file()) {
            return Err(format!("{INCLUDE}={} holds no NvInferRuntime.h", list.display()).into());
        }
        return Ok(Some(folders));
    }
    if preprocess(&[])?.is_some() {
        return Ok(Some(vec![]));
    }
    let cache = match env::var_os(CACHE).filter(|v| !v.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../.cache"),
    };
    let fetched = cache.join("tensorrt/headers");
    println!("cargo:rerun-if-changed={}", fetched.display());
    let folders = vec![fetched.join("TRT-Enterprise-11.4"), fetched];
    Ok(folders[0].join("NvInferRuntime.h").is_file().then_some(folders))
}

fn compiler(headers: &[PathBuf]) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++14").warnings(true).extra_warnings(true);
    build.flag_if_supported("-fvisibility=hidden");
    // NVIDIA's headers are not ours to improve.
    for folder in headers {
        build.flag("-isystem").flag(folder);
    }
    build
}

/// Which interface these headers make the plugins implement, `v2` or `v3`; `None` if they are not there.
fn preprocess(headers: &[PathBuf]) -> Result<Option<&'static str>> {
    let probe = PathBuf::from(env::var("OUT_DIR")?).join("probe.cpp");
    fs::write(&probe, "#include \"tensorrt.h\"\nailurus_interface AILURUS_TRT_V3\n")?;
    let mut command = compiler(headers).try_get_compiler()?.to_command();
    let output = command.args(["-E", "-I", "plugin"]).arg(&probe).output()?;
    if !output.status.success() {
        return Ok(None);
    }
    let v3 = String::from_utf8_lossy(&output.stdout).contains("ailurus_interface 1");
    Ok(Some(if v3 { "v3" } else { "v2" }))
}

fn plugins(headers: &[PathBuf]) -> Result<()> {
    let interface = preprocess(headers)?.ok_or(
        "TensorRT's headers were found, but do not compile: is CUDA's \
         cuda_runtime_api.h in none of the folders?",
    )?;
    println!("cargo:rustc-cfg=ailurus_trt=\"{interface}\"");
    let sources = SOURCES.iter().map(|name| format!("plugin/{name}.cpp"));
    let include = ["plugin", "../ailurus-cuda/launcher"];

    let mut build = compiler(headers);
    build.includes(include).files(sources.clone()).file("plugin/exports.cpp");
    // rustc exports its own functions only, so those of the library are in src/exports.rs and call these.
    for name in ["getCreators", "getPluginCreators", "setLoggerFinder"] {
        build.define(name, format!("ailurus_trt_{name}").as_str());
    }
    if env::var_os("CARGO_FEATURE_BRIDGE").is_some() {
        build.file("bridge/bridge.cpp").define("AILURUS_TRT_BRIDGE(name)", "ailurus_trt_bridge_##name");
    }
    build.try_compile("ailurus_trt_plugins")?;

    if env::var_os("CARGO_FEATURE_BRIDGE").is_some() && interface == "v3" {
        // The other interface, beside the first under another name.
        let mut build = compiler(headers);
        build.includes(include).files(sources).file("bridge/bridge.cpp").flag("-Wno-deprecated-declarations");
        build.define("AILURUS_TRT_FORCE_V2", None).define("ailurus_trt", "ailurus_trt_v2");
        build.define("AILURUS_TRT_BRIDGE(name)", "ailurus_trt_bridge_v2_##name");
        build.try_compile("ailurus_trt_plugins_v2")?;
    }
    Ok(())
}
