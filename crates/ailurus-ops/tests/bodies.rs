//! Bodies of standard operators, run by ONNX Runtime, equal the references.

mod common;

use ailurus_ops::body::BodyOptions;
use ailurus_ops::{
    Assignment, Clusters, DensityPeaks, ElementType, Keep, Merge, MergeDims, Unfold, UnfoldDims,
    UnfoldResidual, reference,
};
use common::{Case, Tensor, run};
use half::f16;

/// Pseudo-random numbers without a dependency: a linear congruential generator is random enough for test data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
    fn list(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// Metrics of every kind.
fn metric(kind: &str, n: usize, random: &mut Random) -> Vec<f32> {
    let plain = random.list(n);
    match kind {
        "random" => plain,
        "ties" => plain.iter().map(|v| (v * 1.5).round()).collect(),
        "equal" => vec![0.25; n],
        "broken" => plain
            .iter()
            .enumerate()
            .map(|(i, &v)| match i % 97 {
                3 => f32::NAN,
                50 => f32::INFINITY,
                51 => f32::NEG_INFINITY,
                77 => f32::MAX,
                _ => v,
            })
            .collect(),
        "nan" => vec![f32::NAN; n],
        other => panic!("{other}"),
    }
}

struct Peaks {
    params: DensityPeaks,
    grid: (usize, usize),
    batch: usize,
    channels: usize,
    opset: i64,
    element: ElementType,
    kind: &'static str,
}

impl Peaks {
    fn case(&self, random: &mut Random) -> (Case, Clusters) {
        let total = self.params.prefix + self.grid.0 * self.grid.1 + self.params.suffix;
        let dims = [self.batch, total, self.channels];
        let x = metric(self.kind, dims.iter().product(), random);
        let reduced: Vec<f16> = x.iter().map(|&v| f16::from_f32(v)).collect();
        let (input, expected) = match self.element {
            ElementType::F32 => (
                Tensor::f32("metric", &dims, &x),
                reference::density_peaks(&self.params, &x, self.batch, self.channels, self.grid),
            ),
            ElementType::F16 => (
                Tensor::f16("metric", &dims, &reduced),
                reference::density_peaks(
                    &self.params,
                    &reduced,
                    self.batch,
                    self.channels,
                    self.grid,
                ),
            ),
        };
        let mut inputs = vec![input];
        if self.params.grid.is_none() {
            inputs.push(Tensor::i64(
                "grid",
                &[2],
                &[self.grid.0 as i64, self.grid.1 as i64],
            ));
        }
        let options = BodyOptions {
            opset: self.opset,
            element: self.element,
        };
        let case = Case {
            op: DensityPeaks::SCHEMA.name,
            body: self.params.body(options, self.channels).unwrap(),
            model_opset: self.opset,
            inputs,
            outputs: vec![("index", "i32"), ("anchor", "i32"), ("size", "f32")],
            repeat: 0,
            threads: 1,
        };
        (case, expected.unwrap())
    }

    fn describe(&self) -> String {
        let Self {
            params,
            grid,
            batch,
            channels,
            opset,
            element,
            kind,
        } = self;
        format!("{kind} {grid:?} batch {batch} d {channels} opset {opset} {element:?} {params:?}")
    }
}

fn check(list: &[Peaks]) {
    let mut random = Random(7);
    let (cases, expected): (Vec<_>, Vec<_>) = list.iter().map(|p| p.case(&mut random)).unzip();
    let Some(outcomes) = run(&cases) else { return };
    for ((peaks, outcome), expected) in list.iter().zip(outcomes).zip(expected) {
        let about = peaks.describe();
        let outputs = outcome.outputs.unwrap_or_else(|e| panic!("{about}: {e}"));
        let (batch, rows) = (peaks.batch, expected.rows);
        assert_eq!(
            outputs[0],
            Tensor::i32(
                "index",
                &[batch, expected.index.len() / batch],
                &expected.index
            ),
            "{about}"
        );
        assert_eq!(
            outputs[1],
            Tensor::i32("anchor", &[batch, rows], &expected.anchor),
            "{about}"
        );
        assert_eq!(
            outputs[2],
            Tensor::f32("size", &[batch, rows], &expected.size),
            "{about}"
        );
    }
}

const HALF: Keep = Keep::Ratio { num: 1, den: 2 };
const KINDS: [&str; 5] = ["random", "ties", "equal", "broken", "nan"];

#[test]
fn density_peaks_bodies_equal_the_reference_in_every_opset() {
    let mut list = Vec::new();
    for opset in 11..=25 {
        for (element, batch) in [(ElementType::F32, 1), (ElementType::F16, 3)] {
            for fixed in [true, false] {
                let grid = (9, 11);
                let params = DensityPeaks::new(1, 2, fixed.then_some(grid), HALF);
                list.push(Peaks {
                    params,
                    grid,
                    batch,
                    channels: 24,
                    opset,
                    element,
                    kind: "random",
                });
            }
        }
    }
    check(&list);
}

#[test]
fn density_peaks_bodies_equal_the_reference_on_every_kind_of_input() {
    let mut list = Vec::new();
    for kind in KINDS {
        for fixed in [true, false] {
            for (grid, keep) in [
                ((7, 9), Keep::Ratio { num: 1, den: 4 }),
                ((1, 40), HALF),
                ((30, 2), Keep::Tokens(3)),
                ((3, 3), Keep::Tokens(2)),
                ((12, 12), Keep::Tokens(1)),
                ((4, 5), Keep::Ratio { num: 1, den: 1 }),
                ((1, 1), HALF),
            ] {
                for (neighbors, window, spatial_mix) in [
                    (1, 24, 0.5),
                    (3, 10, 0.0),
                    (70, 5, 1.0),
                    (2, 1, 0.5),
                    (1, 2, 0.3),
                ] {
                    let plain = DensityPeaks::new(0, 1, fixed.then_some(grid), keep);
                    let params = DensityPeaks {
                        neighbors,
                        window,
                        spatial_mix,
                        ..plain
                    };
                    let element = if window == 10 {
                        ElementType::F16
                    } else {
                        ElementType::F32
                    };
                    list.push(Peaks {
                        params,
                        grid,
                        batch: 2,
                        channels: 33,
                        opset: 17,
                        element,
                        kind,
                    });
                }
            }
        }
    }
    check(&list);
}

#[test]
fn density_peaks_bodies_equal_the_reference_at_model_size() {
    let mut list = Vec::new();
    for (grid, channels, batch) in [((37, 37), 64, 1), ((32, 32), 128, 2), ((26, 34), 384, 1)] {
        for keep in [HALF, Keep::Ratio { num: 1, den: 4 }] {
            for fixed in [true, false] {
                let params = DensityPeaks::new(5, 0, fixed.then_some(grid), keep);
                list.push(Peaks {
                    params,
                    grid,
                    batch,
                    channels,
                    opset: 17,
                    element: ElementType::F32,
                    kind: "random",
                });
            }
        }
    }
    check(&list);
}

/// Clusters of very unequal sizes, so that rows run over several chunks of a merge.
fn rows_of(
    kind: &str,
    batch: usize,
    tokens: usize,
    rows: usize,
    random: &mut Random,
) -> (Vec<i32>, Vec<f32>) {
    let mut index: Vec<i32> = Vec::new();
    for _ in 0..batch {
        let mut image: Vec<i32> = (0..tokens)
            .map(|t| match kind {
                _ if t < rows => t as i32,
                "one big" => (rows / 2) as i32,
                "three big" => ((t % 3) * (rows - 1) / 2) as i32,
                _ => ((random.next() * 0.5 + 0.5) * rows as f32) as i32 % rows as i32,
            })
            .collect();
        for t in (1..tokens).rev() {
            image.swap(t, ((random.next() * 0.5 + 0.5) * t as f32) as usize);
        }
        index.extend(image);
    }
    let mut size = vec![0.0; batch * rows];
    for (t, &row) in index.iter().enumerate() {
        size[t / tokens * rows + row as usize] += 1.0;
    }
    (index, size)
}

fn close(got: &Tensor, expected: &[f32], tolerance: f32, about: &str) {
    let got = got.values();
    assert_eq!(got.len(), expected.len(), "{about}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!(
            (g - e).abs() <= tolerance * e.abs().max(1.0),
            "{about}: element {i}: {g} instead of {e}"
        );
    }
}

#[test]
fn merge_and_unfold_bodies_equal_the_references() {
    let mut random = Random(11);
    let mut cases = Vec::new();
    let mut expected = Vec::new();
    for opset in 11..=25 {
        for (kind, tokens, rows) in [
            ("random", 70, 31),
            ("one big", 200, 40),
            ("three big", 129, 9),
            ("random", 16, 16),
            ("random", 5, 1),
            ("random", 33, 1),
            ("one big", 2048, 100),
        ] {
            if tokens > 1000 && opset != 17 {
                continue;
            }
            for element in [ElementType::F32, ElementType::F16] {
                let (batch, channels) = if tokens % 2 == 0 { (1, 24) } else { (3, 7) };
                let (index, size) = rows_of(kind, batch, tokens, rows, &mut random);
                let tensor = |name, dims: &[usize], data: &[f32]| match element {
                    ElementType::F32 => Tensor::f32(name, dims, data),
                    ElementType::F16 => Tensor::f16(
                        name,
                        dims,
                        &data.iter().map(|&v| f16::from_f32(v)).collect::<Vec<_>>(),
                    ),
                };
                let dtype = if element == ElementType::F32 {
                    "f32"
                } else {
                    "f16"
                };
                let options = BodyOptions { opset, element };
                let x = tensor(
                    "x",
                    &[batch, tokens, channels],
                    &random.list(batch * tokens * channels),
                );
                let z = tensor(
                    "z",
                    &[batch, rows, channels],
                    &random.list(batch * rows * channels),
                );
                let start = tensor(
                    "start",
                    &[batch, rows, channels],
                    &random.list(batch * rows * channels),
                );
                let dims = MergeDims {
                    batch,
                    tokens,
                    rows,
                    channels,
                };
                let about = format!("{kind} {dims:?} opset {opset} {element:?}");
                let mut push = |op, body, inputs, y: Vec<f32>, what: &str| {
                    let outputs = vec![("y", dtype)];
                    cases.push(Case {
                        op,
                        body,
                        model_opset: opset,
                        inputs,
                        outputs,
                        repeat: 0,
                        threads: 2,
                    });
                    expected.push((
                        y,
                        if element == ElementType::F32 {
                            1e-5
                        } else {
                            1e-3
                        },
                        format!("{what} {about}"),
                    ));
                };
                let index_t = Tensor::i32("index", &[batch, tokens], &index);

                let y = reference::merge(&x.values(), &index, &size, dims).unwrap();
                let inputs = vec![
                    x.clone(),
                    index_t.clone(),
                    Tensor::f32("size", &[batch, rows], &size),
                ];
                push(
                    Merge::SCHEMA.name,
                    Merge.body(options).unwrap(),
                    inputs,
                    y,
                    "merge",
                );

                let dims = UnfoldDims {
                    batch,
                    rows,
                    tokens,
                    choices: 1,
                    channels,
                };
                let base = Tensor {
                    name: "base",
                    ..x.clone()
                };
                let y = reference::unfold(&z.values(), &index, None, dims).unwrap();
                let body = Unfold::default().body(options).unwrap();
                push(
                    Unfold::SCHEMA.name,
                    body,
                    vec![z.clone(), index_t.clone()],
                    y,
                    "unfold",
                );
                let y = reference::unfold_residual(
                    &z.values(),
                    &start.values(),
                    &base.values(),
                    &index,
                    None,
                    dims,
                );
                let body = UnfoldResidual::default().body(options).unwrap();
                let inputs = vec![z.clone(), start.clone(), base.clone(), index_t];
                push(
                    UnfoldResidual::SCHEMA.name,
                    body,
                    inputs,
                    y.unwrap(),
                    "residual",
                );

                let dims = UnfoldDims { choices: 3, ..dims };
                let soft: Vec<i32> = (0..batch * tokens * 3)
                    .map(|i| ((i * 5 + i / 3) % rows) as i32)
                    .collect();
                let weight = random.list(soft.len());
                let shape = [batch, tokens, 3];
                let pair = [
                    Tensor::i32("index", &shape, &soft),
                    Tensor::f32("weight", &shape, &weight),
                ];
                let assignment = Assignment::Soft;
                let y = reference::unfold(&z.values(), &soft, Some(&weight), dims).unwrap();
                let inputs = [vec![z.clone()], pair.to_vec()].concat();
                push(
                    Unfold::SCHEMA.name,
                    Unfold { assignment }.body(options).unwrap(),
                    inputs,
                    y,
                    "soft unfold",
                );
                let (zv, sv, bv) = (z.values(), start.values(), base.values());
                let y =
                    reference::unfold_residual(&zv, &sv, &bv, &soft, Some(&weight), dims).unwrap();
                let inputs = [vec![z, start, base], pair.to_vec()].concat();
                let body = UnfoldResidual { assignment }.body(options).unwrap();
                push(
                    UnfoldResidual::SCHEMA.name,
                    body,
                    inputs,
                    y,
                    "soft residual",
                );
            }
        }
    }
    let Some(outcomes) = run(&cases) else { return };
    for (outcome, (y, tolerance, about)) in outcomes.into_iter().zip(expected) {
        let outputs = outcome.outputs.unwrap_or_else(|e| panic!("{about}: {e}"));
        close(&outputs[0], &y, tolerance, &about);
    }
}

/// Prints times of the bodies in ONNX Runtime with two threads: `cargo test --release -- --ignored --nocapture time`.
#[test]
#[ignore = "a measurement, not a test"]
#[allow(clippy::print_stderr)]
fn time_of_bodies() {
    let threads = std::env::var("AILURUS_THREADS").map_or(2, |t| t.parse().unwrap());
    let mut random = Random(3);
    let mut cases = Vec::new();
    let mut names = Vec::new();
    for (grid, channels) in [
        ((37, 37), 64),
        ((37, 37), 384),
        ((32, 32), 64),
        ((32, 32), 1024),
        ((64, 64), 64),
        ((64, 64), 1024),
    ] {
        for fixed in [true, false] {
            let params = DensityPeaks::new(1, 0, fixed.then_some(grid), HALF);
            let kind = if fixed { "static" } else { "dynamic" };
            let x = random.list((grid.0 * grid.1 + 1) * channels);
            let mut inputs = vec![Tensor::f32(
                "metric",
                &[1, grid.0 * grid.1 + 1, channels],
                &x,
            )];
            if !fixed {
                inputs.push(Tensor::i64("grid", &[2], &[grid.0 as i64, grid.1 as i64]));
            }
            let options = BodyOptions {
                opset: 17,
                element: ElementType::F32,
            };
            cases.push(Case {
                op: DensityPeaks::SCHEMA.name,
                body: params.body(options, channels).unwrap(),
                model_opset: 17,
                inputs,
                outputs: vec![("index", "i32"), ("anchor", "i32"), ("size", "f32")],
                repeat: 30,
                threads,
            });
            names.push(format!("DensityPeaks {grid:?} d {channels} {kind}"));
        }
    }
    for (tokens, channels) in [(1370, 384), (1024, 1024), (4096, 1024), (197, 768)] {
        let rows = tokens / 2;
        let (index, size) = rows_of("random", 1, tokens, rows, &mut random);
        let x = Tensor::f32("x", &[1, tokens, channels], &random.list(tokens * channels));
        let z = Tensor::f32("z", &[1, rows, channels], &random.list(rows * channels));
        let start = Tensor {
            name: "start",
            ..z.clone()
        };
        let base = Tensor {
            name: "base",
            ..x.clone()
        };
        let index = Tensor::i32("index", &[1, tokens], &index);
        let size = Tensor::f32("size", &[1, rows], &size);
        let options = BodyOptions {
            opset: 17,
            element: ElementType::F32,
        };
        let mut push = |op, body, inputs| {
            let outputs = vec![("y", "f32")];
            cases.push(Case {
                op,
                body,
                model_opset: 17,
                inputs,
                outputs,
                repeat: 30,
                threads,
            });
            names.push(format!("{op} T {tokens} C {channels}"));
        };
        push(
            Merge::SCHEMA.name,
            Merge.body(options).unwrap(),
            vec![x, index.clone(), size],
        );
        push(
            Unfold::SCHEMA.name,
            Unfold::default().body(options).unwrap(),
            vec![z.clone(), index.clone()],
        );
        let body = UnfoldResidual::default().body(options).unwrap();
        push(
            UnfoldResidual::SCHEMA.name,
            body,
            vec![z, start, base, index],
        );
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
