//! The file a model came from: mapped bytes, and the folder its external data must stay in.

use crate::error::{Error, Result};
use std::{
    fs::File,
    io,
    ops::Range,
    path::{Component, Path, PathBuf},
};

/// Bytes of a model and where they came from.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
    /// Model file.
    pub path: Option<PathBuf>,
    /// Folder that external data is relative to.
    pub folder: Option<PathBuf>,
}

enum Bytes {
    Mapped { map: memmap2::Mmap, file: File },
    Owned(Vec<u8>),
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mapped { map, .. } => write!(f, "{} mapped bytes", map.len()),
            Self::Owned(bytes) => write!(f, "{} bytes in memory", bytes.len()),
        }
    }
}

impl Source {
    /// Maps a file.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |source| Error::Open { path: path.to_owned(), source };
        // asked before opening: opening a pipe would wait for its other end
        let meta = std::fs::metadata(path).map_err(fail)?;
        if !meta.is_file() {
            return Err(fail(io::Error::other("not a regular file")));
        }
        let file = File::open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
            _ => PathBuf::from("."),
        };
        let bytes = if meta.len() == 0 {
            Bytes::Owned(Vec::new())
        } else {
            // SAFETY: the map is only read. Another process that truncates the file while it is mapped can end this
            // one with SIGBUS, as for every reader that maps files; our own writes never touch an existing file.
            let map = unsafe { memmap2::Mmap::map(&file) }.map_err(fail)?;
            Bytes::Mapped { map, file }
        };
        Ok(Self { bytes, path: Some(path.to_owned()), folder: Some(folder) })
    }

    /// Bytes in memory; external data is looked for in `folder`, if given.
    pub fn from_bytes(bytes: Vec<u8>, folder: Option<PathBuf>) -> Self {
        Self { bytes: Bytes::Owned(bytes), path: None, folder }
    }

    /// All bytes.
    pub fn data(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped { map, .. } => map,
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// A part of the bytes, if it lies inside.
    pub fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        self.data().get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }

    /// The mapped file, for copying inside the kernel.
    pub fn file(&self) -> Option<&File> {
        match &self.bytes {
            Bytes::Mapped { file, .. } => Some(file),
            Bytes::Owned(_) => None,
        }
    }

    /// Opens an external data file after checking that it lies inside the model's folder.
    pub fn open_external(&self, tensor: &str, location: &str) -> Result<(PathBuf, File)> {
        check_location(tensor, location)?;
        let Some(folder) = &self.folder else {
            return Err(Error::payload(
                tensor,
                "external data of a model that was loaded from memory; load it from its file",
            ));
        };
        let path = folder.join(location);
        let fail = |source| Error::ExternalOpen { tensor: tensor.into(), path: path.clone(), source };
        let real = path.canonicalize().map_err(fail)?;
        if !self.allowed_roots().iter().any(|root| real.starts_with(root)) {
            return Err(Error::UnsafePath {
                tensor: tensor.into(),
                location: location.into(),
                reason: "a symbolic link leads out of the folder".into(),
            });
        }
        if !std::fs::metadata(&real).map_err(fail)?.is_file() {
            return Err(fail(io::Error::other("not a regular file")));
        }
        let file = File::open(&real).map_err(fail)?;
        Ok((path, file))
    }

    /// The folder as given, and the folder of the real file when the model itself is a symbolic link: download caches
    /// keep a model and its data side by side in a store and link to both.
    fn allowed_roots(&self) -> Vec<PathBuf> {
        let given = self.folder.as_ref().and_then(|f| f.canonicalize().ok());
        let real = self.path.as_ref().and_then(|p| p.canonicalize().ok()).and_then(|p| p.parent().map(Path::to_owned));
        given.into_iter().chain(real).collect()
    }

    /// Reads a part of an external data file.
    pub fn read_external(&self, tensor: &str, location: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let (path, file) = self.open_external(tensor, location)?;
        let fail = |source| Error::ExternalOpen { tensor: tensor.into(), path: path.clone(), source };
        let have = file.metadata().map_err(fail)?.len();
        let need = offset.checked_add(length).filter(|&n| n <= have);
        if need.is_none() {
            let need = offset.saturating_add(length);
            return Err(Error::ExternalShort { tensor: tensor.into(), path, have, need });
        }
        let len = usize::try_from(length).map_err(|_| Error::payload(tensor, "too large for this machine"))?;
        let mut bytes = vec![0; len];
        read_at(&file, &mut bytes, offset).map_err(fail)?;
        Ok(bytes)
    }
}

/// Reads exactly as many bytes as fit, from a position of a file.
pub fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use io::{Read, Seek};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// Refuses locations that could leave the folder, whatever the platform the model was made on.
pub fn check_location(tensor: &str, location: &str) -> Result<()> {
    let refuse = |reason: &str| {
        Err(Error::UnsafePath { tensor: tensor.into(), location: location.into(), reason: reason.into() })
    };
    if location.is_empty() {
        return refuse("the path is empty");
    }
    if location.contains('\0') {
        return refuse("the path holds a zero byte");
    }
    let drive = location.as_bytes().get(1) == Some(&b':') && location.as_bytes()[0].is_ascii_alphabetic();
    if location.starts_with(['/', '\\']) || drive {
        return refuse("the path is absolute");
    }
    if location.split(['/', '\\']).any(|part| part == "..") {
        return refuse("the path contains `..`");
    }
    if !Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return refuse("the path is not plain");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_location;

    #[test]
    fn locations() {
        for good in ["a", "a/b.bin", "./a", "a..b", "..a", "a b"] {
            assert!(check_location("t", good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "\\a", "..", "a/../b", "a\\..\\b", "C:\\x", "c:x", "a\0b", "../x"] {
            assert!(check_location("t", bad).is_err(), "{bad}");
        }
    }
}
