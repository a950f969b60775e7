//! Inputs from an npz file.

use std::path::Path;

use ailurus_runtime::{Tensor, ValueInfo, npz};

use super::Inputs;
use crate::{Error, Result};

/// What the zoo and the fixtures put in front of an input's name.
const PREFIX: &str = "in_";

/// Reads an array for every input: the one of its name, else the one named `in_` and its name. Gives the names of the
/// arrays that are not used as well. Nothing is converted.
pub(super) fn read(path: &Path, declared: &[ValueInfo]) -> Result<(Inputs, Vec<String>)> {
    let names: Vec<String> = npz::read_some(path, |_| false)?.into_iter().map(|(name, _)| name).collect();
    let fail = |reason: String, next: String| Error::InputsFile { path: path.to_owned(), reason, next };
    let mut keys = Vec::with_capacity(declared.len());
    for info in declared {
        let prefixed = format!("{PREFIX}{}", info.name);
        let is_other = declared.iter().any(|d| d.name == prefixed);
        let key =
            names.iter().find(|n| **n == info.name).or_else(|| names.iter().find(|n| !is_other && **n == prefixed));
        keys.push(key.ok_or_else(|| {
            let held = match names.len() {
                0 => "it is empty".to_owned(),
                _ => format!("it holds {}", list(&names)),
            };
            fail(
                format!("no array for the input `{}`; {held}", info.name),
                format!("save one named `{}`, {}", info.name, describe(info)),
            )
        })?);
    }
    let mut arrays = npz::read_some(path, |name| keys.iter().any(|k| *k == name))?;
    let mut out: Inputs = Vec::with_capacity(declared.len());
    for (info, key) in declared.iter().zip(&keys) {
        let slot = arrays.iter_mut().find(|(name, _)| name == *key).and_then(|(_, tensor)| tensor.take());
        // A file that changes while it is read, or that holds a name twice.
        let tensor = slot.ok_or_else(|| fail(format!("the array `{key}` cannot be read"), "save it again".into()))?;
        if let Some(wrong) = misfit(info, &tensor) {
            let next = format!("save it as {}; nothing is converted here", describe(info));
            return Err(fail(format!("the array `{key}` does not fit the input `{}`: {wrong}", info.name), next));
        }
        out.push((info.name.clone(), tensor));
    }
    let unused = names.iter().filter(|n| !keys.contains(n)).cloned().collect();
    Ok((out, unused))
}

/// Names in backticks; of many, the first.
pub(super) fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|n| format!("`{n}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What an input has to be.
fn describe(info: &ValueInfo) -> String {
    let kind = info.data_type.map_or("an array", |t| t.name());
    match &info.dims {
        None => format!("{kind} of any shape"),
        Some(dims) => {
            let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
            format!("{kind} of shape [{}]", dims.join(", "))
        }
    }
}

/// Why a tensor cannot be this input.
fn misfit(info: &ValueInfo, tensor: &Tensor) -> Option<String> {
    if let Some(declared) = info.data_type.filter(|t| *t != tensor.data_type()) {
        return Some(format!("it is {}, the model takes {declared}", tensor.data_type()));
    }
    let declared = info.dims.as_ref()?;
    let fits = declared.len() == tensor.dims().len()
        && declared.iter().zip(tensor.dims()).all(|(d, n)| d.known().is_none_or(|d| d == *n));
    (!fits).then(|| format!("its shape is {:?}", tensor.dims()))
}

#[cfg(test)]
mod tests {
    use ailurus_runtime::{DataType, Dim};

    use super::*;

    fn info(name: &str) -> ValueInfo {
        let dims = vec![Dim::Symbol("batch".into()), Dim::Known(2)];
        ValueInfo { name: name.into(), data_type: Some(DataType::F32), dims: Some(dims) }
    }

    fn archive(arrays: &[(&str, Tensor)]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        npz::write(&path, arrays.iter().map(|(n, t)| (*n, t))).unwrap();
        (folder, path)
    }

    fn values(v: f32) -> Tensor {
        Tensor::new([1, 2], vec![v; 2]).unwrap()
    }

    #[test]
    fn names_with_and_without_the_prefix() {
        let (_folder, path) = archive(&[("out_y", values(9.0)), ("in_x", values(1.0)), ("z", values(2.0))]);
        let (inputs, unused) = read(&path, &[info("z"), info("x")]).unwrap();
        assert_eq!(inputs, [("z".to_owned(), values(2.0)), ("x".to_owned(), values(1.0))]);
        assert_eq!(unused, ["out_y"]);
    }

    /// The array that is another input's is not taken for one whose own is missing.
    #[test]
    fn the_bare_name_wins() {
        let (_folder, path) = archive(&[("in_x", values(1.0)), ("x", values(2.0))]);
        assert_eq!(read(&path, &[info("x")]).unwrap().0[0].1, values(2.0));
        let (_folder, path) = archive(&[("in_x", values(1.0))]);
        let error = read(&path, &[info("x"), info("in_x")]).unwrap_err();
        assert!(error.message().contains("no array for the input `x`; it holds `in_x`"), "{error}");
    }

    #[test]
    fn what_does_not_fit() {
        let wrong = [
            (values(1.0).cast(DataType::F64), "it is float64, the model takes float32"),
            (Tensor::new([2], vec![1f32; 2]).unwrap(), "its shape is [2]"),
            (Tensor::new([1, 3], vec![1f32; 3]).unwrap(), "its shape is [1, 3]"),
        ];
        for (tensor, says) in wrong {
            let (_folder, path) = archive(&[("x", tensor)]);
            let error = read(&path, &[info("x")]).unwrap_err();
            assert_eq!(error.code(), "AIL0709");
            assert!(error.message().contains(says) && error.message().contains("a.npz"), "{error}");
            assert!(error.next().unwrap().contains("float32 of shape [batch, 2]"), "{error}");
        }
    }
}
