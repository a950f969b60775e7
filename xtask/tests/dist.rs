//! `cargo xtask dist`: what is in the package, and that it works.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use ailurus_runtime::{Model, Runtime, SessionOptions, testing};
use ailurus_tests::conformance;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

/// A file of the package.
struct File {
    mode: u32,
    bytes: Vec<u8>,
}

impl File {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

/// A package, unpacked.
struct Package {
    name: String,
    files: BTreeMap<String, File>,
    folder: tempfile::TempDir,
}

impl Package {
    fn library(&self) -> PathBuf {
        self.folder.path().join(&self.name).join(library_name())
    }
}

fn library_name() -> String {
    format!("lib/{}ailurus_ort{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Makes a package in this folder; returns its path.
fn make(folder: &Path) -> PathBuf {
    let run = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["dist", "--out"]).arg(folder).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    PathBuf::from(String::from_utf8(run.stdout).unwrap().trim())
}

fn unpack(path: &Path) -> Package {
    let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap().to_owned();
    let mut files = BTreeMap::new();
    let mut order = Vec::new();
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 315_532_800, "a time of this machine");
        let mode = header.mode().unwrap();
        let inside = entry.path().unwrap().to_str().unwrap().to_owned();
        let inside = inside.strip_prefix(&format!("{name}/")).expect("everything is in one folder").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        order.push(inside.clone());
        files.insert(inside, File { mode, bytes });
    }
    assert!(order.is_sorted(), "{order:?}");
    let folder = tempfile::tempdir().unwrap();
    tar::Archive::new(GzDecoder::new(std::fs::File::open(path).unwrap())).unpack(folder.path()).unwrap();
    Package { name, files, folder }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// One test, because building takes its time.
#[test]
fn the_package_is_complete_and_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = make(folder.path());
    let package = unpack(&path);
    assert!(package.name.starts_with(&format!("ailurus-ort-{}-", env!("CARGO_PKG_VERSION"))), "{}", package.name);
    has_everything(&package);
    checksums_fit(&package, &path);
    says_nothing_about_this_machine(&package);
    exports_what_it_should(&package.library());
    needs_little(&package);
    computes(&package.library());

    // Made again, it is the same.
    let again = tempfile::tempdir().unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(make(again.path())).unwrap(), "two runs differ");
}

fn has_everything(package: &Package) {
    let library = library_name();
    let mut expected = vec![
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "SHA256SUMS",
        "THIRD-PARTY-LICENSES.md",
        "include/ailurus_ort.h",
        &library,
    ];
    // Only where the compiler's documentation is installed.
    let rust = "COPYRIGHT-rust-library.html";
    let files = &package.files;
    if files.contains_key(rust) {
        expected.insert(0, rust);
    }
    assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(files.iter().all(|(name, file)| file.mode == if *name == library { 0o755 } else { 0o644 }));
    for (inside, source) in [
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("LICENSE-APACHE", "LICENSE-APACHE"),
        ("include/ailurus_ort.h", "crates/ailurus-ort/include/ailurus_ort.h"),
    ] {
        assert!(files[inside].bytes == std::fs::read(root().join(source)).unwrap(), "{inside}");
    }
    let manual = files["README.md"].text();
    // What was to be filled in is: the only brace left is that of an example.
    assert!(!manual.replace("{ op_library_filename", "").contains('{'), "{manual}");
    assert!(manual.contains(&library) && manual.contains(env!("CARGO_PKG_VERSION")), "{manual}");
    let notices = files["THIRD-PARTY-LICENSES.md"].text();
    for name in ["half", "ort-sys", "rayon", "thiserror", "Rust standard library"] {
        assert!(notices.contains(&format!("| {name} | ")), "{name} is not in the notices");
    }
    // Neither what only tests and builds need, nor ourselves.
    for name in ["tempfile", "thiserror-impl", "proc-macro2", "ailurus-ops"] {
        assert!(!notices.contains(&format!("| {name} | ")), "{name} is in the notices");
    }
    assert!(notices.contains("\n## ") && notices.contains("Permission is hereby granted"));
}

fn checksums_fit(package: &Package, path: &Path) {
    let sums = package.files["SHA256SUMS"].text();
    let listed: Vec<(&str, &str)> = sums.lines().map(|line| line.split_once("  ").unwrap()).collect();
    let named: Vec<&str> = listed.iter().map(|(_, name)| *name).collect();
    let rest: Vec<&str> = package.files.keys().map(String::as_str).filter(|name| *name != "SHA256SUMS").collect();
    assert_eq!(named, rest);
    for (sum, name) in listed {
        assert_eq!(sum, sha256(&package.files[name].bytes), "{name}");
    }
    let file = path.file_name().unwrap().to_str().unwrap();
    let beside = std::fs::read_to_string(path.with_file_name(format!("{file}.sha256"))).unwrap();
    assert_eq!(beside, format!("{}  {file}\n", sha256(&std::fs::read(path).unwrap())));
}

/// Folders of the machine that built are in no file.
fn says_nothing_about_this_machine(package: &Package) {
    let home = std::env::home_dir().unwrap();
    for folder in [root().to_str().unwrap(), &format!("{}/.", home.display()), "registry/src"] {
        for (name, file) in &package.files {
            let found = file.bytes.windows(folder.len()).any(|w| w == folder.as_bytes());
            assert!(!found, "{name} holds {folder}");
        }
    }
}

fn exports_what_it_should(library: &Path) {
    // SAFETY: loading runs no code of the library.
    let library = unsafe { libloading::Library::new(library) }.unwrap();
    // SAFETY: nothing is called through the first; the second has this type.
    unsafe {
        library.get::<unsafe extern "C" fn()>(b"RegisterCustomOps\0").unwrap();
        let version = library.get::<unsafe extern "C" fn() -> *const c_char>(b"ailurus_ort_version\0").unwrap();
        assert_eq!(CStr::from_ptr(version()).to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    }
}

/// It needs the libraries that every system has, of no newer version than the manual says.
fn needs_little(package: &Package) {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return;
    }
    let readelf = |argument: &str| {
        let run = Command::new("readelf").args([argument, "--wide"]).arg(package.library()).env("LC_ALL", "C").output();
        run.ok().map(|run| String::from_utf8(run.stdout).unwrap())
    };
    let (Some(dynamic), Some(versions)) = (readelf("--dynamic"), readelf("--version-info")) else {
        testing::skip("readelf", "there is no such program");
        return;
    };
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .map(|line| line.split_once('[').unwrap().1.trim_end_matches(']'))
        .collect();
    assert!(needed.contains(&"libc.so.6"), "{needed:?}");
    let known = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libpthread.so.0", "libdl.so.2"];
    assert!(needed.iter().all(|name| known.contains(name) || name.starts_with("ld-linux")), "{needed:?}");

    let glibc = |line: &str| {
        let version = line.split_once("Name: GLIBC_")?.1.split_whitespace().next()?;
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.split('.').next()?.parse::<u32>().ok()?))
    };
    let (major, minor) = versions.lines().filter_map(glibc).max().expect("it asks for versions of glibc");
    let manual = package.files["README.md"].text();
    assert!(manual.contains(&format!("glibc {major}.{minor} or newer")), "{major}.{minor}\n{manual}");
}

/// The build that is packed passes the operators' suite like the one of development.
fn computes(library: &Path) {
    let Some(runtime) = testing::onnx_runtime() else {
        return;
    };
    let options = SessionOptions { custom_op_libraries: vec![library.to_owned()], ..SessionOptions::default() };
    conformance::check(&|model| runtime.load(Model::Bytes(model), &options).unwrap());
}
