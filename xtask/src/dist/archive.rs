//! A package as a compressed archive: one folder, with checksums in it, and a checksum beside it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

/// The time of every file, for the same reason that archives elsewhere carry it: 1980-01-01, the first that all of them
/// can hold. `SOURCE_DATE_EPOCH` overrides it.
const TIME: u64 = 315_532_800;

/// What a file is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// To be read.
    Text,
    /// To be run or loaded.
    Program,
}

/// A file of a package.
pub(super) struct Entry {
    path: String,
    kind: Kind,
    bytes: Vec<u8>,
}

impl Entry {
    pub(super) fn new(path: impl Into<String>, kind: Kind, bytes: Vec<u8>) -> Self {
        Self { path: path.into(), kind, bytes }
    }

    pub(super) fn read(path: impl Into<String>, kind: Kind, from: &Path) -> Result<Self> {
        Ok(Self::new(path, kind, std::fs::read(from).with_context(|| format!("reading {}", from.display()))?))
    }
}

/// Writes `<name>.tar.gz` and `<name>.tar.gz.sha256`; returns the first.
pub(super) fn write(folder: &Path, name: &str, mut entries: Vec<Entry>) -> Result<PathBuf> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    let mut sums = String::new();
    for entry in &entries {
        writeln!(sums, "{}  {}", sha256(&entry.bytes), entry.path)?;
    }
    entries.push(Entry::new("SHA256SUMS", Kind::Text, sums.into_bytes()));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    ensure!(entries.windows(2).all(|w| w[0].path != w[1].path), "a file is in the package twice");
    let bytes = compress(name, &entries)?;
    let file = format!("{name}.tar.gz");
    let path = folder.join(&file);
    store(&path, &bytes)?;
    store(&folder.join(format!("{file}.sha256")), format!("{}  {file}\n", sha256(&bytes)).as_bytes())?;
    Ok(path)
}

fn compress(name: &str, entries: &[Entry]) -> Result<Vec<u8>> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {text}"))?,
        Err(_) => TIME,
    };
    // No name and no time of its own.
    let mut archive = tar::Builder::new(GzBuilder::new().write(Vec::new(), Compression::best()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(match entry.kind {
            Kind::Text => 0o644,
            Kind::Program => 0o755,
        });
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, format!("{name}/{}", entry.path), entry.bytes.as_slice())?;
    }
    Ok(archive.into_inner()?.finish()?)
}

/// A file is complete when it gets its name.
fn store(path: &Path, bytes: &[u8]) -> Result<()> {
    let place = || format!("writing {}", path.display());
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let mut file = BufWriter::new(File::create(&unfinished).with_context(place)?);
    file.write_all(bytes).with_context(place)?;
    file.into_inner().map_err(|e| e.into_error()).with_context(place)?.sync_all().with_context(place)?;
    std::fs::rename(&unfinished, path).with_context(place)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_sha256() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
