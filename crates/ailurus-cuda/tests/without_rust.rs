//! The sources that are handed to users build with a C++ compiler alone, and what comes out works.

use std::ffi::{CString, c_char};
use std::process::Command;

use ailurus_cuda::{images, shim, sources};

#[test]
fn the_launcher_builds_from_its_texts() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = sources::KERNELS.iter().filter(|(name, _)| *name == "kernels/arguments.h");
    for (name, text) in sources::LAUNCHER.iter().chain(arguments) {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let generated = images::definitions([(0, sources::PTX.as_bytes())]);
    std::fs::write(folder.path().join("launcher/images.cpp"), generated).unwrap();
    let library = folder.path().join("libailurus_cuda.so");
    let compiler = std::env::var_os("CXX").filter(|v| !v.is_empty()).unwrap_or_else(|| "c++".into());
    let output = Command::new(compiler)
        .args(["-std=c++14", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-shared", "-o"])
        .arg(&library)
        .args(sources::LAUNCHER.iter().map(|(name, _)| name).filter(|name| name.ends_with(".cpp")))
        .args(["launcher/images.cpp", "-ldl", "-lpthread", "-Wl,--no-undefined"])
        .current_dir(folder.path())
        .output()
        .expect("there is a C++ compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // SAFETY: the library was just made from this crate's sources; the types are those of its header.
    unsafe {
        let library = libloading::Library::new(&library).unwrap();
        let version: libloading::Symbol<'_, unsafe extern "C" fn() -> i32> =
            library.get(b"ailurus_cuda_abi_version").unwrap();
        assert_eq!(version(), ailurus_cuda::sys::ABI_VERSION);
        let load: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> i32> =
            library.get(b"ailurus_cuda_load").unwrap();
        let prepare: libloading::Symbol<'_, unsafe extern "C" fn() -> i32> =
            library.get(b"ailurus_cuda_prepare").unwrap();
        let driver = CString::new(shim::LIBRARY).unwrap();
        assert_eq!((load(driver.as_ptr()), prepare()), (0, 0));
    }
}
