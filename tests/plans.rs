//! Plans are values: they survive being saved, and replaying one gives the same bytes.

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Emit, Error, Metric, Options, Plan, UnfoldMode, apply, options::Keep, plan};
use ailurus_tests::case;
use proptest::prelude::*;

const MODELS: [&str; 3] = ["timm_vit_seg.ts13-f0", "dpt_shared_norm.dy18b", "hf_dinov2_bb.dy18b-sdpa"];

/// A model of `fixtures/` and what to ask for; the layer may be out of range.
fn wishes() -> impl Strategy<Value = (&'static str, Options)> {
    let keep =
        prop_oneof![(1usize..=144).prop_map(Keep::Tokens), (1e-4f64..=1.0).prop_filter_map("a share", Keep::share)];
    let metric = prop_oneof![Just(Metric::Auto), Just(Metric::Keys), Just(Metric::Stream)];
    let unfold = prop_oneof![Just(UnfoldMode::Residual), Just(UnfoldMode::Copy)];
    let numbers = (0usize..=5, 1usize..=8, 1usize..=200, 0f32..=1.0, any::<bool>());
    (prop::sample::select(&MODELS[..]), keep, metric, unfold, numbers).prop_map(
        |(model, keep, metric, unfold, (layer, neighbors, window, spatial_mix, proportional))| {
            let asked =
                Options { keep, metric, unfold, neighbors, window, spatial_mix, proportional, ..Options::new(layer) };
            (model, asked)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_saved_plan_replays_to_the_same_bytes((name, options) in wishes()) {
        let model = Model::load(case::fixtures().join(format!("{name}.onnx"))).unwrap();
        let analysis = Analysis::of(&model).unwrap();
        let made = match plan(&analysis, &options) {
            Ok(made) => made,
            Err(e @ Error::Refused(_)) => {
                prop_assert!(options.layer.resolve(&analysis).is_err(), "{e}");
                prop_assert_eq!(e.code(), "AIL0202");
                return Ok(());
            }
            Err(e) => return Err(TestCaseError::fail(e.to_string())),
        };
        let text = serde_json::to_string(&made).unwrap();
        let saved: Plan = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&saved, &made);
        prop_assert_eq!(&plan(&analysis, &options).unwrap(), &made);
        for emit in [Emit::Function, Emit::Inline, Emit::Custom] {
            let first = apply(&model, &made, emit).unwrap();
            let again = apply(&model, &saved, emit).unwrap();
            prop_assert!(first.to_bytes().unwrap() == again.to_bytes().unwrap(), "{emit:?} differs");
            let carried: Plan = serde_json::from_str(&first.header.metadata["ailurus.plan"]).unwrap();
            prop_assert_eq!(&carried, &made);
        }
    }
}
