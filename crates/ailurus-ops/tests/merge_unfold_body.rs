//! Bodies of `AilurusMerge`, `AilurusUnfold` and `AilurusUnfoldResidual`, run by ONNX Runtime, equal the references.

mod common;

use ailurus_ops::body::BodyOptions;
use ailurus_ops::{Assignment, ElementType, Merge, MergeDims, Unfold, UnfoldDims, UnfoldResidual, reference};
use common::data::{Random, rows_of};
use common::{Case, Tensor, run};
use half::f16;

fn close(got: &Tensor, expected: &[f32], tolerance: f32, about: &str) {
    let got = got.values();
    assert_eq!(got.len(), expected.len(), "{about}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance * e.abs().max(1.0), "{about}: element {i}: {g} instead of {e}");
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
                    ElementType::F16 => {
                        Tensor::f16(name, dims, &data.iter().map(|&v| f16::from_f32(v)).collect::<Vec<_>>())
                    }
                };
                let dtype = if element == ElementType::F32 { "f32" } else { "f16" };
                let options = BodyOptions { opset, element };
                let x = tensor("x", &[batch, tokens, channels], &random.list(batch * tokens * channels));
                let z = tensor("z", &[batch, rows, channels], &random.list(batch * rows * channels));
                let start = tensor("start", &[batch, rows, channels], &random.list(batch * rows * channels));
                let dims = MergeDims { batch, tokens, rows, channels };
                let about = format!("{kind} {dims:?} opset {opset} {element:?}");
                let mut push = |op, body, inputs, y: Vec<f32>, what: &str| {
                    let outputs = vec![("y", dtype)];
                    cases.push(Case { op, body, model_opset: opset, inputs, outputs, repeat: 0, threads: 2 });
                    expected.push((
                        y,
                        if element == ElementType::F32 { 1e-5 } else { 1e-3 },
                        format!("{what} {about}"),
                    ));
                };
                let index_t = Tensor::i32("index", &[batch, tokens], &index);

                let y = reference::merge(&x.values(), &index, &size, dims).unwrap();
                let inputs = vec![x.clone(), index_t.clone(), Tensor::f32("size", &[batch, rows], &size)];
                push(Merge::SCHEMA.name, Merge.body(options).unwrap(), inputs, y, "merge");

                let dims = UnfoldDims { batch, rows, tokens, choices: 1, channels };
                let base = Tensor { name: "base", ..x.clone() };
                let y = reference::unfold(&z.values(), &index, None, dims).unwrap();
                let body = Unfold::default().body(options).unwrap();
                push(Unfold::SCHEMA.name, body, vec![z.clone(), index_t.clone()], y, "unfold");
                let y = reference::unfold_residual(&z.values(), &start.values(), &base.values(), &index, None, dims);
                let body = UnfoldResidual::default().body(options).unwrap();
                let inputs = vec![z.clone(), start.clone(), base.clone(), index_t];
                push(UnfoldResidual::SCHEMA.name, body, inputs, y.unwrap(), "residual");

                let dims = UnfoldDims { choices: 3, ..dims };
                let soft: Vec<i32> = (0..batch * tokens * 3).map(|i| ((i * 5 + i / 3) % rows) as i32).collect();
                let weight = random.list(soft.len());
                let shape = [batch, tokens, 3];
                let pair = [Tensor::i32("index", &shape, &soft), Tensor::f32("weight", &shape, &weight)];
                let assignment = Assignment::Soft;
                let y = reference::unfold(&z.values(), &soft, Some(&weight), dims).unwrap();
                let inputs = [vec![z.clone()], pair.to_vec()].concat();
                push(Unfold::SCHEMA.name, Unfold { assignment }.body(options).unwrap(), inputs, y, "soft unfold");
                let (zv, sv, bv) = (z.values(), start.values(), base.values());
                let y = reference::unfold_residual(&zv, &sv, &bv, &soft, Some(&weight), dims).unwrap();
                let inputs = [vec![z, start, base], pair.to_vec()].concat();
                let body = UnfoldResidual { assignment }.body(options).unwrap();
                push(UnfoldResidual::SCHEMA.name, body, inputs, y, "soft residual");
            }
        }
    }
    let Some(outcomes) = run(&cases) else { return };
    for (outcome, (y, tolerance, about)) in outcomes.into_iter().zip(expected) {
        let outputs = outcome.outputs.unwrap_or_else(|e| panic!("{about}: {e}"));
        close(&outputs[0], &y, tolerance, &about);
    }
}
