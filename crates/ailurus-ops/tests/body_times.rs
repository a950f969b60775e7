//! Times of the bodies in ONNX Runtime.

mod common;

use ailurus_ops::body::BodyOptions;
use ailurus_ops::{DensityPeaks, ElementType, Keep, Merge, Unfold, UnfoldResidual};
use common::data::{Random, rows_of};
use common::{Case, Tensor, run};

const HALF: Keep = Keep::Ratio { num: 1, den: 2 };

/// Prints times, with `AILURUS_THREADS` threads (2): `cargo test --release -p ailurus-ops --test body_times -- --ignored
/// --nocapture`.
#[test]
#[ignore = "a measurement, not a test"]
#[allow(clippy::print_stderr)]
fn time_of_bodies() {
    let threads = std::env::var("AILURUS_THREADS").map_or(2, |t| t.parse().unwrap());
    let mut random = Random(3);
    let mut cases = Vec::new();
    let mut names = Vec::new();
    for (grid, channels, neighbors) in [
        ((37, 37), 64, 1),
        ((37, 37), 64, 2),
        ((37, 37), 384, 1),
        ((32, 32), 64, 1),
        ((32, 32), 1024, 1),
        ((64, 64), 64, 1),
        ((64, 64), 1024, 1),
    ] {
        for fixed in [true, false] {
            let plain = DensityPeaks::new(1, 0, fixed.then_some(grid), HALF);
            let params = DensityPeaks { neighbors, ..plain };
            let kind = if fixed { "static" } else { "dynamic" };
            let x = random.list((grid.0 * grid.1 + 1) * channels);
            let mut inputs = vec![Tensor::f32("metric", &[1, grid.0 * grid.1 + 1, channels], &x)];
            if !fixed {
                inputs.push(Tensor::i64("grid", &[2], &[grid.0 as i64, grid.1 as i64]));
            }
            let options = BodyOptions { opset: 17, element: ElementType::F32 };
            cases.push(Case {
                op: DensityPeaks::SCHEMA.name,
                body: params.body(options, channels).unwrap(),
                model_opset: 17,
                inputs,
                outputs: vec![("index", "i32"), ("anchor", "i32"), ("size", "f32")],
                repeat: 30,
                threads,
            });
            names.push(format!("DensityPeaks {grid:?} d {channels} k {neighbors} {kind}"));
        }
    }
    for (tokens, channels) in [(1370, 384), (1024, 1024), (4096, 1024), (197, 768)] {
        let rows = tokens / 2;
        let (index, size) = rows_of("random", 1, tokens, rows, &mut random);
        let x = Tensor::f32("x", &[1, tokens, channels], &random.list(tokens * channels));
        let z = Tensor::f32("z", &[1, rows, channels], &random.list(rows * channels));
        let start = Tensor { name: "start", ..z.clone() };
        let base = Tensor { name: "base", ..x.clone() };
        let index = Tensor::i32("index", &[1, tokens], &index);
        let size = Tensor::f32("size", &[1, rows], &size);
        let options = BodyOptions { opset: 17, element: ElementType::F32 };
        let mut push = |op, body, inputs| {
            let outputs = vec![("y", "f32")];
            cases.push(Case { op, body, model_opset: 17, inputs, outputs, repeat: 30, threads });
            names.push(format!("{op} T {tokens} C {channels}"));
        };
        push(Merge::SCHEMA.name, Merge.body(options).unwrap(), vec![x, index.clone(), size]);
        push(Unfold::SCHEMA.name, Unfold::default().body(options).unwrap(), vec![z.clone(), index.clone()]);
        let body = UnfoldResidual::default().body(options).unwrap();
        push(UnfoldResidual::SCHEMA.name, body, vec![z, start, base, index]);
    }
    let Some(outcomes) = run(&cases) else { return };
    for (name, outcome) in names.iter().zip(outcomes) {
        match (outcome.ms, outcome.outputs) {
            (Some((least, cpu)), _) => {
                eprintln!("{name:48} min {least:7.2} ms, cpu {cpu:7.2} ms")
            }
            (None, outputs) => eprintln!("{name:48} {:?}", outputs.err()),
        }
    }
}
