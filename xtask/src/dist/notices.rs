//! The notices of what is linked into a package: names, versions, licences, and their texts as the authors published them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::archive::{Entry, Kind};
use super::build::{self, Built, Metadata, Package};
use crate::python;

/// Where they are in a package.
const LIST: &str = "THIRD-PARTY-LICENSES.md";
const RUST: &str = "COPYRIGHT-rust-library.html";

/// Files that hold the text of a licence or a notice, by the start of their names.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// The files with notices.
pub(super) fn of(metadata: &Metadata, built: &Built) -> Result<Vec<Entry>> {
    let packages = linked(metadata, built)?;
    let mut entries = Vec::new();
    let rust = built.rustc.documentation("COPYRIGHT-library.html");
    let mut list = String::from("# What is linked into this package\n\n");
    writeln!(list, "| name | version | licence | source |\n|---|---|---|---|")?;
    writeln!(
        list,
        "| Rust standard library | {} | MIT OR Apache-2.0 | <https://github.com/rust-lang/rust> |",
        built.rustc.version
    )?;
    for package in &packages {
        let licence = package.license.as_deref().unwrap_or("see its text below");
        let source = package.repository.as_deref().map_or_else(|| "crates.io".to_owned(), |url| format!("<{url}>"));
        writeln!(list, "| {} | {} | {licence} | {source} |", package.name, package.version)?;
    }
    list.push_str("\nThe sources are on <https://crates.io>, unmodified, under these names and versions.\n");
    if let Some(rust) = rust {
        writeln!(list, "\nThe notices of the Rust standard library are in `{RUST}`.")?;
        entries.push(Entry::read(RUST, Kind::Text, &rust)?);
    }
    for (text, of) in texts(&packages)? {
        // A fence longer than any in the text.
        writeln!(list, "\n## {}\n\n``````text\n{}\n``````", of.join(", "), text.trim_end())?;
    }
    entries.push(Entry::new(LIST, Kind::Text, list.into_bytes()));
    Ok(entries)
}

/// The packages of others that are linked: those that cargo would build for what was built, without what only runs while
/// building.
fn linked<'a>(metadata: &'a Metadata, built: &Built) -> Result<Vec<&'a Package>> {
    let mut command = build::cargo();
    command.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    command.args(["--target", &built.rustc.host, "--package", build::LIBRARY]);
    if !built.programs.is_empty() {
        command.args(["--package", build::PROGRAMS]);
    }
    let text = python::output(&mut command)?;
    // `name v1.2.3`, and where it is if that is not the registry.
    let names: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    let mut packages = Vec::new();
    for (name, version) in names {
        let package = metadata.packages.iter().find(|p| p.name == name && p.version == version);
        let package = package.with_context(|| format!("`cargo metadata` does not know {name} {version}"))?;
        if package.source.is_some() {
            ensure!(package.license.is_some() || package.license_file.is_some(), "{name} {version} names no licence");
            packages.push(package);
        }
    }
    ensure!(!packages.is_empty(), "`cargo tree` names no package");
    Ok(packages)
}

/// The texts that packages bring, each once, with what brings it.
fn texts(packages: &[&Package]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        for file in files(package)? {
            let text = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let of = format!("{} {}", package.name, package.version);
            let list = texts.entry(String::from_utf8_lossy(&text).into_owned()).or_default();
            if !list.contains(&of) {
                list.push(of);
            }
        }
    }
    Ok(texts)
}

/// The files with texts of a package, in order.
fn files(package: &Package) -> Result<Vec<PathBuf>> {
    let folder = package.folder();
    let mut files: BTreeSet<PathBuf> = package.license_file.iter().map(|file| folder.join(file)).collect();
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() && is_notice(&path) {
            files.insert(path);
        }
    }
    Ok(files.into_iter().collect())
}

fn is_notice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    NAMES.iter().any(|start| name.starts_with(start))
}
