//! `cargo xtask cuda`: compiles the CUDA kernels with NVIDIA's compilers, which need no device.
//!
//! - NVRTC of CUDA 12.0 makes the PTX that is committed: the oldest compiler makes what most drivers take.
//! - ptxas of CUDA 12.9 makes machine code of it for every architecture and says what each kernel needs.
//! - nvcc and NVRTC of CUDA 13.0 compile the sources too, so that users can, and have nothing to object to.

mod resources;
mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{packages, python, workspace};

#[path = "../../../../crates/ailurus-cuda/src/fingerprint.rs"]
mod fingerprint;

/// Options of `cuda`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change no file: fail if the committed PTX is not what the sources make
    #[arg(long)]
    check: bool,
    /// Write machine code for every architecture into this folder, which builds embed if `AILURUS_CUDA_CUBINS` names it
    #[arg(long, value_name = "DIR")]
    cubins: Option<PathBuf>,
}

/// Architectures for which machine code is made, from Turing to Blackwell.
const ARCHITECTURES: [u32; 6] = [75, 80, 86, 89, 90, 120];

/// The oldest of them, for which the PTX is made.
const OLDEST: u32 = ARCHITECTURES[0];

pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = workspace::root().join("crates/ailurus-cuda");
    let kernels = folder.join("kernels");
    let tools = tools::fetch()?;
    let work = workspace::cache().join("cuda/work");
    std::fs::create_dir_all(&work)?;

    let ptx = work.join("ailurus.ptx");
    nvrtc(&tools.nvrtc_oldest, &kernels, OLDEST, &ptx)?;
    keep(&ptx, &kernels, args.check)?;

    let mut table = resources::Table::default();
    for arch in ARCHITECTURES {
        let cubin = work.join(format!("ailurus_sm_{arch}.cubin"));
        let mut ptxas = Command::new(&tools.ptxas);
        ptxas.args(["--verbose", "--warning-as-error", "--gpu-name", &format!("sm_{arch}"), "--output-file"]);
        table.add(arch, &errors_of(ptxas.arg(&cubin).arg(&ptx))?)?;
        if let Some(folder) = &args.cubins {
            std::fs::create_dir_all(folder)?;
            std::fs::copy(&cubin, folder.join(cubin.file_name().context("a file")?))?;
        }
    }
    println!("{table}");
    table.compare(&folder.join("golden/resources.txt"))?;

    nvcc(&tools.nvcc, &kernels.join("ailurus.cu"), &work)?;
    for arch in ARCHITECTURES {
        nvrtc(&tools.nvrtc_newest, &kernels, arch, &work.join("newest.ptx"))?;
    }
    println!("compiled without warnings by NVRTC 12.0, ptxas 12.9, nvcc 13.0 and NVRTC 13.0 for {ARCHITECTURES:?}");
    Ok(())
}

/// Compiles to PTX with an NVRTC library.
fn nvrtc(library: &Path, kernels: &Path, arch: u32, to: &Path) -> Result<()> {
    let mut command = Command::new(packages::host_python());
    command.arg(workspace::script("nvrtc.py")).arg(library).arg(kernels).arg(format!("compute_{arch}")).arg(to);
    python::run(&mut command)
}

/// Compiles for every architecture with nvcc; any warning is an error.
fn nvcc(root: &Path, source: &Path, work: &Path) -> Result<()> {
    let mut command = Command::new(root.join("bin/nvcc"));
    command.args(["--std=c++14", "--fmad=false", "--Werror", "all-warnings", "--fatbin"]);
    for arch in ARCHITECTURES {
        command.args(["--generate-code", &format!("arch=compute_{arch},code=sm_{arch}")]);
    }
    command.args(["--generate-code", &format!("arch=compute_{OLDEST},code=compute_{OLDEST}")]);
    command.arg("-L").arg(root.join("lib")).arg("--output-file").arg(work.join("ailurus.fatbin")).arg(source);
    let said = errors_of(&mut command)?;
    ensure!(said.trim().is_empty(), "nvcc has something to say:\n{said}");
    Ok(())
}

/// Runs a command and returns what it wrote as errors; fails with that if the command does.
fn errors_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    Ok(said)
}

/// Puts new PTX and its stamp beside the sources, or only looks whether they are the same.
fn keep(made: &Path, kernels: &Path, check: bool) -> Result<()> {
    let ptx = std::fs::read_to_string(made)?;
    let stamp = stamp(kernels, &ptx)?;
    for (name, text) in [("ailurus.ptx", &ptx), ("ailurus.ptx.stamp", &stamp)] {
        let path = kernels.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|present| present == *text) {
            continue;
        }
        if check {
            bail!("{} is not what the sources make: run `cargo xtask cuda` and commit it", path.display());
        }
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// The fingerprints of sources and PTX, as the crate compares them.
fn stamp(kernels: &Path, ptx: &str) -> Result<String> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(kernels)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        if !name.contains(".ptx") {
            sources.push((format!("kernels/{name}"), std::fs::read_to_string(&path)?));
        }
    }
    let texts = sources.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let sources = fingerprint::fingerprint(texts);
    Ok(format!("sources {sources}\nptx {}\n", fingerprint::fingerprint([("kernels/ailurus.ptx", ptx)])))
}
