//! Random vision transformers in random spellings: found, planned, rewritten, and run.

mod vit;

use ailurus_analyze::Analysis;
use ailurus_rewrite::{Emit, Options, UnfoldMode, options::Keep};
use ailurus_runtime::{Model as File, OnnxRuntime, Runtime, SessionOptions, Tensor, testing};
use proptest::prelude::*;
use vit::{Qkv, Recipe};

fn recipes() -> impl Strategy<Value = Recipe> {
    let sizes = ((2..5i64, 2..6i64), 0..3i64, 0..2i64, 1..4i64, 2..5i64, 2..4usize);
    let spelling = prop_oneof![Just(Qkv::Fused), Just(Qkv::Split), Just(Qkv::Separate)];
    let flags = proptest::array::uniform9(any::<bool>());
    (sizes, spelling, flags).prop_map(|((grid, prefix, suffix, heads, head_dim, blocks), qkv, f)| Recipe {
        grid,
        prefix,
        suffix,
        heads,
        head_dim,
        blocks,
        qkv,
        dynamic: f[0],
        shapes_in_graph: f[1],
        sequence_first: f[2],
        flat_mlp: f[3],
        score_bias: f[4],
        parallel: f[5],
        post_norm: f[6],
        collide: f[7],
        dense_head: f[8],
    })
}

fn run(runtime: &OnnxRuntime, model: &ailurus_onnx::Model, image: &Tensor) -> Vec<f64> {
    let bytes = model.to_bytes().expect("a small model");
    let session = runtime.load(File::Bytes(&bytes), &SessionOptions::default()).expect("ONNX Runtime takes the model");
    let out = session.run(&[("image", image)]).expect("the model runs");
    out[0].1.to_f64()
}

fn image(r: &Recipe, batch: usize) -> Tensor {
    let dims = vec![batch, 3, r.grid.0 as usize * 2, r.grid.1 as usize * 2];
    let count = dims.iter().product::<usize>();
    let data: Vec<f32> = (0..count).map(|i| ((i * 7919 % 1013) as f32 / 1013.0 - 0.5) * 3.0).collect();
    Tensor::new(dims, data).expect("as many elements as the shape says")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_found_and_rewritten(r in recipes(), seed in any::<u32>()) {
        let model = vit::build(&r, seed);
        let a = Analysis::of(&model).expect("a plain vision transformer");
        prop_assert_eq!(a.blocks(), r.blocks);
        prop_assert_eq!(a.grid(), Some((r.grid.0 as usize, r.grid.1 as usize)));
        prop_assert_eq!((a.trunk.tokens.prefix as i64, a.trunk.tokens.suffix as i64), (r.prefix, r.suffix));
        prop_assert_eq!(a.trunk.post_norm, r.post_norm);
        let runtime = testing::onnx_runtime();
        let image = image(&r, if r.dynamic { 2 } else { 1 });
        let before = runtime.as_ref().map(|rt| run(rt, &model, &image));
        for layer in 1..r.blocks {
            for keep in [1.0, 0.4] {
                let mut options = Options::new(layer);
                options.keep = Keep::share(keep).expect("a share");
                if seed % 3 == 0 {
                    options.unfold = UnfoldMode::Copy;
                }
                let plan = ailurus_rewrite::plan(&a, &options).expect("every block can run on fewer tokens");
                let new = ailurus_rewrite::apply(&model, &plan, Emit::Function).expect("the plan fits");
                let (Some(rt), Some(before)) = (&runtime, &before) else { continue };
                let after = run(rt, &new, &image);
                prop_assert_eq!(before.len(), after.len());
                let scale = before.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
                let error = before.iter().zip(&after).fold(0.0f64, |m, (x, y)| m.max((x - y).abs())) / scale;
                if keep == 1.0 {
                    prop_assert!(error < 1e-4, "layer {layer}: keeping everything changes the output by {error}");
                } else {
                    prop_assert!(after.iter().all(|v| v.is_finite()));
                }
            }
        }
    }
}
