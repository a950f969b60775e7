//! npz files: named arrays in a zip archive, as `numpy.savez` writes them.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{Error, Result, Tensor, npy};

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_path_buf(), source }
}

fn bad(path: &Path, reason: impl ToString) -> Error {
    Error::Npz { path: path.to_path_buf(), reason: reason.to_string() }
}

/// Reads all arrays, in the archive's order.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<(String, Tensor)>> {
    Ok(read_some(path, |_| true)?.into_iter().filter_map(|(name, tensor)| Some((name, tensor?))).collect())
}

/// Gives the names of all arrays, in the archive's order, and reads those that are wanted; the others may be of any kind.
pub fn read_some(path: impl AsRef<Path>, wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Option<Tensor>)>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(io(path))?;
    let mut archive = ZipArchive::new(file).map_err(|e| bad(path, e))?;
    let mut out = Vec::with_capacity(archive.len());
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(|e| bad(path, e))?;
        let file = entry.name().map_err(|e| bad(path, e))?.into_owned();
        let name = file.strip_suffix(".npy").unwrap_or(&file).to_owned();
        if !wanted(&name) {
            out.push((name, None));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|e| bad(path, format!("{file}: {e}")))?;
        let tensor = npy::parse(&bytes).map_err(|e| bad(path, format!("{file}: {e}")))?;
        out.push((name, Some(tensor)));
    }
    Ok(out)
}

/// Writes arrays, uncompressed. The names must differ.
pub fn write<'a>(path: impl AsRef<Path>, tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Result<()> {
    let path = path.as_ref();
    let file = File::create(path).map_err(io(path))?;
    let mut archive = ZipWriter::new(std::io::BufWriter::new(file));
    for (name, tensor) in tensors {
        let bytes = npy::encode(tensor);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(u32::try_from(bytes.len()).is_err());
        archive.start_file(format!("{name}.npy"), options).map_err(|e| bad(path, e))?;
        archive.write_all(&bytes).map_err(io(path))?;
    }
    let mut file = archive.finish().map_err(|e| bad(path, e))?;
    file.flush().map_err(io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let tensors = [
            ("in_image", Tensor::new([1, 2], vec![0.5f32, 2.0]).unwrap()),
            ("out_labels/0", Tensor::new([2], vec![3i64, -1]).unwrap()),
        ];
        write(&path, tensors.iter().map(|(n, t)| (*n, t))).unwrap();
        let back = read(&path).unwrap();
        assert_eq!(back.len(), 2);
        for ((n, t), (m, u)) in tensors.iter().zip(&back) {
            assert_eq!((*n, t), (m.as_str(), u));
        }
    }

    #[test]
    fn what_is_not_wanted_may_be_anything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let x = Tensor::new([2], vec![1f32, 2.0]).unwrap();
        write(&path, [("x", &x)]).unwrap();
        let mut archive = ZipWriter::new_append(File::options().read(true).write(true).open(&path).unwrap()).unwrap();
        archive.start_file("names.npy", SimpleFileOptions::default()).unwrap();
        archive.write_all(b"no array").unwrap();
        archive.finish().unwrap();
        assert_eq!(read(&path).unwrap_err().code(), "AIL0512");
        let some = read_some(&path, |name| name == "x").unwrap();
        assert_eq!(some, [("x".to_owned(), Some(x)), ("names".to_owned(), None)]);
    }

    #[test]
    fn not_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        assert_eq!(read(&path).unwrap_err().code(), "AIL0511");
        std::fs::write(&path, b"PK nonsense").unwrap();
        assert_eq!(read(&path).unwrap_err().code(), "AIL0512");
    }
}
