//! The loaded library: its function table and its environment.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use ort_sys::{OrtApi, OrtApiBase, OrtEnv, OrtLoggingLevel, OrtMemoryInfo, OrtStatusPtr};

use crate::{Error, Result};

/// The interface version asked for: the lowest that has all we use, so that old releases work.
const API_VERSION: u32 = 17;

/// A loaded ONNX Runtime.
pub(super) struct Library {
    pub(super) path: PathBuf,
    pub(super) version: String,
    pub(super) api: &'static OrtApi,
    pub(super) env: *mut OrtEnv,
    pub(super) cpu: *mut OrtMemoryInfo,
    // Never dropped: see `load`.
    _handle: libloading::Library,
}

// SAFETY: the environment and the memory description are created once and only read afterwards;
// ONNX Runtime documents both as usable from any thread.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("path", &self.path).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Library {
    /// Turns a status into a result and frees it.
    pub(super) fn check(&self, status: OrtStatusPtr) -> Result<(), String> {
        check(self.api, status)
    }
}

fn check(api: &OrtApi, status: OrtStatusPtr) -> Result<(), String> {
    if status.0.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null status is valid until released; its message is a C string inside it.
    unsafe {
        let message = CStr::from_ptr((api.GetErrorMessage)(status.0)).to_string_lossy().into_owned();
        (api.ReleaseStatus)(status.0);
        Err(message)
    }
}

/// Loads the library, once per path.
///
/// It is never unloaded: sessions may live anywhere, and unloading ONNX Runtime while its threads
/// wind down crashes.
pub(super) fn load(path: &Path) -> Result<&'static Library> {
    static LOADED: OnceLock<Mutex<BTreeMap<PathBuf, &'static Library>>> = OnceLock::new();
    let key = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let loaded = LOADED.get_or_init(Mutex::default);
    // A panic elsewhere cannot leave the map half written: insertion is its only change.
    let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = loaded.get(&key) {
        return Ok(library);
    }
    let library: &'static Library = Box::leak(Box::new(open(&key)?));
    tracing::debug!(path = %key.display(), version = library.version, "ONNX Runtime loaded");
    loaded.insert(key, library);
    Ok(library)
}

fn open(path: &Path) -> Result<Library> {
    let unloadable = |reason: String| Error::LibraryUnloadable { path: path.to_path_buf(), reason };
    // SAFETY: running the library's initialisers is what loading means; the user chose the file.
    let handle = unsafe { libloading::Library::new(path) }.map_err(|e| unloadable(reason(&e)))?;
    // SAFETY: the symbol has had this signature since the first release.
    let base = unsafe { handle.get::<unsafe extern "system" fn() -> *const OrtApiBase>(b"OrtGetApiBase\0") }
        .map_err(|e| unloadable(reason(&e)))?;
    // SAFETY: the function takes nothing and returns a static table or null.
    let base = unsafe { base().as_ref() }.ok_or_else(|| unloadable("OrtGetApiBase returned nothing".into()))?;
    // SAFETY: the version is a static C string.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) }.to_string_lossy().into_owned();
    // Old releases print a complaint of their own when asked for a version that they lack.
    let incompatible = || Error::LibraryIncompatible { path: path.to_path_buf(), version: version.clone() };
    if minor(&version).is_some_and(|v| v < (1, API_VERSION)) {
        return Err(incompatible());
    }
    // SAFETY: returns a static table of the version asked for, or null.
    let api = unsafe { (base.GetApi)(API_VERSION).as_ref() }.ok_or_else(incompatible)?;
    let mut env = ptr::null_mut();
    let mut cpu = ptr::null_mut();
    // SAFETY: the out pointers are valid; the name outlives the call, which copies it.
    unsafe {
        // Failures come back as statuses; a library does not print them as well.
        let level = OrtLoggingLevel::ORT_LOGGING_LEVEL_FATAL;
        check(api, (api.CreateEnv)(level, c"ailurus".as_ptr().cast::<c_char>(), &mut env)).map_err(unloadable)?;
        let (arena, kind) = (ort_sys::OrtAllocatorType::OrtArenaAllocator, ort_sys::OrtMemType::OrtMemTypeDefault);
        check(api, (api.CreateCpuMemoryInfo)(arena, kind, &mut cpu)).map_err(unloadable)?;
    }
    Ok(Library { path: path.to_path_buf(), version, api, env, cpu, _handle: handle })
}

/// What the loader said: only the source of the error has it.
fn reason(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(minor("1.31.1"), Some((1, 31)));
        assert_eq!(minor("nonsense"), None);
    }

    #[test]
    fn bad_libraries_are_errors() {
        let absent = load(Path::new("/nonexistent/libonnxruntime.so")).unwrap_err();
        assert_eq!(absent.code(), "AIL0502");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, "not a library").unwrap();
        let error = load(&path).unwrap_err();
        assert_eq!(error.code(), "AIL0502");
        let text = error.to_string();
        assert!(text.contains("dlopen failed: ") && text.len() > "dlopen failed: ".len() + 20, "{text}");
    }
}
