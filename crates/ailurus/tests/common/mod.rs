//! What the tests of the programs share: fixtures, a folder of one's own, runs.
#![allow(dead_code, reason = "every test binary uses its part")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A model of `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    let path = root().join("fixtures").join(format!("{name}.onnx"));
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What a run left behind.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the run did its job.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "", "nothing is said on stderr when all is well");
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}:\n{}", self.stdout))
    }
}

/// A test's own folder.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Names in the folder, sorted.
    pub fn listing(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// `ailurus …` in this folder.
    pub fn ailurus<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command(env!("CARGO_BIN_EXE_ailurus")).args(args).output().unwrap())
    }

    /// `ailurus-rewrite …` in this folder.
    pub fn rewrite<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command(env!("CARGO_BIN_EXE_ailurus-rewrite")).args(args).output().unwrap())
    }

    /// A program in this folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_remove("COLUMNS").env_remove("NO_COLOR");
        command
    }

    /// A program run to its end.
    pub fn run(&self, command: &mut Command) -> Run {
        Run::of(command.output().unwrap())
    }
}

/// Fails unless a run was refused with this code and exit status, and says this.
#[track_caller]
pub fn assert_refused(name: &str, run: &Run, code: &str, exit: i32, says: &str) {
    assert_eq!(run.code, exit, "{name}: {}\n{}", run.stdout, run.stderr);
    let words = |s: &str| s.split_whitespace().filter(|w| *w != "|").collect::<Vec<_>>().join(" ");
    assert!(run.stderr.contains(code), "{name}: no {code} in:\n{}", run.stderr);
    // Messages are wrapped to the width of the screen, also in the middle of a path.
    let squeezed = run.stderr.replace(char::is_whitespace, "").replace('|', "");
    assert!(
        words(&run.stderr).contains(says) || squeezed.contains(&says.replace(' ', "")),
        "{name}: no {says:?} in:\n{}",
        run.stderr
    );
    assert!(!run.stderr.contains('\u{1b}'), "{name}: colours without a terminal");
    assert!(!run.stderr.contains("panicked"), "{name}: {}", run.stderr);
}

/// A picture with some structure: a bright disc on a gradient.
pub fn picture(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (f64::from(x) / f64::from(width) - 0.5, f64::from(y) / f64::from(height) - 0.5);
        if dx.hypot(dy) < 0.25 {
            image::Rgb([240, 200, 40])
        } else {
            image::Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 90])
        }
    })
}
