//! `cargo xtask bench-io`: what it costs to change a small thing in a large file.
//!
//! A ViT-L is generated, its weights inside the file and outside, and then copied by `cp`, rewritten by ailurus-onnx
//! with a small edit, and loaded and saved by the `onnx` package of Python. Runs are interleaved, outputs are removed
//! and the disk is idle before each run, the table shows medians.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ailurus_onnx::{ExternalData, GraphEdit, Model, NodeSpec, Use, WriteOptions};
use anyhow::{Context, Result, ensure};

use crate::generate::{self, Head, Vit};
use crate::{memory, python, workspace};

/// Options of `bench-io`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds; every method runs once per round
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Leave out Python, which takes most of the time
    #[arg(long)]
    no_python: bool,
    /// Keep the generated files for the next time
    #[arg(long)]
    keep: bool,
}

/// Options of the hidden command that rewrites one file.
#[derive(clap::Args)]
pub(crate) struct RewriteArgs {
    input: PathBuf,
    output: PathBuf,
    /// Gather external data in one file instead of copying the files
    #[arg(long)]
    single: bool,
    /// Wait for the disk
    #[arg(long)]
    sync: bool,
}

/// A ViT-L/16 as pretrained on ImageNet-21k: 1.3 GB.
const VIT_L: Vit = Vit {
    depth: 24,
    width: 1024,
    heads: 16,
    grid: (32, 32),
    patch: 16,
    mlp: 4096,
    prefix: 1,
    classes: 21_843,
    head: Head::Linear,
};

/// Loads with external data, changes one property, saves.
const PYTHON: &str = "
import onnx, os, resource, sys
model = onnx.load(sys.argv[1])
onnx.helper.set_model_props(model, {'edited': 'yes'})
if sys.argv[3] == 'external':
    onnx.save(model, sys.argv[2], save_as_external_data=True, location=os.path.basename(sys.argv[2]) + '.data')
else:
    onnx.save(model, sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
";

struct Method {
    name: &'static str,
    external: bool,
    /// Compared with this row.
    baseline: usize,
    start: fn(&Files) -> Command,
    times: Vec<Duration>,
    peak_kb: u64,
}

struct Files {
    inline: PathBuf,
    external: PathBuf,
    out: PathBuf,
    python: Option<PathBuf>,
}

impl Files {
    fn output(&self) -> PathBuf {
        self.out.join("out.onnx")
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = workspace::cache().join("bench-io");
    let python = if args.no_python {
        None
    } else {
        Some(match std::env::var_os("AILURUS_PYTHON") {
            Some(path) => PathBuf::from(path),
            None => python::ensure_ready(false)?,
        })
    };
    let files = Files {
        inline: folder.join("inline/vit-l.onnx"),
        external: folder.join("external/vit-l.onnx"),
        out: folder.join("out"),
        python,
    };
    for (path, external) in [(&files.inline, false), (&files.external, true)] {
        if !path.exists() {
            eprintln!("generating {}", path.display());
            std::fs::create_dir_all(path.with_file_name(""))?;
            generate::write(&VIT_L, path, external)?;
        }
    }
    let mut methods = methods(files.python.is_some());
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..args.rounds {
        // another order in every round: what runs before leaves its traces in the caches
        let mut order: Vec<usize> = (0..methods.len()).collect();
        for last in (1..order.len()).rev() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            order.swap(last, (random >> 32) as usize % (last + 1));
        }
        for index in order {
            measure(&mut methods[index], &files)?;
        }
    }
    report(&methods, &files)?;
    if !args.keep {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

fn methods(with_python: bool) -> Vec<Method> {
    let method =
        |name, external, baseline, start| Method { name, external, baseline, start, times: Vec::new(), peak_kb: 0 };
    let mut all = vec![
        method("`cp`", false, 0, |f| copy(&[&f.inline], f, false)),
        method("ailurus", false, 0, |f| ours(&f.inline, f, &[])),
        method("`cp`, then `sync`", false, 2, |f| copy(&[&f.inline], f, true)),
        method("ailurus, synced (the default)", false, 2, |f| ours(&f.inline, f, &["--sync"])),
        method("`cp` of both files", true, 4, |f| copy(&[&f.external, &data_of(&f.external)], f, false)),
        method("ailurus, data copied", true, 4, |f| ours(&f.external, f, &[])),
        method("ailurus, data in one aligned file", true, 4, |f| ours(&f.external, f, &["--single"])),
    ];
    if with_python {
        all.push(method("Python onnx", false, 0, |f| onnx(&f.inline, f, "inline")));
        all.push(method("Python onnx", true, 4, |f| onnx(&f.external, f, "external")));
    }
    all
}

fn data_of(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_owned();
    name.push(".data");
    PathBuf::from(name)
}

fn copy(from: &[&Path], files: &Files, sync: bool) -> Command {
    let mut shell = Command::new("sh");
    let script = if sync { "cp \"$@\" && sync -f \"$0\"" } else { "cp \"$@\"" };
    shell.arg("-c").arg(script).arg(&files.out);
    shell.args(from).arg(&files.out);
    shell
}

fn ours(input: &Path, files: &Files, options: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("xtask"));
    let mut command = Command::new(this);
    command.arg("bench-io-rewrite").arg(input).arg(files.output()).args(options);
    command
}

fn onnx(input: &Path, files: &Files, mode: &str) -> Command {
    let python = files.python.clone().unwrap_or_else(|| PathBuf::from("python3"));
    let mut command = Command::new(python);
    command.args(["-c", PYTHON]).arg(input).arg(files.output()).arg(mode);
    command
}

fn measure(method: &mut Method, files: &Files) -> Result<()> {
    if files.out.exists() {
        std::fs::remove_dir_all(&files.out)?;
    }
    std::fs::create_dir_all(&files.out)?;
    // earlier outputs must not compete for the disk, and inputs come from the page cache for everyone
    python::run(&mut Command::new("sync"))?;
    let input = if method.external { data_of(&files.external) } else { files.inline.clone() };
    std::io::copy(&mut std::fs::File::open(input)?, &mut std::io::sink())?;
    let mut command = (method.start)(files);
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let time = start.elapsed();
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let peak: u64 = text.trim().parse().unwrap_or(0);
    eprintln!("{:>7.2} s  {:>8} kB  {}", time.as_secs_f64(), peak, method.name);
    method.times.push(time);
    method.peak_kb = method.peak_kb.max(peak);
    Ok(())
}

fn report(methods: &[Method], files: &Files) -> Result<()> {
    let size = |path: &Path| std::fs::metadata(path).map(|m| m.len()).context("input is gone");
    println!(
        "Weights inside: {:.2} GB. Weights outside: {:.2} GB in a second file, {:.2} MB of model.\n",
        size(&files.inline)? as f64 / 1e9,
        size(&data_of(&files.external))? as f64 / 1e9,
        size(&files.external)? as f64 / 1e6
    );
    println!("| weights | method | median | of `cp` | range | peak memory |");
    println!("|---|---|---|---|---|---|");
    for method in methods {
        let base = median(&methods[method.baseline].times);
        let peak = match method.peak_kb {
            0 => "–".to_owned(),
            kb => format!("{:.0} MB", kb as f64 / 1e3),
        };
        let seconds = |d: Option<&Duration>| d.map_or(0.0, Duration::as_secs_f64);
        println!(
            "| {} | {} | {:.2} s | {:.2} | {:.2}–{:.2} s | {peak} |",
            if method.external { "outside" } else { "inside" },
            method.name,
            median(&method.times),
            median(&method.times) / base,
            seconds(method.times.iter().min()),
            seconds(method.times.iter().max()),
        );
    }
    Ok(())
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The rewrite that is measured: one property, and a copy node behind the first operator.
pub(crate) fn rewrite(args: &RewriteArgs) -> Result<()> {
    let watch = memory::Watch::start();
    let mut edit = GraphEdit::new(Model::load(&args.input)?);
    edit.set_metadata("edited", "yes");
    let first = edit.graph().nodes().find_map(|(_, n)| n.output(0));
    let first = first.context("a model without nodes")?;
    let name = edit.fresh_name("ailurus/copy");
    let spec = NodeSpec::new("Identity", [first]).name(name.clone()).output(name, None);
    let made = edit.add_node(spec)?;
    let copy = edit.outputs(made)[0];
    edit.replace_uses(first, copy, |u| !matches!(u, Use::Input { node, .. } if node == made))?;
    let external_data = if args.single { ExternalData::Single } else { ExternalData::Copy };
    let options = WriteOptions { external_data, sync: args.sync, ..WriteOptions::default() };
    edit.finish()?.write(&args.output, &options)?;
    println!("{}", watch.peak_kb());
    Ok(())
}
