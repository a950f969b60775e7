//! Bodies of `AilurusDensityPeaks`, run by ONNX Runtime, equal the reference exactly.

mod common;

use ailurus_ops::body::BodyOptions;
use ailurus_ops::{Clusters, DensityPeaks, ElementType, Keep, reference};
use common::data::Random;
use common::{Case, Tensor, run};
use half::f16;

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
                reference::density_peaks(&self.params, &reduced, self.batch, self.channels, self.grid),
            ),
        };
        let mut inputs = vec![input];
        if self.params.grid.is_none() {
            inputs.push(Tensor::i64("grid", &[2], &[self.grid.0 as i64, self.grid.1 as i64]));
        }
        let options = BodyOptions { opset: self.opset, element: self.element };
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
        let Self { params, grid, batch, channels, opset, element, kind } = self;
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
            Tensor::i32("index", &[batch, expected.index.len() / batch], &expected.index),
            "{about}"
        );
        assert_eq!(outputs[1], Tensor::i32("anchor", &[batch, rows], &expected.anchor), "{about}");
        assert_eq!(outputs[2], Tensor::f32("size", &[batch, rows], &expected.size), "{about}");
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
                list.push(Peaks { params, grid, batch, channels: 24, opset, element, kind: "random" });
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
                for (neighbors, window, spatial_mix) in
                    [(1, 24, 0.5), (3, 10, 0.0), (70, 5, 1.0), (2, 1, 0.5), (1, 2, 0.3)]
                {
                    let plain = DensityPeaks::new(0, 1, fixed.then_some(grid), keep);
                    let params = DensityPeaks { neighbors, window, spatial_mix, ..plain };
                    let element = if window == 10 { ElementType::F16 } else { ElementType::F32 };
                    list.push(Peaks { params, grid, batch: 2, channels: 33, opset: 17, element, kind });
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
