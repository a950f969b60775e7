//! `--method expedit` through the programs.

mod common;

use ailurus::{
    rewrite::{Expedit, Method, Plan, UnfoldAt},
    runtime::testing,
};
use common::{Place, fixture};

fn path(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

#[test]
fn a_grid_of_clusters() {
    let place = Place::new();
    let input = path("segmenter_mask.ts17b");
    let base = ["--layer", "2", "--method", "expedit", "--grid", "6x7"];
    let run = place.rewrite([&[&input, "out.onnx"][..], &base].concat()).ok();
    assert!(run.stdout.contains("clusters form a grid") && run.stdout.contains("1 + 42"), "{}", run.stdout);
    let json = place.ailurus([&["rewrite", &input, "o.onnx", "--json"][..], &base].concat()).ok().json();
    assert_eq!((&json["method"], &json["tokens"]["clusters"]), (&"expedit".into(), &42.into()));

    let plan = place.ailurus([&["plan", &input][..], &base].concat()).ok().stdout;
    place.write("plan.json", &plan);
    place.rewrite([&input, "replayed.onnx", "--plan", "plan.json"]).ok();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("out.onnx") == read("replayed.onnx"));
    place.ailurus([&["inspect", &input][..], &base].concat()).ok();
}

#[test]
fn every_patch_a_cluster_is_the_original() {
    let place = Place::new();
    for emit in ["custom", "inline"] {
        let input = path("segmenter_mask.ts17b");
        let base = ["--layer", "2", "--method", "expedit", "--grid", "12x12", "--runtime", "tract", "--check"];
        place.rewrite([&[&input, "out.onnx", "--force", "--emit", emit][..], &base].concat()).ok();
    }
}

#[test]
fn pictures_show_the_nearest_cluster() {
    let place = Place::new();
    common::picture(300, 200).save(place.path("p.png")).unwrap();
    let input = path("segmenter_mask.ts17b");
    let args = ["view", &input, "p.png", "o.png", "--layer", "2", "--method", "expedit", "--grid", "4x4"];
    let run = place.ailurus([&args[..], &["--runtime", "tract"]].concat()).ok();
    assert!(run.stdout.contains("144 patches (12 x 12)"), "{}", run.stdout);
}

/// Attention inside windows: the windows shrink with the grid, and tables are made for them.
#[test]
fn windows() {
    let place = Place::new();
    let input = path("windows/tv_swin.ts17b");
    let text = place.ailurus(["inspect", &input]).ok().stdout;
    assert!(text.contains("in windows of 4·4"), "{text}");
    for method in ["expedit", "pool"] {
        let grid = ["--layer", "1", "--method", method, "--grid", "8x8"];
        let text = place.ailurus([&["inspect", &input][..], &grid].concat()).ok().stdout;
        assert!(text.contains("made anew as"), "{text}");
        let check = if testing::onnx_runtime().is_some() { &["--check", "--runtime", "ort"][..] } else { &[] };
        let run = place.rewrite([&[&input, "out.onnx", "--force"][..], &grid, check].concat()).ok();
        assert!(run.stdout.contains("made anew"), "{method}: {}", run.stdout);
        place.write("plan.json", &place.ailurus([&["plan", &input][..], &grid].concat()).ok().stdout);
        place.rewrite([&input, "replayed.onnx", "--force", "--plan", "plan.json"]).ok();
        let read = |name: &str| std::fs::read(place.path(name)).unwrap();
        assert!(read("out.onnx") == read("replayed.onnx"), "{method}");
    }
    let run = place.ailurus(["plan", &input, "--layer", "1"]);
    assert!(run.code == 1 && run.stderr.contains("AIL0203") && run.stderr.contains("--method"), "{}", run.stderr);
}

#[test]
fn presets() {
    let place = Place::new();
    let json = place.ailurus(["presets", "--json"]).ok().json();
    assert_eq!((&json[0]["name"], &json[0]["grid"]), (&"segmenter-ade20k".into(), &serde_json::json!([28, 28])));
    // Hard labels: a patch is a copy of its nearest cluster.
    let depth = json.as_array().unwrap().iter().find(|p| p["name"] == "dpt-kitti").unwrap();
    assert_eq!((&depth["layer"], &depth["neighbors"]), (&5.into(), &1.into()));
    let text = place.ailurus(["presets"]).ok().stdout;
    assert!(text.contains("segmenter-cityscapes") && text.contains("32x32") && text.contains("source"), "{text}");
    // The model is smaller than the one the preset is for: what does not fit is said otherwise.
    let input = path("segmenter_mask.ts17b");
    let args = ["plan", &input, "--preset", "segmenter-ade20k", "--layer", "2", "--grid", "6x6", "--window", "3"];
    let plan: Plan = serde_json::from_str(&place.ailurus(args).ok().stdout).unwrap();
    assert_eq!(plan.unfold_at, UnfoldAt::Latest);
    let wanted = Expedit { window: 3, neighbors: 20, ..Expedit::new((6, 6)) };
    assert_eq!(ailurus::rewrite::settings(&plan).method, Method::Expedit(wanted));
    let run = place.ailurus(["plan", &input, "--preset", "segmenter-ade20k"]);
    assert!(run.code == 1 && run.stderr.contains("AIL0202"), "{}", run.stderr);
}

#[test]
fn flags_that_do_not_go_together() {
    let place = Place::new();
    let input = path("segmenter_mask.ts17b");
    let expedit = ["--method", "expedit", "--grid", "6x6"];
    for flags in [
        &["--method", "expedit"][..],
        &["--grid", "6x6"],
        &["--expedit-parity"],
        &["--method", "ailurus", "--preset", "segmenter-ade20k"],
        &["--method", "expedit", "--grid", "6"],
        &[&expedit[..], &["--keep", "0.5"]].concat(),
        &[&expedit[..], &["--metric", "keys"]].concat(),
        &[&expedit[..], &["--proportional-attention"]].concat(),
        &["--preset", "nobody"],
    ] {
        let run = place.ailurus([&["plan", &input, "--layer", "2"], flags].concat());
        assert_eq!(run.code, 2, "{flags:?}: {}", run.stderr);
    }
    let run = place.ailurus(["plan", &input, "--layer", "2", "--method", "expedit", "--grid", "13x2"]);
    assert!(run.code == 1 && run.stderr.contains("AIL0305"), "{}", run.stderr);
}
