//! `ailurus peak-memory`, which `bench` starts for each model: a process that does nothing else knows what it takes.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::cli::Outcome;
use crate::cli::args::{NativeArgs, PeakArgs, ProviderFlag, RuntimeFlag};
use crate::cli::printer::Printer;

/// What the process says.
#[derive(Debug, Serialize, Deserialize)]
struct Peak {
    peak_bytes: Option<u64>,
}

pub fn run(args: &PeakArgs, printer: &Printer) -> Outcome {
    args.native.resolve()?.run_alone(&args.model)?;
    printer.json(&Peak { peak_bytes: peak_bytes() })?;
    Ok(())
}

/// The largest resident set of a process of its own that runs this model; the reason where there is none.
pub fn of(model: &Path, native: &NativeArgs, libraries: &[impl AsRef<Path>]) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program is not found: {e}"))?;
    let mut command = Command::new(program);
    command.arg("peak-memory").args(flags(native, libraries)).arg("--").arg(model).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("no process can be started: {e}"))?;
    if !output.status.success() {
        return Err(format!("the process that ran it alone failed ({})", output.status));
    }
    let peak: Peak = serde_json::from_slice(&output.stdout).map_err(|e| format!("the process said nothing: {e}"))?;
    peak.peak_bytes.ok_or_else(|| "this system does not tell".to_owned())
}

/// The flags that make another process run a model as this one does.
fn flags(native: &NativeArgs, libraries: &[impl AsRef<Path>]) -> Vec<OsString> {
    let mut out = Vec::new();
    let mut flag = |name: &str, value: &OsStr| {
        let mut text = OsString::from(format!("--{name}="));
        text.push(value);
        out.push(text);
    };
    if let Some(path) = &native.source.image {
        flag("image", path.as_os_str());
    }
    if let Some(path) = &native.source.inputs {
        flag("inputs", path.as_os_str());
    }
    for path in libraries {
        flag("plugin", path.as_ref().as_os_str());
    }
    let runtime = native.run.runtime.and_then(|r| match r {
        RuntimeFlag::Auto => None,
        RuntimeFlag::Ort => Some("ort"),
        RuntimeFlag::Tract => Some("tract"),
    });
    if let Some(runtime) = runtime {
        flag("runtime", runtime.as_ref());
    }
    for (name, triple) in [("mean", native.run.mean), ("std", native.run.std)] {
        if let Some([r, g, b]) = triple {
            flag(name, format!("{r},{g},{b}").as_ref());
        }
    }
    if let Some(threads) = native.threads {
        flag("threads", threads.to_string().as_ref());
    }
    if native.provider == Some(ProviderFlag::Cuda) {
        flag("provider", "cuda".as_ref());
    }
    out
}

/// The largest resident set that this process had so far, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    high_water_mark(&status)
}

/// `VmHWM` of the text of `/proc/PID/status`.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args;

    #[test]
    fn the_line_is_found() {
        let status = "Name:\tailurus\nVmPeak:\t  900 kB\nVmHWM:\t   12 kB\nVmRSS:\t    8 kB\n";
        assert_eq!(high_water_mark(status), Some(12 * 1024));
        assert_eq!(high_water_mark("VmRSS:\t    8 kB\n"), None);
        assert_eq!(high_water_mark("VmHWM:\t much\n"), None);
    }

    fn bench(text: &str) -> args::BenchArgs {
        let words = ["ailurus", "bench", "a", "b"].into_iter().chain(text.split_whitespace());
        match args::Cli::try_parse_from(words).unwrap().command {
            args::Command::Bench(args) => args,
            other => panic!("{other:?}"),
        }
    }

    /// What is handed on is read as what it was.
    #[test]
    fn flags_are_handed_on() {
        let none: [&Path; 0] = [];
        assert!(flags(&bench("--rounds 3 --no-memory --json").native, &none).is_empty());
        let text = "--image=p.png --runtime=ort --mean=0.1,-0.2,3 --std=1,2,0.30000001 --threads=3 --provider=cuda";
        let first = bench(text).native;
        let handed = flags(&first, &[Path::new("/l.so")]);
        let words: Vec<&str> = handed.iter().map(|f| f.to_str().unwrap()).collect();
        let second = bench(&words.join(" ")).native;
        assert_eq!(second.plugin.plugin, Some(Some("/l.so".into())));
        assert_eq!(format!("{:?}", (&first.source, &first.run)), format!("{:?}", (&second.source, &second.run)));
        assert_eq!((first.threads, first.provider), (second.threads, second.provider));
        let inputs = flags(&bench("--inputs a.npz").native, &none);
        assert_eq!(inputs, ["--inputs=a.npz"]);
    }
}
