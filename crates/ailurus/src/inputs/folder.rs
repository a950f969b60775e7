//! The pictures of a folder.

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// What names of pictures end in.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The picture files of a folder, not of those in it, sorted by name.
pub(super) fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |reason: String| Error::Pictures { path: folder.to_owned(), reason };
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| fail(e.to_string()))? {
        let path = entry.map_err(|e| fail(e.to_string()))?.path();
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
        if ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) && path.is_file() {
            out.push(path);
        }
    }
    if out.is_empty() {
        return Err(fail("no file in it ends in .png, .jpg or .jpeg".into()));
    }
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(pictures(folder.path()).unwrap_err().code(), "AIL0710");
        assert_eq!(pictures(&at("absent")).unwrap_err().code(), "AIL0710");
        for name in ["b.PNG", "a.jpeg", "c.jpg", "notes.txt", "png"] {
            std::fs::write(at(name), "").unwrap();
        }
        std::fs::create_dir(at("d.png")).unwrap();
        assert_eq!(pictures(folder.path()).unwrap(), [at("a.jpeg"), at("b.PNG"), at("c.jpg")]);
    }
}
