//! Edited plans: what may be edited works as if it had been asked for, everything else is refused by name.

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{
    Emit, Error, Expedit, Method, Metric, Options, Plan, Tables, UnfoldMode, apply, options::Keep, plan, prepare,
    replay,
};
use serde_json::{Value, json};
use std::path::PathBuf;

fn load(name: &str) -> Model {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/{name}.onnx"));
    prepare(Model::load(path).unwrap()).unwrap()
}

/// The plan after an edit of its text.
fn edited(saved: &Plan, edit: impl FnOnce(&mut Value)) -> Plan {
    let mut value = serde_json::to_value(saved).unwrap();
    edit(&mut value);
    serde_json::from_value(value).unwrap()
}

const MODELS: &[&str] = &["torchvision_vit.ts17b", "hf_dinov2_bb.dy18b-sdpa", "timm_dinov2_reg4.ts17b-f0"];

#[test]
fn an_unedited_plan_stays() {
    for name in MODELS {
        let model = load(name);
        let a = Analysis::of(&model).unwrap();
        for proportional in [false, true] {
            for unfold in [UnfoldMode::Residual, UnfoldMode::Copy] {
                for metric in [Metric::Auto, Metric::Stream] {
                    let made = plan(&a, &Options { proportional, unfold, metric, ..Options::new(2) }).unwrap();
                    assert_eq!(replay(&a, &made).unwrap(), made, "{name}");
                }
            }
        }
    }
}

#[test]
fn what_may_be_edited() {
    for name in MODELS {
        let model = load(name);
        let a = Analysis::of(&model).unwrap();
        let base = Options { proportional: true, ..Options::new(2) };
        let made = plan(&a, &base).unwrap();
        let check = |edit: &dyn Fn(&mut Value), wanted: Options| {
            let got = replay(&a, &edited(&made, edit)).unwrap();
            let wanted = plan(&a, &wanted).unwrap();
            assert_eq!(got, wanted, "{name}");
            apply(&model, &got, Emit::Function).unwrap();
        };
        let keep = Keep::Ratio { num: 1, den: 4 };
        check(&|v| v["tokens"]["keep"] = json!({"ratio": {"num": 1, "den": 4}}), Options { keep, ..base.clone() });
        let keep = Keep::Tokens(30);
        check(&|v| v["tokens"]["keep"] = json!({"tokens": 30}), Options { keep, ..base.clone() });
        check(&|v| v["cluster"]["neighbors"] = json!(5), Options { neighbors: 5, ..base.clone() });
        check(&|v| v["cluster"]["window"] = json!(50), Options { window: 50, ..base.clone() });
        check(&|v| v["cluster"]["spatial_mix"] = json!(0.75), Options { spatial_mix: 0.75, ..base.clone() });
        check(&|v| v["metric"] = json!("stream"), Options { metric: Metric::Stream, ..base.clone() });
        check(&|v| v["proportional"] = json!([]), Options { proportional: false, ..base.clone() });
        let modes = |v: &mut Value| {
            v["unfolds"].as_array_mut().unwrap().iter_mut().for_each(|u| u["mode"] = json!("copy"));
        };
        check(&modes, Options { unfold: UnfoldMode::Copy, ..base.clone() });
        // a whole other share, as if planned anew
        let other = plan(&a, &Options { keep, ..base.clone() }).unwrap();
        assert_eq!(replay(&a, &other).unwrap(), other);
        // one attention less
        let got = replay(&a, &edited(&made, |v| drop(v["proportional"].as_array_mut().unwrap().pop()))).unwrap();
        assert_eq!(got.proportional.len() + 1, made.proportional.len());
    }
}

#[test]
fn what_may_not_be_edited() {
    let model = load("torchvision_vit.ts17b");
    let a = Analysis::of(&model).unwrap();
    let made = plan(&a, &Options { proportional: true, ..Options::new(2) }).unwrap();
    let other = plan(&a, &Options::new(1)).unwrap();
    type Edit<'a> = &'a dyn Fn(&mut Value);
    let cases: &[(Edit, &str)] = &[
        (&|v| v["layer"] = json!(1), "cut.value"),
        (&|v| v["blocks"] = json!(7), "blocks"),
        (&|v| v["tokens"]["prefix"] = json!(0), "tokens.prefix"),
        (&|v| v["tokens"]["patches"] = json!(145), "tokens.patches"),
        (&|v| v["tokens"]["clusters"] = json!(36), "tokens.clusters"),
        (&|v| v["cut"]["value"] = json!(other.cut.value), "cut.value"),
        (&|v| v["cut"]["layout"] = json!("token_batch_channel"), "cut.layout"),
        (&|v| v["cut"]["dtype"] = json!(10), "cut.dtype"),
        (&|v| v["metric"]["keys"]["columns"]["first"] = json!(0), "metric.keys.columns.first"),
        (&|v| drop(v["region"].as_array_mut().unwrap().pop()), "region"),
        (&|v| drop(v["unfolds"].as_array_mut().unwrap().pop()), "unfolds"),
        (&|v| v["operands"][0]["dims"][0] = json!({"number": 72}), "operands[0].dims[0].number"),
        (&|v| v["shapes"][0]["dims"][0] = json!(9), "shapes[0].dims[0]"),
        (&|v| v["proportional"][0]["input"] = json!(1), "proportional[0]"),
    ];
    for (edit, field) in cases {
        let error = replay(&a, &edited(&made, edit)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(&error, Error::Edited { field: f, .. } if f.starts_with(field)), "{field}: {text}");
        assert_eq!(error.code(), "AIL0402");
        assert!(text.contains("tokens.keep"), "{text}");
    }
    let error = replay(&a, &edited(&made, |v| v["format"] = json!(99))).unwrap_err();
    assert!(matches!(error, Error::Plan(_)));
    let error = replay(&a, &edited(&made, |v| v["cluster"]["window"] = json!(0))).unwrap_err();
    assert_eq!(error.code(), "AIL0301");
    let error = replay(&a, &edited(&made, |v| v["layer"] = json!(9))).unwrap_err();
    assert_eq!(error.code(), "AIL0202");
}

#[test]
fn plans_of_other_models() {
    let (one, two) = (load("torchvision_vit.ts17b"), load("segmenter_mask.ts17b"));
    let made = plan(&Analysis::of(&one).unwrap(), &Options::new(2)).unwrap();
    assert_eq!(replay(&Analysis::of(&two).unwrap(), &made).unwrap_err().code(), "AIL0401");
}

#[test]
fn plans_of_grid_k_means() {
    let model = load("torchvision_vit.ts17b");
    let a = Analysis::of(&model).unwrap();
    let options = |e| Options { method: Method::Expedit(e), ..Options::new(2) };
    let base = Expedit::new((6, 7));
    let made = plan(&a, &options(base)).unwrap();
    assert_eq!((made.tokens.clusters, made.tokens.keep), (Some(42), Keep::Tokens(42)));
    assert!(made.flops.after < made.flops.before);
    for e in [base, Expedit::parity((6, 7)), Expedit { tables: Tables::Gather, ..base }] {
        let made = plan(&a, &options(e)).unwrap();
        let text = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), made);
        assert_eq!(replay(&a, &made).unwrap(), made);
    }
    let check = |edit: &dyn Fn(&mut Value), wanted: Expedit| {
        let got = replay(&a, &edited(&made, edit)).unwrap();
        assert_eq!(got, plan(&a, &options(wanted)).unwrap());
        apply(&model, &got, Emit::Function).unwrap();
    };
    check(&|v| v["cluster"]["expedit"]["iterations"] = json!(0), Expedit { iterations: 0, ..base });
    check(&|v| v["cluster"]["expedit"]["window"] = json!(3), Expedit { window: 3, ..base });
    check(&|v| v["cluster"]["expedit"]["neighbors"] = json!(1), Expedit { neighbors: 1, ..base });
    check(&|v| v["cluster"]["expedit"]["temperature"] = json!(2.5), Expedit { temperature: 2.5, ..base });
    for (field, edit) in [
        ("tokens.keep", (|v| v["tokens"]["keep"] = json!({"tokens": 30})) as fn(&mut Value)),
        ("tokens.keep", |v| v["cluster"]["expedit"]["grid"] = json!([6, 6])),
    ] {
        let error = replay(&a, &edited(&made, edit)).unwrap_err();
        assert!(error.code() == "AIL0402" && error.to_string().contains(field), "{error}");
    }
    // A plan that is carried out without being compared contradicts itself just as well.
    let error = apply(&model, &edited(&made, |v| v["cluster"]["expedit"]["grid"] = json!([6, 6])), Emit::Custom);
    assert_eq!(error.unwrap_err().code(), "AIL0402");
}

#[test]
fn grid_k_means_refuses_what_it_has_no_use_for() {
    let model = load("torchvision_vit.ts17b");
    let a = Analysis::of(&model).unwrap();
    let base = Options { method: Method::Expedit(Expedit::new((6, 7))), ..Options::new(2) };
    let code = |options: Options| plan(&a, &options).unwrap_err().code();
    assert_eq!(code(Options { proportional: true, ..base.clone() }), "AIL0403");
    assert_eq!(code(Options { metric: Metric::Keys, ..base.clone() }), "AIL0403");
    let with = |e| Options { method: Method::Expedit(e), ..base.clone() };
    assert_eq!(code(with(Expedit::new((13, 2)))), "AIL0305");
    assert_eq!(code(with(Expedit::new((0, 2)))), "AIL0301");
    assert_eq!(code(with(Expedit { temperature: f32::NAN, ..Expedit::new((2, 2)) })), "AIL0301");
    assert_eq!(code(with(Expedit { neighbors: usize::MAX, ..Expedit::new((2, 2)) })), "AIL0301");
}
