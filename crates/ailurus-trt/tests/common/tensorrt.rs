//! NVIDIA's packages, where they were fetched, and a C++ compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use ailurus_runtime::testing;

/// The folder that `cargo xtask tensorrt` fills, or a visible skip (need `tensorrt`).
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("AILURUS_TENSORRT").filter(|v| !v.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        testing::skip("tensorrt", "`cargo xtask tensorrt` fetches it and says what to set AILURUS_TENSORRT to");
    }
    folder
}

/// A C++ compiler with the include folders of this workspace and of these headers.
pub fn compiler(folder: &Path, headers: &str) -> Command {
    let compiler = std::env::var_os("CXX").filter(|v| !v.is_empty()).unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    let fetched = folder.join("headers");
    command.arg("-std=c++14").args(["-I", "plugin", "-I", "../ailurus-cuda/launcher"]);
    command.arg("-isystem").arg(fetched.join(headers)).arg("-isystem").arg(fetched);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

/// The library that cargo built beside this test.
pub fn plugin_library() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let name = format!("{}ailurus_trt{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let found = program.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| path.is_file());
    found.expect("cargo builds the library of this package before its tests")
}
