//! Where the library of operators for ONNX Runtime is: the same models run faster with it, and those written with
//! `--emit custom` need it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The environment variable that names the library, or the folder it lies in.
pub const VARIABLE: &str = "AILURUS_ORT_LIBRARY";

/// The environment variable that names the library of TensorRT plugins, or the folder it lies in.
pub const TENSORRT_VARIABLE: &str = "AILURUS_TRT_LIBRARY";

/// The library's file name on this system: `libailurus_ort.so`, `libailurus_ort.dylib` or `ailurus_ort.dll`.
pub fn file_name() -> String {
    format!("{DLL_PREFIX}ailurus_ort{DLL_SUFFIX}")
}

/// Finds the library: the path given (a file, or the folder it lies in), else the one that [`VARIABLE`] names, else in
/// the folder of the running program, in `lib` beside that folder, or in its `deps`, where cargo builds it.
///
/// The path is absolute: loaders look for bare names elsewhere.
///
/// # Errors
/// [`Error::OperatorsNotFound`] with the places that were looked at. A path or variable that names nothing is a mistake
/// worth hearing about, and no reason to look further.
pub fn find(given: Option<&Path>) -> Result<PathBuf> {
    let variable = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    let program = std::env::current_exe().ok();
    search(given, variable.as_deref(), program.as_deref().and_then(Path::parent))
}

/// Finds the library of TensorRT plugins, `libailurus_trt.so`: where [`TENSORRT_VARIABLE`] says, else in the places of
/// [`find`]. `None` if it is in none of them.
pub fn find_tensorrt() -> Option<PathBuf> {
    let name = format!("{DLL_PREFIX}ailurus_trt{DLL_SUFFIX}");
    if let Some(path) = std::env::var_os(TENSORRT_VARIABLE).filter(|v| !v.is_empty()) {
        return named(Path::new(&path), &name);
    }
    let program = std::env::current_exe().ok()?;
    around(program.parent()?).find_map(|folder| named(&folder.join(&name), &name))
}

/// The folder of a program, `lib` beside it, and `deps` in it.
fn around(programs: &Path) -> impl Iterator<Item = PathBuf> {
    [programs.to_owned(), programs.join("../lib"), programs.join("deps")].into_iter()
}

fn search(given: Option<&Path>, variable: Option<&Path>, programs: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return at(path).ok_or_else(|| missing(vec![path.display().to_string()]));
    }
    if let Some(path) = variable {
        return at(path).ok_or_else(|| missing(vec![format!("{VARIABLE}={}", path.display())]));
    }
    let mut tried = vec![format!("{VARIABLE} (not set)")];
    for folder in programs.into_iter().flat_map(around) {
        let path = folder.join(file_name());
        match at(&path) {
            Some(found) => return Ok(found),
            None => tried.push(path.display().to_string()),
        }
    }
    Err(missing(tried))
}

/// The library at this path, or in the folder at this path.
fn at(path: &Path) -> Option<PathBuf> {
    named(path, &file_name())
}

/// The file at this path, or of this name in the folder at this path.
fn named(path: &Path, name: &str) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let path = if path.is_dir() { path.join(name) } else { path };
    path.is_file().then_some(path)
}

fn missing(tried: Vec<String>) -> Error {
    Error::OperatorsNotFound { tried }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Place(tempfile::tempdir().unwrap())
        }

        fn folder(&self, name: &str) -> PathBuf {
            let folder = self.0.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder.canonicalize().unwrap()
        }

        fn library(&self, folder: &str) -> PathBuf {
            let path = self.folder(folder).join(file_name());
            std::fs::write(&path, "").unwrap();
            path
        }
    }

    fn tried(result: Result<PathBuf>) -> Vec<String> {
        match result.unwrap_err() {
            error @ Error::OperatorsNotFound { .. } => {
                assert_eq!(error.code(), "AIL0711");
                assert!(error.next().unwrap().contains(VARIABLE), "{error}");
                let Error::OperatorsNotFound { tried } = error else { unreachable!() };
                tried
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_named_goes_first_and_must_be_there() {
        let place = Place::new();
        let (given, variable, beside) = (place.library("given"), place.library("variable"), place.library("bin"));
        let bin = beside.parent();
        assert_eq!(search(Some(&given), Some(&variable), bin).unwrap(), given);
        assert_eq!(search(None, Some(&variable), bin).unwrap(), variable);
        assert_eq!(search(None, None, bin).unwrap(), beside);
        // A folder stands for the library in it.
        assert_eq!(search(given.parent(), None, None).unwrap(), given);
        let absent = place.folder("empty").join("x.so");
        assert_eq!(tried(search(Some(&absent), Some(&variable), bin)).len(), 1);
        let said = tried(search(None, Some(&absent), bin));
        assert!(said[0].starts_with("AILURUS_ORT_LIBRARY=") && said.len() == 1, "{said:?}");
        assert_eq!(tried(search(Some(&place.folder("empty")), None, bin)).len(), 1);
    }

    #[test]
    fn places_around_the_program() {
        for folder in ["lib", "bin/deps"] {
            let place = Place::new();
            let (bin, library) = (place.folder("bin"), place.library(folder));
            assert_eq!(search(None, None, Some(&bin)).unwrap(), library);
        }
        let place = Place::new();
        let said = tried(search(None, None, Some(&place.folder("bin"))));
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[1..].iter().all(|s| s.ends_with(&file_name())), "{said:?}");
    }
}
