//! Building what is packed: release builds that say nothing about the machine they were made on.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{python, workspace};

/// The library, as cargo names it.
pub(super) const LIBRARY: &str = "ailurus-ort";
/// The package of the programs.
pub(super) const PROGRAMS: &str = "ailurus";

/// What was built.
pub(super) struct Built {
    pub(super) library: PathBuf,
    pub(super) programs: Vec<PathBuf>,
    pub(super) rustc: Rustc,
}

/// The compiler.
pub(super) struct Rustc {
    pub(super) version: String,
    /// The target it builds for by default.
    pub(super) host: String,
}

/// What `cargo metadata` says, as far as it is needed.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) target_directory: PathBuf,
}

/// A package of the workspace, or one that it depends on.
#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) license_file: Option<PathBuf>,
    pub(super) repository: Option<String>,
    /// None for what is in this workspace.
    pub(super) source: Option<String>,
    manifest_path: PathBuf,
}

impl Package {
    /// The folder of its sources.
    pub(super) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

/// cargo, in the workspace.
pub(super) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

impl Metadata {
    pub(super) fn read() -> Result<Self> {
        let text = python::output(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
        serde_json::from_str(&text).context("what `cargo metadata` says")
    }

    /// Folders of sources, and what they are called in what is built: texts of panics hold paths of source files.
    fn renamed(&self) -> Vec<(PathBuf, &'static str)> {
        let registries: BTreeSet<&Path> =
            self.packages.iter().filter(|p| p.source.is_some()).filter_map(|p| p.folder().parent()).collect();
        let mut renamed: Vec<_> = registries.into_iter().map(|folder| (folder.to_owned(), "crates.io")).collect();
        // The compiler takes the last that fits.
        renamed.push((workspace::root(), "ailurus"));
        renamed
    }
}

impl Rustc {
    fn find() -> Result<Self> {
        let text = python::output(Command::new(rustc()).arg("-vV"))?;
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.map(str::to_owned).with_context(|| format!("rustc does not say its {name}"))
        };
        Ok(Self { version: field("release")?, host: field("host")? })
    }

    /// A file of its documentation, where that is installed.
    pub(super) fn documentation(&self, name: &str) -> Option<PathBuf> {
        let root = python::output(Command::new(rustc()).args(["--print", "sysroot"])).ok()?;
        let file = Path::new(root.trim()).join("share/doc/rust").join(name);
        file.is_file().then_some(file)
    }
}

fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// Builds the library and, if asked for, the programs.
///
/// One after the other: built together, the library would get the features that the programs want of its dependencies.
pub(super) fn run(metadata: &Metadata, with_cli: bool) -> Result<Built> {
    let suffix = std::env::consts::DLL_SUFFIX;
    let library = compile(metadata, &["--package", LIBRARY, "--lib"], "cdylib")?
        .into_iter()
        .find(|file| file.to_string_lossy().ends_with(suffix))
        .context("cargo built no library")?;
    let mut programs =
        if with_cli { compile(metadata, &["--package", PROGRAMS, "--bins"], "bin")? } else { Vec::new() };
    // Beside programs there may be files for debuggers.
    programs.retain(|file| file.extension().is_none_or(|e| e == "exe"));
    programs.sort();
    Ok(Built { library, programs, rustc: Rustc::find()? })
}

/// Builds, and returns the files that were made of this kind of target of the workspace.
fn compile(metadata: &Metadata, what: &[&str], kind: &str) -> Result<Vec<PathBuf>> {
    let mut command = cargo();
    command
        .args(["build", "--release", "--locked", "--message-format", "json-render-diagnostics"])
        .args(what)
        // Other flags than those of development: in its folder they would build everything anew again and again.
        .arg("--target-dir")
        .arg(metadata.target_directory.join("dist-build"))
        .env("CARGO_ENCODED_RUSTFLAGS", flags(metadata))
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    let messages = python::output(&mut command)?;
    let mut files = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).with_context(|| format!("cargo says {line}"))?;
        let ours = message["manifest_path"].as_str().is_some_and(|p| Path::new(p).starts_with(workspace::root()));
        let wanted = message["target"]["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == kind));
        if message["reason"] == "compiler-artifact" && ours && wanted {
            let made = message["filenames"].as_array().into_iter().flatten();
            files.extend(made.filter_map(|file| Some(PathBuf::from(file.as_str()?))));
        }
    }
    Ok(files)
}

/// The caller's compiler flags and ours.
fn flags(metadata: &Metadata) -> OsString {
    const SEPARATOR: &str = "\x1f";
    let mut flags = match (std::env::var_os("CARGO_ENCODED_RUSTFLAGS"), std::env::var("RUSTFLAGS")) {
        (Some(encoded), _) => encoded,
        (None, Ok(plain)) => plain.split_whitespace().collect::<Vec<_>>().join(SEPARATOR).into(),
        (None, Err(_)) => OsString::new(),
    };
    for (folder, name) in metadata.renamed() {
        if !flags.is_empty() {
            flags.push(SEPARATOR);
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    flags
}
