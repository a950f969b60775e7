//! A runtime in another process: the ONNX Runtime of a Python, which may be older than what can be loaded here.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use ailurus_runtime::{Outputs, Session, Tensor, ValueInfo, npz, testing};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A Python, or a visible skip (need `python`): `AILURUS_PYTHON`, else that of `cargo xtask wheels`.
pub fn interpreter() -> Option<PathBuf> {
    let python = match std::env::var_os("AILURUS_PYTHON") {
        Some(python) => python.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/venv/bin/python"),
    };
    let works = Command::new(&python).args(["-c", "import onnxruntime"]).output().is_ok_and(|o| o.status.success());
    if !works {
        testing::skip("python", &format!("{} cannot import onnxruntime; see `cargo xtask wheels`", python.display()));
    }
    works.then_some(python)
}

/// The process.
pub struct Server {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    files: usize,
    /// The version of its ONNX Runtime.
    pub version: String,
}

impl Server {
    /// Starts it, with this folder before the packages that the interpreter has.
    pub fn start(python: &Path, packages: &Path) -> Self {
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions.py"))
            .arg(testing::kernel_library())
            .env("PYTHONPATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let hello = output.next().expect("the script says its version").unwrap();
        let version = serde_json::from_str::<Value>(&hello).unwrap()["version"].as_str().unwrap().to_owned();
        Self { child, input, output, folder: tempfile::tempdir().unwrap(), files: 0, version }
    }

    /// Asks; an error is what ONNX Runtime said.
    fn ask(&mut self, request: &Value) -> Result<Value, String> {
        writeln!(self.input, "{request}").unwrap();
        let line = self.output.next();
        // A crash closes the pipe.
        let line = line.unwrap_or_else(|| panic!("{} ended: {:?}", self.version, self.child.wait())).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        answer["error"].as_str().map_or(Ok(answer.clone()), |text| Err(text.to_owned()))
    }

    /// A new file.
    fn file(&mut self, ending: &str) -> PathBuf {
        self.files += 1;
        self.folder.path().join(format!("{}.{ending}", self.files))
    }

    /// Prepares a model, with the library or without.
    pub fn load(server: &Arc<Mutex<Self>>, model: &[u8], register: bool) -> Result<Box<dyn Session>, String> {
        let mut this = server.lock().unwrap();
        let path = this.file("onnx");
        std::fs::write(&path, model).unwrap();
        let answer = this.ask(&json!({"load": path, "register": register}))?;
        let names = |of: &str| {
            let list = answer[of].as_array().unwrap();
            let name = |v: &Value| ValueInfo { name: v.as_str().unwrap().to_owned(), data_type: None, dims: None };
            list.iter().map(name).collect()
        };
        Ok(Box::new(Remote {
            server: Arc::clone(server),
            number: answer["session"].as_u64().unwrap(),
            inputs: names("inputs"),
            outputs: names("outputs"),
        }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session of the process.
struct Remote {
    server: Arc<Mutex<Server>>,
    number: u64,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
}

impl Session for Remote {
    fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    fn run(&self, inputs: &[(&str, &Tensor)]) -> ailurus_runtime::Result<Outputs> {
        let mut server = self.server.lock().unwrap();
        let (asked, answered) = (server.file("npz"), server.file("npz"));
        npz::write(&asked, inputs.iter().copied())?;
        let request = json!({"run": self.number, "inputs": asked, "outputs": answered});
        if let Err(text) = server.ask(&request) {
            panic!("{}: {text}", server.version);
        }
        npz::read(&answered)
    }
}
