//! Launcher and kernels under the address and undefined-behaviour sanitizers, in a program of their own.

#[path = "common/compile.rs"]
mod compile;

use ailurus_runtime::testing::skip;

const SANITIZERS: &str = "-fsanitize=address,undefined";
const FLAGS: [&str; 3] = [SANITIZERS, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"];

#[test]
fn nothing_is_read_or_written_out_of_bounds_and_nothing_is_undefined() {
    let folder = tempfile::tempdir().unwrap();
    let probe = folder.path().join("probe");
    // The compiler may be there without the libraries of its sanitizers.
    let empty = folder.path().join("empty.cpp");
    std::fs::write(&empty, "int main() { return 0; }\n").unwrap();
    if let Err(error) = compile::compile(&probe, &[empty.to_str().unwrap()], &FLAGS) {
        skip("sanitizers", error.lines().last().unwrap_or("the compiler has none"));
        return;
    }
    let driver = folder.path().join("libdriver.so");
    let shared = [&FLAGS[..], &["-shared", "-fPIC", "-fvisibility=hidden"]].concat();
    compile::compile(&driver, &["shim/driver.cpp", "shim/block.cpp", "shim/fiber.cpp"], &shared).unwrap();
    let program = folder.path().join("sanitized");
    let sources = ["check", "density_peaks", "driver", "grid", "grid_kmeans", "merge_unfold", "module", "status"];
    let sources: Vec<String> = sources.iter().map(|name| format!("launcher/{name}.cpp")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).chain(["shim/sanitized.cpp"]).collect();
    compile::compile(&program, &sources, &FLAGS).unwrap();
    let output = compile::run(&program, &[driver.to_str().unwrap()]);
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("0 failures"));
}
