//! `ailurus plugins`: the libraries of operators, and their sources.

use std::ffi::c_void;
use std::path::Path;

use libloading::Library;

use crate::cli::Outcome;
use crate::cli::args::PluginsArgs;
use crate::cli::printer::Printer;
use crate::{Error, Result, plugin};

const TENSORRT: &str = "  trtexec   trtexec --onnx=model.onnx --dynamicPlugins=LIBRARY --saveEngine=model.engine
  Python    builder.get_plugin_registry().load_library(\"LIBRARY\")   before a model is parsed,
            runtime.get_plugin_registry().load_library(\"LIBRARY\")   before an engine is read
  C++       getPluginRegistry().loadLibrary(\"LIBRARY\")             of builder and runtime, likewise
  TensorRT before 10.7 needs models written with `--emit custom`. \"Plugin not found\" means that the
  library was not loaded before. docs/tensorrt.md has the rest.
";

const ONNX_RUNTIME: &str = "  Python    session_options.register_custom_ops_library(\"LIBRARY\")
  C++       session_options.RegisterCustomOpsLibrary(\"LIBRARY\")
  Models run without it, too, unless they were written with `--emit custom`. docs/onnxruntime.md has
  the rest.
";

pub fn run(args: &PluginsArgs, printer: &Printer) -> Outcome {
    if let Some(folder) = &args.emit {
        let files = ailurus_plugins::emit(folder).map_err(Error::from)?;
        let text = format!("{} files in {}; README.md says how to build them", files.len(), folder.display());
        return Ok(printer.result(&text)?);
    }
    let (onnxruntime, tensorrt) = (plugin::find(None), plugin::find_tensorrt());
    if args.check {
        let mut lines = Vec::new();
        if let Ok(path) = &onnxruntime {
            lines.push(format!("{}: {}", path.display(), check_onnxruntime(path)?));
        }
        if let Some(path) = &tensorrt {
            lines.push(format!("{}: {}", path.display(), check_tensorrt(path)?));
        }
        if lines.is_empty() {
            onnxruntime?;
        }
        return Ok(printer.result(&lines.join("\n"))?);
    }
    let about = |runtime: &str, path: Option<&Path>, variable: &str, text: &str| {
        let library = path.map_or_else(|| "LIBRARY".to_owned(), |p| p.display().to_string());
        let place = path.map_or_else(|| format!("not found; {variable} names it"), |p| p.display().to_string());
        format!("{runtime}: {place}\n{}", text.replace("LIBRARY", &library))
    };
    let first = about("ONNX Runtime", onnxruntime.as_deref().ok(), plugin::VARIABLE, ONNX_RUNTIME);
    let second = about("TensorRT", tensorrt.as_deref(), plugin::TENSORRT_VARIABLE, TENSORRT);
    Ok(printer.result(&format!("{first}\n{second}"))?)
}

fn load(path: &Path) -> Result<Library> {
    // SAFETY: a library that was built from this workspace; its initialisers register nothing and call nobody.
    unsafe { Library::new(path) }.map_err(|error| unusable(path, error.to_string()))
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::Library { path: path.to_owned(), reason }
}

fn check_onnxruntime(path: &Path) -> Result<&'static str> {
    let library = load(path)?;
    // SAFETY: the function is looked up, and not called.
    let found = unsafe { library.get::<*const c_void>(b"RegisterCustomOps") };
    found.map(|_| "can be registered with ONNX Runtime").map_err(|error| unusable(path, error.to_string()))
}

fn check_tensorrt(path: &Path) -> Result<String> {
    type Creators = unsafe extern "C" fn(*mut i32) -> *const *mut c_void;
    let library = load(path)?;
    for (name, interface) in [(&b"getCreators"[..], "IPluginV3"), (&b"getPluginCreators"[..], "IPluginV2DynamicExt")] {
        // SAFETY: TensorRT calls the function of this name in the same way.
        let Ok(creators) = (unsafe { library.get::<Creators>(name) }) else { continue };
        let mut count = 0;
        // SAFETY: as above; the number outlives the call.
        let list = unsafe { creators(&mut count) };
        if list.is_null() || count == 0 {
            return Err(unusable(path, "it lists no plugins".into()));
        }
        return Ok(format!("{count} plugins of TensorRT, {interface}"));
    }
    Err(unusable(path, "there are no plugins in it: it was built without TensorRT's headers".into()))
}
