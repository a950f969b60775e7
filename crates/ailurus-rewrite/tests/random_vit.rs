//! Random vision transformers in random spellings: found, planned, rewritten, and run.

mod vit;

use ailurus_analyze::Analysis;
use ailurus_onnx::{DataType, Dim, GraphEdit, TensorType};
use ailurus_rewrite::{Emit, Options, UnfoldMode, options::Keep};
use ailurus_runtime::{Model as File, OnnxRuntime, Runtime, Session, SessionOptions, Tensor, testing};
use proptest::prelude::*;
use std::sync::LazyLock;
use vit::{Qkv, Recipe};

/// Found once, or skipped once.
static RUNTIME: LazyLock<Option<OnnxRuntime>> = LazyLock::new(testing::onnx_runtime);

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

fn session(runtime: &OnnxRuntime, model: &ailurus_onnx::Model) -> Box<dyn Session> {
    let bytes = model.to_bytes().expect("a small model");
    runtime.load(File::Bytes(&bytes), &SessionOptions::default()).expect("ONNX Runtime takes the model")
}

fn run(runtime: &OnnxRuntime, model: &ailurus_onnx::Model, image: &Tensor) -> Vec<f64> {
    let out = session(runtime, model).run(&[("image", image)]).expect("the model runs");
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
        let runtime = RUNTIME.as_ref();
        let image = image(&r, if r.dynamic { 2 } else { 1 });
        let before = runtime.map(|rt| run(rt, &model, &image));
        for layer in 1..r.blocks {
            for keep in [1.0, 0.4] {
                let mut options = Options::new(layer);
                options.keep = Keep::share(keep).expect("a share");
                if seed % 3 == 0 {
                    options.unfold = UnfoldMode::Copy;
                }
                let plan = ailurus_rewrite::plan(&a, &options).expect("every block can run on fewer tokens");
                let new = ailurus_rewrite::apply(&model, &plan, Emit::Function).expect("the plan fits");
                let (Some(rt), Some(before)) = (runtime, &before) else { continue };
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

    /// With sizes in the scores, attention over clusters is attention over as many copies as they have members: the
    /// original model, given each token's cluster in place of the token, must say the same.
    #[test]
    fn proportional_attention_equals_duplicated_tokens(mut r in recipes(), seed in any::<u32>()) {
        let Some(rt) = RUNTIME.as_ref() else { return Ok(()) };
        r.score_bias = false;
        let model = vit::build(&r, seed);
        let a = Analysis::of(&model).expect("a plain vision transformer");
        let mut options = Options::new(1);
        options.keep = Keep::share(0.4).expect("a share");
        (options.unfold, options.proportional) = (UnfoldMode::Copy, true);
        let plan = ailurus_rewrite::plan(&a, &options).expect("every block can run on fewer tokens");
        let new = ailurus_rewrite::apply(&model, &plan, Emit::Function).expect("the plan fits");

        let image = image(&r, if r.dynamic { 2 } else { 1 });
        let after = run(rt, &new, &image);
        let mut probe = GraphEdit::new(new);
        let found = |e: &GraphEdit, name: &str| e.graph().find(name).expect("a value of the rewritten model");
        let wanted = vec![found(&probe, "ailurus/1/index"), found(&probe, "ailurus/1/merged")];
        probe.set_graph_outputs(wanted).expect("live values");
        let inner = session(rt, &probe.finish().expect("sound")).run(&[("image", &image)]).expect("runs");
        let (index, merged) = (inner[0].1.to_f64(), inner[1].1.to_f64());
        let (b, t) = (inner[0].1.dims()[0], inner[0].1.dims()[1]);
        let (rows, c) = (inner[1].1.dims()[1], inner[1].1.dims()[2]);
        let mut copies = vec![0f32; b * t * c];
        for i in 0..b {
            for j in 0..t {
                let row = index[i * t + j] as usize;
                let at = if r.sequence_first { j * b + i } else { i * t + j };
                for k in 0..c {
                    copies[at * c + k] = merged[(i * rows + row) * c + k] as f32;
                }
            }
        }
        let mut cut = GraphEdit::new(model.clone());
        let v = found(&cut, &plan.cut.value);
        cut.make_input(v).expect("a value inside the model");
        let ty = TensorType { dtype: DataType::F32, shape: Some(vec![Dim::Unknown; 3]) };
        cut.set_type(v, ty).expect("a live value");
        cut.prune();
        let dims = if r.sequence_first { vec![t, b, c] } else { vec![b, t, c] };
        let stream = Tensor::new(dims, copies).expect("as many elements as the shape says");
        let rest = session(rt, &cut.finish().expect("sound"));
        let mut inputs = vec![(plan.cut.value.as_str(), &stream)];
        if rest.inputs().iter().any(|i| i.name == "image") {
            inputs.push(("image", &image));
        }
        let expected = rest.run(&inputs).expect("runs")[0].1.to_f64();
        let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        let error = expected.iter().zip(&after).fold(0.0f64, |m, (x, y)| m.max((x - y).abs())) / scale;
        prop_assert!(error < 2e-4, "differs by {error}");
    }
}
