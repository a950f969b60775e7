//! Packages: what is built ([`build`]), the notices of what is linked into it ([`notices`]), and the archive ([`archive`]).
//!
//! The same sources, compiler and flags give the same bytes: the order of the entries, their times and owners are fixed,
//! and the folders of the machine that built do not get into the library.

mod archive;
mod build;
mod notices;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;
use archive::{Entry, Kind};
use build::{Built, Metadata};

/// The short manual that a package holds.
const MANUAL: &str = include_str!("manual.md");

/// Builds and packs, into `out` or cargo's target folder; returns the package.
pub(crate) fn make(with_cli: bool, out: Option<&Path>) -> Result<PathBuf> {
    let metadata = Metadata::read()?;
    let built = build::run(&metadata, with_cli)?;
    let entries = entries(&metadata, &built)?;
    let out = out.map_or_else(|| metadata.target_directory.join("dist"), Path::to_path_buf);
    std::fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    let product = if with_cli { "ailurus" } else { "ailurus-ort" };
    let name = format!("{product}-{}-{}", env!("CARGO_PKG_VERSION"), built.rustc.host);
    archive::write(&out, &name, entries)
}

/// What goes in.
fn entries(metadata: &Metadata, built: &Built) -> Result<Vec<Entry>> {
    let root = workspace::root();
    let library = std::fs::read(&built.library).with_context(|| format!("reading {}", built.library.display()))?;
    let manual = manual(built, &library);
    let mut entries = vec![Entry::new(format!("lib/{}", file_name(&built.library)), Kind::Program, library)];
    for program in &built.programs {
        entries.push(Entry::read(format!("bin/{}", file_name(program)), Kind::Program, program)?);
    }
    let header = root.join("crates/ailurus-ort/include/ailurus_ort.h");
    entries.push(Entry::read("include/ailurus_ort.h", Kind::Text, &header)?);
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        entries.push(Entry::read(name, Kind::Text, &root.join(name))?);
    }
    entries.extend(notices::of(metadata, built)?);
    entries.push(Entry::new("README.md", Kind::Text, manual.into_bytes()));
    Ok(entries)
}

fn manual(built: &Built, library: &[u8]) -> String {
    let glibc = match glibc(library) {
        Some((major, minor)) => format!(", with glibc {major}.{minor} or newer"),
        None => String::new(),
    };
    let programs = if built.programs.is_empty() { "" } else { PROGRAMS };
    MANUAL
        .replace("{programs}", programs)
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{target}", &built.rustc.host)
        .replace("{glibc}", &glibc)
        .replace("{library}", &file_name(&built.library))
}

/// What the manual says about the programs.
const PROGRAMS: &str = "
`bin/ailurus-rewrite in.onnx out.onnx --layer 8` rewrites a model, `bin/ailurus` has the other commands. With `--plugin`
they use the library in `lib`.
";

/// The newest version of glibc that a library asks for: its versions are texts in the table of dynamic strings.
fn glibc(library: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"GLIBC_";
    let versions = library.windows(MARK.len()).enumerate().filter(|(_, w)| *w == MARK).filter_map(|(at, _)| {
        let text: String =
            library[at + MARK.len()..].iter().map(|&b| char::from(b)).take_while(|c| *c != '\0').collect();
        let mut numbers = text.split('.').map(|n| n.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    versions.max()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_found() {
        assert_eq!(glibc(b"..\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_PRIVATE\0GLIBC_2.2.5\0"), Some((2, 34)));
        assert_eq!(glibc(b"none here GLIBC_"), None);
    }
}
