//! `ailurus bench`: what it measures hangs together. How fast anything is, is no matter of tests.

mod common;

use ailurus::runtime::testing;
use common::{Place, assert_refused, fixture};
use serde_json::Value;

const MODEL: &str = "segmenter_mask.ts17b";

fn path(p: impl AsRef<std::path::Path>) -> String {
    p.as_ref().to_str().unwrap().to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn notes(json: &Value) -> String {
    json["notes"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

fn measures(runtime: &str) {
    let place = Place::new();
    let model = path(fixture(MODEL));
    let promise =
        number(&place.ailurus(["rewrite", &model, "out.onnx", "--layer", "2", "--json"]).ok().json()["promise"]);
    let args = ["bench", &model, "out.onnx", "--runtime", runtime, "--rounds", "7", "--warm-up", "1", "--threads", "1"];
    let json = place.ailurus([&args[..], &["--json"]].concat()).ok().json();
    let pairs = json["samples"]["pairs_ms"].as_array().unwrap();
    assert_eq!((pairs.len(), &json["rounds"]["pairs"], &json["rounds"]["warm_up"]), (7, &7.into(), &1.into()));
    let times = |at: usize| -> Vec<f64> { pairs.iter().map(|p| number(&p[at])).collect() };
    let latency = &json["latency"];
    for (at, side) in ["base", "other"].into_iter().enumerate() {
        let close = number(&latency[side]["median_ms"]) - median(times(at));
        assert!(close.abs() < 1e-9, "{latency}");
        assert!(number(&latency[side]["min_ms"]) > 0.0 && number(&latency[side]["spread_ms"]) >= 0.0, "{latency}");
    }
    let speed_up = number(&latency["speed_up"]);
    assert!((speed_up - median(times(0)) / median(times(1))).abs() < 1e-9);
    let (low, high) = (number(&json["interval"]["low"]), number(&json["interval"]["high"]));
    assert!(low <= speed_up && speed_up <= high, "{low} {speed_up} {high}");
    assert_eq!(json["interval"]["confidence"], 0.95);
    assert_eq!(
        notes(&json).contains("cannot be told from 1"),
        low <= 1.0 && 1.0 <= high,
        "{low} {high}: {}",
        notes(&json)
    );
    assert_eq!(number(&json["promise"]), promise);
    assert!((number(&json["achieved"]["share"]) - speed_up / promise).abs() < 1e-9);
    assert!((number(&json["achieved"]["interval"]["high"]) - high / promise).abs() < 1e-9);
    assert_eq!((&json["threads"], json["provider"].as_str()), (&1.into(), Some("cpu")));
    assert_eq!(json["inputs"][0]["dims"], serde_json::json!([1, 3, 96, 96]));
    if cfg!(target_os = "linux") {
        // Less than the weights, or more than this machine's memory, is no process that ran the model.
        for side in ["a_bytes", "b_bytes"] {
            let bytes = number(&json["memory"][side]);
            assert!(bytes > 1e6 && bytes < 1e12, "{}", json["memory"]);
        }
    }
    let run = place.ailurus(args).ok();
    for part in ["CPU, 1 thread\n", "7 pairs", "median", "spread", "95 % sure", "by operations", "of it reached"] {
        assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
    }
    assert_eq!(place.listing(), ["out.onnx"]);
}

#[test]
fn in_tract() {
    measures("tract");
}

#[test]
fn in_onnx_runtime() {
    if testing::onnx_runtime().is_some() {
        measures("ort");
    }
}

/// Where there is no promise, it is said why.
#[test]
fn promises() {
    let place = Place::new();
    let model = path(fixture(MODEL));
    place.rewrite([&model, "out.onnx", "--layer", "2"]).ok();
    place.rewrite([&model, "more.onnx", "--layer", "1"]).ok();
    for (a, b, says) in [
        (model.as_str(), model.as_str(), "was not rewritten by ailurus"),
        ("out.onnx", &model, "the original goes first"),
        ("out.onnx", "more.onnx", "both models were rewritten"),
    ] {
        let args = ["bench", a, b, "--runtime", "tract", "--rounds", "1", "--warm-up", "0", "--no-memory", "--json"];
        let json = place.ailurus(args).ok().json();
        assert!(json["promise"].is_null() && json["achieved"].is_null(), "{json}");
        assert!(notes(&json).contains(says), "{}", notes(&json));
        assert!(notes(&json).contains("fewer than 6 --rounds"), "{}", notes(&json));
        assert!(json["memory"].is_null());
    }
}

/// A model that takes any size promises what holds for the size of the run.
#[test]
fn free_sizes() {
    let place = Place::new();
    let model = path(fixture("timm_vit_dynseg.dy18bhw"));
    let planned =
        place.ailurus(["rewrite", &model, "out.onnx", "--layer", "1", "--keep", "0.25", "--json"]).ok().json();
    let file = path(fixture("timm_vit_dynseg.dy18bhw").with_extension("npz"));
    let args = ["bench", &model, "out.onnx", "--runtime", "tract", "--rounds", "1", "--no-memory", "--json"];
    let json = place.ailurus([&args[..], &["--inputs", &file]].concat()).ok().json();
    assert_eq!(json["inputs"][0]["dims"], serde_json::json!([1, 3, 96, 96]));
    let (promise, counted) = (number(&json["promise"]), number(&planned["promise"]));
    assert!(promise > 1.0 && promise < 0.99 * counted, "{promise} at 96 x 96, {counted} at 512 x 512");
    common::picture(240, 220).save(place.path("p.png")).unwrap();
    let json = place.ailurus([&args[..], &["--image", "p.png"]].concat()).ok().json();
    assert_eq!(json["inputs"][0]["dims"], serde_json::json!([1, 3, 224, 224]));
    let larger = number(&json["promise"]);
    assert!(promise < larger && larger < counted, "{promise}, {larger} at 224 x 224, {counted}");
}

#[test]
fn what_is_wrong_is_said() {
    let place = Place::new();
    let model = path(fixture(MODEL));
    let other = path(fixture("hf_dinov2_bb.dy18b-sdpa"));
    place.write("broken.png", "no picture");
    let cases: &[(&[&str], &str, i32, &str)] = &[
        (&[&model, &other], "AIL0708", 3, "is in the first model only"),
        (&[&model, &model, "--inputs", "absent.npz"], "AIL0511", 1, "absent.npz"),
        (&[&model, &model, "--inputs", "broken.png"], "AIL0512", 1, "broken.png"),
        (&[&model, &model, "--image", "broken.png"], "AIL0703", 1, "broken.png"),
        (&[&model, &model, "--rounds", "0"], "", 2, "--rounds"),
        (&[&model, &model, "--rounds", "many"], "", 2, "--rounds"),
        (&[&model, &model, "--warm-up", "-1"], "", 2, "-1"),
        (&[&model, &model, "--threads", "0"], "", 2, "--threads"),
        (&[&model, &model, "--provider", "tpu"], "", 2, "--provider"),
        (&[&model, &model, "--provider", "cuda"], "", 2, "tract computes on the processor"),
        (&[&model, &model, "--mean", "0,0,0"], "", 2, "no picture is given"),
        (&[&model, &model, "--image", "p.png", "--std", "0,1,1"], "", 2, "--std must not hold a zero"),
        (&[&model, &model, "--image", "p.png", "--inputs", "a.npz"], "", 2, "cannot be used with"),
        (&[&model, &model, "--images", "photos"], "", 2, "--images"),
        (&[&model], "", 2, "<B>"),
    ];
    for (args, code, exit, says) in cases {
        let run = place.ailurus([&["bench"], *args, &["--runtime", "tract"]].concat());
        assert_refused(&args.join(" "), &run, code, *exit, says);
        assert_eq!(run.stdout, "");
    }
}

/// A provider is used, or it is said that it is not there.
#[test]
fn cuda() {
    if testing::onnx_runtime().is_none() {
        return;
    }
    let place = Place::new();
    let model = path(fixture(MODEL));
    let run = place.ailurus(["bench", &model, &model, "--provider", "cuda", "--rounds", "1", "--no-memory"]);
    match run.code {
        0 => assert!(run.stdout.contains("CUDA"), "{}", run.stdout),
        _ => assert_refused("cuda", &run, "AIL0515", 1, "--provider cpu"),
    }
}

/// The process that memory is measured in says so, and fails as its parent would.
#[test]
fn peak_memory() {
    let place = Place::new();
    let model = path(fixture(MODEL));
    let json = place.ailurus(["peak-memory", &model, "--runtime", "tract"]).ok().json();
    assert_eq!(json["peak_bytes"].is_u64(), cfg!(target_os = "linux"), "{json}");
    let run = place.ailurus(["peak-memory", "absent.onnx", "--runtime", "tract"]);
    assert_refused("absent", &run, "AIL0101", 1, "absent.onnx");
    assert!(!place.ailurus(["--help"]).ok().stdout.contains("peak-memory"));
}
