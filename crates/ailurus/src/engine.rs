//! Which runtime runs a model, and how a model in memory gets there.

use std::path::Path;

use ailurus_onnx::{ExternalData, Model, Storage, WriteOptions};
use ailurus_runtime::{Provider, Runtime, Session, SessionOptions};
use serde::Serialize;
use tempfile::TempDir;

use crate::{Error, Result};

/// Which runtime to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// ONNX Runtime where it is found, otherwise the embedded runtime.
    #[default]
    Auto,
    /// ONNX Runtime.
    #[cfg(feature = "ort")]
    Ort,
    /// tract, the embedded runtime.
    #[cfg(feature = "tract")]
    Tract,
}

/// Bytes up to which a model goes to a runtime through memory.
const IN_MEMORY: u64 = 256 << 20;

impl Engine {
    /// A runtime that can do what these options ask for.
    pub(crate) fn runtime_for(self, options: &SessionOptions) -> Result<Box<dyn Runtime>> {
        let special = !options.custom_op_libraries.is_empty() || options.provider != Provider::default();
        match self {
            Engine::Auto if special => onnx_runtime(),
            #[cfg(feature = "tract")]
            Engine::Tract if special => Err(Error::Option {
                option: "runtime",
                value: "tract".into(),
                reason: "libraries of operators and providers are ONNX Runtime's",
            }),
            engine => engine.runtime(),
        }
    }

    /// The runtime.
    pub(crate) fn runtime(self) -> Result<Box<dyn Runtime>> {
        match self {
            Engine::Auto => automatic(),
            #[cfg(feature = "ort")]
            Engine::Ort => onnx_runtime(),
            #[cfg(feature = "tract")]
            Engine::Tract => Ok(Box::new(ailurus_tract::TractRuntime)),
        }
    }
}

#[cfg(feature = "ort")]
fn onnx_runtime() -> Result<Box<dyn Runtime>> {
    Ok(Box::new(ailurus_runtime::OnnxRuntime::find()?))
}

#[cfg(not(feature = "ort"))]
fn onnx_runtime() -> Result<Box<dyn Runtime>> {
    Err(ailurus_runtime::Error::LibraryNotFound { tried: vec!["nothing: built without the feature `ort`".into()] }
        .into())
}

#[cfg(all(feature = "ort", feature = "tract"))]
fn automatic() -> Result<Box<dyn Runtime>> {
    match ailurus_runtime::OnnxRuntime::find() {
        Ok(runtime) => Ok(Box::new(runtime)),
        Err(ailurus_runtime::Error::LibraryNotFound { .. })
            if std::env::var_os("ORT_DYLIB_PATH").is_none_or(|v| v.is_empty()) =>
        {
            Engine::Tract.runtime()
        }
        // A library that was asked for or is there, and does not work, is worth hearing about.
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(feature = "ort", not(feature = "tract")))]
fn automatic() -> Result<Box<dyn Runtime>> {
    Engine::Ort.runtime()
}

#[cfg(all(feature = "tract", not(feature = "ort")))]
fn automatic() -> Result<Box<dyn Runtime>> {
    Engine::Tract.runtime()
}

#[cfg(not(any(feature = "tract", feature = "ort")))]
fn automatic() -> Result<Box<dyn Runtime>> {
    Err(ailurus_runtime::Error::LibraryNotFound {
        tried: vec!["nothing: built without the features `ort` and `tract`".into()],
    }
    .into())
}

/// A session, and the folder its model lies in where it has to lie in one.
pub(crate) struct Loaded {
    pub session: Box<dyn Session>,
    _folder: Option<TempDir>,
}

/// Prepares a model as it is on the disk.
pub(crate) fn load_file(runtime: &dyn Runtime, path: &Path, options: &SessionOptions) -> Result<Loaded> {
    use ailurus_runtime::Error as Fault;
    let session = runtime.load(path.into(), options).map_err(|error| match error {
        // These are about what the model is run with.
        Fault::OperatorLibrary { .. } | Fault::Provider { .. } => Error::from(error),
        error => Error::from(error).in_file(path),
    })?;
    Ok(Loaded { session, _folder: None })
}

/// Prepares a model that lies at `path`. What runtimes say about bare operators is turned into what to do about them.
pub(crate) fn open(runtime: &dyn Runtime, model: &Model, path: &Path, options: &SessionOptions) -> Result<Loaded> {
    load_file(runtime, path, options).map_err(|error| {
        if options.custom_op_libraries.is_empty() && has_bare_operators(model) && error.code() == "AIL0504" {
            return Error::OperatorsNeeded { path: path.to_owned(), reason: reason(&error) };
        }
        error
    })
}

fn reason(error: &Error) -> String {
    match error {
        Error::File { source, .. } => reason(source),
        other => other.message(),
    }
}

/// True when a node of ours has no body in the file.
fn has_bare_operators(model: &Model) -> bool {
    let bare = |op: &str| !model.functions.iter().any(|f| f.domain == ailurus_rewrite::DOMAIN && f.name == op);
    model.graph.nodes().any(|(_, node)| node.domain == ailurus_rewrite::DOMAIN && bare(&node.op_type))
}

/// Reads a file that is to be run; what is wrong with it is said more clearly here than by a runtime.
pub(crate) fn read(path: &Path) -> Result<Model> {
    let model = Model::load(path).map_err(|error| Error::from(error).in_file(path))?;
    runnable(&model)?;
    data_files(&model, path).map_err(|error| Error::from(error).in_file(path))?;
    Ok(model)
}

/// Checks that the weights in other files are there.
fn data_files(model: &Model, path: &Path) -> std::result::Result<(), ailurus_onnx::Error> {
    let folder = path.parent().unwrap_or(Path::new(""));
    for (value, tensor) in model.graph.initializers() {
        let Storage::External { location, offset, length } = &tensor.storage else { continue };
        let (tensor, path) = (model.graph.name_of(value).to_owned(), folder.join(location));
        let have = match std::fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(source) => return Err(ailurus_onnx::Error::ExternalOpen { tensor, path, source }),
        };
        let need = offset.saturating_add(*length);
        if have < need {
            return Err(ailurus_onnx::Error::ExternalShort { tensor, path, have, need });
        }
    }
    Ok(())
}

/// Refuses a model without weights, with a reason that no runtime gives.
pub(crate) fn runnable(model: &Model) -> Result<()> {
    if ailurus_rewrite::report::is_report(model) {
        return Err(Error::NoWeights { path: model.source_path().map(Path::to_owned) });
    }
    Ok(())
}

/// Prepares a model that may exist in memory only.
///
/// Small ones go as bytes. Big ones, and those with external data, which runtimes look for beside
/// a file, are written to a temporary folder inside `folder` (or the system's) first.
pub(crate) fn load(
    runtime: &dyn Runtime,
    model: &Model,
    folder: Option<&Path>,
    options: &SessionOptions,
) -> Result<Loaded> {
    let external = model.graph.initializers().any(|(_, t)| matches!(t.storage, Storage::External { .. }));
    if !external && model.source_len() <= IN_MEMORY {
        let bytes = model.to_bytes()?;
        let session = runtime.load(bytes.as_slice().into(), options)?;
        return Ok(Loaded { session, _folder: None });
    }
    let place = folder.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let temporary = tempfile::Builder::new().prefix(".ailurus-").tempdir_in(&place).map_err(|source| Error::Io {
        action: "create a temporary folder in",
        path: place,
        source,
    })?;
    let path = temporary.path().join("model.onnx");
    let write = WriteOptions { external_data: ExternalData::Single, sync: false, ..WriteOptions::default() };
    model.write(&path, &write)?;
    let session = runtime.load(path.as_path().into(), options)?;
    Ok(Loaded { session, _folder: Some(temporary) })
}
