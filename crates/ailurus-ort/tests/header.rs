//! The C header: it compiles as C and as C++, beside declarations like ONNX Runtime's, and says what the library exports.

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::process::Command;

use ailurus_runtime::testing;

/// Declares what ONNX Runtime's header declares, in its way, before and after ours; then calls both functions.
const PROGRAM: &str = r#"
#ifdef BEFORE
struct OrtStatus;
typedef struct OrtStatus OrtStatus;
struct OrtApiBase;
typedef struct OrtApiBase OrtApiBase;
struct OrtSessionOptions;
typedef struct OrtSessionOptions OrtSessionOptions;
#endif
#include "ailurus_ort.h"
#include "ailurus_ort.h"
struct OrtStatus;
typedef struct OrtStatus OrtStatus;
struct OrtApiBase;
typedef struct OrtApiBase OrtApiBase;
struct OrtSessionOptions;
typedef struct OrtSessionOptions OrtSessionOptions;
/* The type that ONNX Runtime expects. */
typedef OrtStatus *(AILURUS_ORT_CALL *RegisterFunction)(OrtSessionOptions *, const OrtApiBase *);
#include <stdio.h>
int main(void) {
  RegisterFunction function = RegisterCustomOps;
  /* Without an interface there is nothing to register with. */
  printf("%s %d\n", ailurus_ort_version(), function(0, 0) == 0);
  return 0;
}
"#;

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Compiles the program with these arguments, links it with the library and returns what it prints; `None` without the
/// compiler.
fn compile_and_run(compiler: &str, file: &str, arguments: &[&str]) -> Option<String> {
    if Command::new(compiler).arg("--version").output().is_err() {
        testing::skip(compiler, "there is no such compiler");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join(file), folder.path().join("program"));
    std::fs::write(&source, PROGRAM).unwrap();
    let library = testing::kernel_library();
    let built = Command::new(compiler)
        .args(arguments)
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(include())
        .arg(&source)
        .arg(&library)
        .arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()))
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{compiler} {arguments:?}: {}", String::from_utf8_lossy(&built.stderr));
    let ran = Command::new(&program).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn programs_link_the_library() {
    let expected = format!("{} 1\n", env!("CARGO_PKG_VERSION"));
    // C99 has no repeated typedefs, so only newer C can declare things twice as the program does with BEFORE.
    for (compiler, file, arguments) in [
        ("gcc", "program.c", &["-std=c99"][..]),
        ("gcc", "program.c", &["-std=c11", "-DBEFORE"]),
        ("g++", "program.cpp", &["-std=c++14"]),
        ("g++", "program.cpp", &["-std=c++14", "-DBEFORE"]),
    ] {
        if let Some(printed) = compile_and_run(compiler, file, arguments) {
            assert_eq!(printed, expected, "{compiler} {arguments:?}");
        }
    }
}

/// What the header declares is there under the names it gives, for programs that look symbols up themselves.
#[test]
fn the_library_exports_what_the_header_declares() {
    let header = std::fs::read_to_string(include().join("ailurus_ort.h")).unwrap();
    // SAFETY: loading runs no code of the library.
    let library = unsafe { libloading::Library::new(testing::kernel_library()) }.unwrap();
    for name in ["RegisterCustomOps", "ailurus_ort_version"] {
        assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
        // SAFETY: nothing is called through this type.
        let found = unsafe { library.get::<unsafe extern "C" fn()>(CString::new(name).unwrap().as_bytes_with_nul()) };
        assert!(found.is_ok(), "{name} is not in the library");
    }
    // SAFETY: the type is that of the header.
    let version = unsafe {
        let function = library.get::<unsafe extern "C" fn() -> *const c_char>(b"ailurus_ort_version\0").unwrap();
        CStr::from_ptr(function()).to_str().unwrap()
    };
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
