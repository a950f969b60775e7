//! Bodies of `AilurusGridKMeans`, run by ONNX Runtime, agree with the reference within rounding.

mod common;

use ailurus_ops::body::BodyOptions;
use ailurus_ops::{ElementType, GridClusters, GridKMeans, Norm, TemperatureMode, UnfoldDims, reference};
use common::data::Random;
use common::{Case, Tensor, run};
use half::f16;

fn stream(kind: &str, n: usize, channels: usize, random: &mut Random) -> Vec<f32> {
    let plain = random.list(n);
    match kind {
        "random" => plain,
        // The constant part that streams have, far larger than what tells tokens apart.
        "shifted" => plain
            .iter()
            .enumerate()
            .map(|(i, v)| v + if (i % channels).is_multiple_of(7) { 40.0 } else { 0.0 })
            .collect(),
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

#[derive(Debug)]
struct KMeans {
    params: GridKMeans,
    grid: (usize, usize),
    batch: usize,
    channels: usize,
    opset: i64,
    element: ElementType,
    kind: &'static str,
}

/// The input as f32, and what the reference makes of it.
type Expected = (Vec<f32>, GridClusters<f32>);

impl KMeans {
    fn tokens(&self) -> usize {
        self.params.prefix + self.grid.0 * self.grid.1 + self.params.suffix
    }

    fn case(&self, random: &mut Random) -> (Case, Expected) {
        let dims = [self.batch, self.tokens(), self.channels];
        let x = stream(self.kind, dims.iter().product(), self.channels, random);
        let half: Vec<f16> = x.iter().map(|&v| f16::from_f32(v)).collect();
        let (input, expected) = match self.element {
            ElementType::F32 => (
                Tensor::f32("x", &dims, &x),
                reference::grid_kmeans(&self.params, &x, self.batch, self.channels, self.grid).unwrap(),
            ),
            ElementType::F16 => {
                let out = reference::grid_kmeans(&self.params, &half, self.batch, self.channels, self.grid).unwrap();
                let GridClusters { rows, choices, z, index, weight } = out;
                let z = z.iter().map(|v| v.to_f32()).collect();
                (Tensor::f16("x", &dims, &half), GridClusters { rows, choices, z, index, weight })
            }
        };
        let x = input.values();
        let mut inputs = vec![input];
        if self.params.grid.is_none() {
            inputs.push(Tensor::i64("grid", &[2], &[self.grid.0 as i64, self.grid.1 as i64]));
        }
        let options = BodyOptions { opset: self.opset, element: self.element };
        let element = if self.element == ElementType::F16 { "f16" } else { "f32" };
        let case = Case {
            op: GridKMeans::SCHEMA.name,
            body: self.params.body(options, self.channels).unwrap(),
            model_opset: self.opset,
            inputs,
            outputs: vec![("z", element), ("index", "i32"), ("weight", "f32")],
            repeat: 0,
            threads: 1,
        };
        (case, (x, expected))
    }

    /// The outputs agree: centres and weights within rounding; where centres are equally near, what they add up to does.
    fn compare(&self, outputs: &[Tensor], (x, expected): &Expected) {
        let (batch, tokens, rows, choices) = (self.batch, self.tokens(), expected.rows, expected.choices);
        assert_eq!(outputs[0].dims, [batch, rows, self.channels], "{self:?}");
        assert_eq!(outputs[1].dims, [batch, tokens, choices], "{self:?}");
        assert_eq!(outputs[2].dims, [batch, tokens, choices], "{self:?}");
        let (z, weight) = (outputs[0].values(), outputs[2].values());
        let index: Vec<i32> = outputs[1].values().iter().map(|&v| v as i32).collect();
        if self.kind == "broken" {
            // Numbers near the largest leave no digits for the others, but weights are weights and rows are rows.
            assert!(index.iter().all(|i| (0..rows as i32).contains(i)), "{self:?}");
            for weight in weight.chunks(choices) {
                let norm = weight.iter().map(|w| if self.params.norm == Norm::L1 { *w } else { w * w }).sum::<f32>();
                assert!((norm - 1.0).abs() < 1e-4, "{weight:?}: {self:?}");
            }
            return;
        }
        let scale = x.iter().filter(|v| v.is_finite()).fold(1.0f32, |m, v| m.max(v.abs()));
        let step = if self.element == ElementType::F16 { 1e-3 } else { 2e-4 };
        close("z", &z, &expected.z, step * scale, self);
        close("weight", &weight, &expected.weight, 5e-3, self);
        self.compare_choices(x, expected, &index);
        // Which of two centres that are equally near it is makes no difference to the distance, but to the value.
        if self.kind != "ties" {
            let dims = UnfoldDims { batch, rows, tokens, choices, channels: self.channels };
            let finite: Vec<f32> = expected.z.iter().map(|v| if v.is_finite() { *v } else { 0.0 }).collect();
            let back = reference::unfold(&finite, &index, Some(&weight), dims).unwrap();
            let want = reference::unfold(&finite, &expected.index, Some(&expected.weight), dims).unwrap();
            close("tokens", &back, &want, 5e-3 * scale, self);
        }
        let same = index.iter().zip(&expected.index).filter(|(a, b)| a == b).count();
        if matches!(self.kind, "random" | "shifted") && self.grid != self.params.clusters {
            // A pair of centres may be equally far but for rounding.
            assert!(same * 100 >= index.len() * 99, "{} of {} rows differ: {self:?}", index.len() - same, index.len());
        }
    }
}

impl KMeans {
    /// The centres chosen are as near as those of the reference.
    fn compare_choices(&self, x: &[f32], expected: &GridClusters<f32>, index: &[i32]) {
        let (tokens, c, k) = (self.tokens(), self.channels, expected.choices);
        let tame = |v: &f32| f64::from(if v.is_nan() { 0.0 } else { v.clamp(-1e15, 1e15) });
        for (t, token) in x.chunks(c).enumerate() {
            let away = |row: i32| -> f64 {
                let at = (t / tokens * expected.rows + row as usize) * c;
                let centre = &expected.z[at..at + c];
                token.iter().zip(centre).map(|(a, b)| (tame(a) - tame(b)).powi(2)).sum()
            };
            let length: f64 = token.iter().map(|v| tame(v).powi(2)).sum();
            for (got, want) in index[t * k..(t + 1) * k].iter().zip(&expected.index[t * k..(t + 1) * k]) {
                let (got, want) = (away(*got), away(*want));
                assert!((got - want).abs() <= 2e-3 * (1.0 + length), "{got} is not {want}, token {t}: {self:?}");
            }
        }
    }
}

fn close(what: &str, got: &[f32], expected: &[f32], tolerance: f32, about: &KMeans) {
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let same = got == expected || (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= tolerance;
        assert!(same, "{what} {i}: {got} is not {expected}: {about:?}");
    }
}

fn check(list: &[KMeans]) {
    let mut random = Random(7);
    let (cases, expected): (Vec<_>, Vec<_>) = list.iter().map(|p| p.case(&mut random)).unzip();
    let Some(outcomes) = run(&cases) else { return };
    for ((kmeans, outcome), expected) in list.iter().zip(outcomes).zip(expected) {
        let outputs = outcome.outputs.unwrap_or_else(|e| panic!("{kmeans:?}: {e}"));
        kmeans.compare(&outputs, &expected);
    }
}

#[test]
fn grid_kmeans_bodies_agree_in_every_opset() {
    let mut list = Vec::new();
    for opset in 11..=25 {
        for (element, batch) in [(ElementType::F32, 1), (ElementType::F16, 3)] {
            for fixed in [true, false] {
                let grid = (9, 11);
                let params = GridKMeans { ties: 2, ..GridKMeans::new(1, 2, fixed.then_some(grid), (4, 7)) };
                list.push(KMeans { params, grid, batch, channels: 24, opset, element, kind: "random" });
            }
        }
    }
    check(&list);
}

#[test]
fn grid_kmeans_bodies_agree_on_every_kind_of_input() {
    let mut list = Vec::new();
    for kind in ["random", "shifted", "ties", "equal", "broken", "nan"] {
        for fixed in [true, false] {
            for (grid, clusters) in [
                ((7, 9), (3, 4)),
                ((1, 40), (1, 17)),
                ((30, 2), (7, 1)),
                ((14, 14), (10, 10)),
                ((4, 5), (4, 5)),
                ((1, 1), (1, 1)),
            ] {
                for (iterations, window, neighbors, temperature_mode, norm) in [
                    (5, 5, 4, TemperatureMode::Relative, Norm::L1),
                    (0, 1, 1, TemperatureMode::Relative, Norm::L2),
                    (3, 3, 20, TemperatureMode::Absolute, Norm::L2),
                ] {
                    // Broken tokens are far from everything: with the mean of their distances all others would be alike.
                    let temperature = if temperature_mode == TemperatureMode::Absolute { 0.1 } else { 2.0 };
                    let plain = GridKMeans::new(0, 1, fixed.then_some(grid), clusters);
                    let params =
                        GridKMeans { iterations, window, neighbors, temperature, temperature_mode, norm, ..plain };
                    let element = if window == 3 { ElementType::F16 } else { ElementType::F32 };
                    list.push(KMeans { params, grid, batch: 2, channels: 33, opset: 17, element, kind });
                }
            }
        }
    }
    check(&list);
}

#[test]
fn grid_kmeans_bodies_agree_at_model_size() {
    let mut list = Vec::new();
    for (grid, clusters, channels, batch) in [((37, 37), (26, 26), 64, 1), ((26, 34), (13, 17), 384, 2)] {
        for fixed in [true, false] {
            let params = GridKMeans { neighbors: 20, ..GridKMeans::new(5, 0, fixed.then_some(grid), clusters) };
            list.push(KMeans { params, grid, batch, channels, opset: 17, element: ElementType::F32, kind: "shifted" });
        }
    }
    check(&list);
}
