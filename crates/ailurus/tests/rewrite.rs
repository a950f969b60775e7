//! The main job through the programs.

mod common;

use ailurus::onnx::Model;
use ailurus::runtime::testing;
use common::{Place, fixture, root};

const FIXTURES: &[&str] = &[
    "segmenter_mask.ts17b",
    "timm_vit_seg.ts13-f0",
    "dpt_shared_norm.dy18b",
    "setr_pup_mha.ts17b",
    "hf_dinov2_bb.dy18b-sdpa",
    "timm_dinov2_reg4.ts17b-f0",
    "torchvision_vit.ts17b",
];

fn path(p: impl AsRef<std::path::Path>) -> String {
    p.as_ref().to_str().unwrap().to_owned()
}

#[test]
fn summary_and_json() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    let run = place.rewrite([&input, "out.onnx", "--layer", "2"]).ok();
    for part in ["blocks", "tokens", "metric", "unfold", "work", "promise", "output", "144"] {
        assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
    }
    assert_eq!(place.listing(), ["out.onnx"]);
    let json = place.ailurus(["rewrite", &input, "out2.onnx", "--layer", "2", "--json"]).ok().json();
    let (before, after) = (json["flops"]["before"].as_f64().unwrap(), json["flops"]["after"].as_f64().unwrap());
    assert!(after < before && after > 0.0);
    assert_eq!(json["layer"], 2);
    assert_eq!(json["tokens"]["patches"], 144);
    assert_eq!(json["tokens"]["clusters"], 72);
    assert!(json["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(json["output"]["bytes"], std::fs::metadata(place.path("out2.onnx")).unwrap().len());
    // Both names of the command write the same bytes.
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("out.onnx") == read("out2.onnx"));
}

#[test]
fn the_interface_stays() {
    for name in FIXTURES {
        let place = Place::new();
        let input = fixture(name);
        place.rewrite([path(&input).as_str(), "out.onnx", "--layer", "2"]).ok();
        let (a, b) = (Model::load(&input).unwrap(), Model::load(place.path("out.onnx")).unwrap());
        let interface = |m: &Model| {
            let g = &m.graph;
            let one = |v| (g.name_of(v).to_owned(), g.value(v).ty.clone());
            (g.inputs().map(one).collect::<Vec<_>>(), g.outputs().iter().map(|&v| one(v)).collect::<Vec<_>>())
        };
        assert_eq!(interface(&a), interface(&b), "{name}");
        assert_eq!(a.header.ir_version, b.header.ir_version, "{name}");
    }
}

#[test]
fn a_plan_can_be_replayed() {
    let place = Place::new();
    let input = path(fixture("dpt_shared_norm.dy18b"));
    let plan = place.ailurus(["plan", &input, "--layer", "1", "--keep", "0.25", "--unfold", "copy"]).ok();
    assert_eq!(plan.json()["layer"], 1);
    place.write("plan.json", &plan.stdout);
    place.rewrite([&input, "a.onnx", "--plan", "plan.json"]).ok();
    place.rewrite([&input, "b.onnx", "--layer", "1", "--keep", "0.25", "--unfold", "copy"]).ok();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("a.onnx") == read("b.onnx"));
}

/// A plan in which the share was edited gives what that share gives when asked for.
#[test]
fn an_edited_share_is_carried_out() {
    let place = Place::new();
    let input = path(fixture("torchvision_vit.ts17b"));
    let plan = place.ailurus(["plan", &input, "--layer", "2"]).ok();
    let edited = plan.stdout.replacen("\"den\": 2", "\"den\": 4", 1);
    assert_ne!(edited, plan.stdout);
    place.write("plan.json", edited);
    place.rewrite([&input, "a.onnx", "--plan", "plan.json"]).ok();
    place.rewrite([&input, "b.onnx", "--layer", "2", "--keep", "0.25"]).ok();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("a.onnx") == read("b.onnx"));
}

#[test]
fn layers_have_names() {
    let place = Place::new();
    let input = path(fixture("hf_dinov2_bb.dy18b-sdpa"));
    let plan = |layer: &str| place.ailurus(["plan", &input, "--layer", layer]).ok().stdout;
    let two = plan("2");
    let cut = serde_json::from_str::<serde_json::Value>(&two).unwrap()["cut"]["value"].as_str().unwrap().to_owned();
    for layer in ["1/2", "0.5", "50%", "encoder.layer.1", "encoder/layer/1", &cut] {
        assert_eq!(plan(layer), two, "{layer}");
    }
    let run = place.ailurus(["inspect", &input, "--layer", "encoder.layer.1"]).ok();
    assert!(run.stdout.contains("cut behind block 2"), "{}", run.stdout);
    place.rewrite([&input, "a.onnx", "--layer", "2"]).ok();
    place.rewrite([&input, "b.onnx", "--layer", "m.encoder.layer.1"]).ok();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("a.onnx") == read("b.onnx"));
}

#[test]
fn unfolding_as_late_as_possible() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    let unfolds = |at: &str| {
        let out = format!("{at}.onnx");
        let run = place.ailurus(["rewrite", &input, &out, "--layer", "2", "--unfold-at", at, "--json"]);
        let json = run.ok().json();
        (json["unfolds"].clone(), json["promise"].as_f64().unwrap())
    };
    let ((trunk, less), (latest, more)) = (unfolds("trunk"), unfolds("latest"));
    assert_ne!(trunk, latest);
    assert!(more > less, "the decoder runs on clusters, too: {more} against {less}");
    // A plan knows where its region ends.
    let plan = place.ailurus(["plan", &input, "--layer", "2", "--unfold-at", "latest"]).ok();
    place.write("plan.json", &plan.stdout);
    place.rewrite([&input, "replayed.onnx", "--plan", "plan.json"]).ok();
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("replayed.onnx") == read("latest.onnx"));
}

#[test]
fn one_of_several_encoders() {
    let place = Place::new();
    let input = path(root().join("fixtures/refused/two_imgs.ts17b.onnx"));
    let run = place.rewrite([&input, "out.onnx", "--layer", "2"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("AIL0204") && run.stderr.contains("--trunk"), "{}", run.stderr);
    assert!(place.listing().is_empty());
    let cut = |trunk: &str| {
        let run = place.ailurus(["rewrite", &input, "out.onnx", "--layer", "2", "--trunk", trunk, "--json"]);
        run.ok().json()["cut"].as_str().unwrap().to_owned()
    };
    assert_ne!(cut("a.blocks.0"), cut("b.blocks.0"));
    place.ailurus(["inspect", &input, "--trunk", "b.blocks.1"]).ok();
    let plan = place.ailurus(["plan", &input, "--layer", "2", "--trunk", "b.blocks.0"]).ok();
    place.write("plan.json", &plan.stdout);
    place.rewrite([&input, "replayed.onnx", "--plan", "plan.json"]).ok();
    assert_eq!(place.rewrite([&input, "x.onnx", "--plan", "plan.json", "--trunk", "a.blocks.0"]).code, 2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    let json = place.rewrite([&input, "out.onnx", "--layer", "2", "--dry-run", "--json"]).ok().json();
    assert_eq!(json["output"], serde_json::Value::Null);
    assert_eq!(place.listing(), Vec::<String>::new());
}

#[test]
fn forms_of_operators() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    let count = |emit: &str| {
        place.rewrite([&input, "out.onnx", "--layer", "2", "--emit", emit]).ok();
        let model = Model::load(place.path("out.onnx")).unwrap();
        let ours = model.graph.nodes().filter(|(_, n)| n.domain == "ai.ailurus").count();
        (ours, model.functions.len())
    };
    let (nodes, functions) = count("function");
    assert!(nodes >= 3 && functions == 3, "{nodes} {functions}");
    assert_eq!(count("inline"), (0, 0));
    assert_eq!(count("custom"), (nodes, 0));
}

/// With all tokens kept, the rewritten model is the original up to rounding; the check says so or fails.
fn keeps_everything(runtime: &str) {
    for name in FIXTURES {
        let place = Place::new();
        let input = path(fixture(name));
        let args = [&input, "out.onnx", "--layer", "2", "--keep", "1", "--check", "--runtime", runtime, "--json"];
        let json = place.rewrite(args).ok().json();
        let outputs = json["check"]["outputs"].as_array().unwrap();
        assert!(!outputs.is_empty());
        for output in outputs {
            assert!(output["relative_l2"].as_f64().unwrap() < 1e-3, "{name}: {output}");
        }
    }
}

#[test]
fn all_tokens_in_tract() {
    keeps_everything("tract");
}

#[test]
fn all_tokens_in_onnx_runtime() {
    if testing::onnx_runtime().is_some() {
        keeps_everything("ort");
    }
}

/// tract computes the same from operators of its own and from their bodies of standard operators.
#[test]
fn bodies_in_tract() {
    for name in FIXTURES {
        let place = Place::new();
        let input = path(fixture(name));
        place.rewrite([&input, "function.onnx", "--layer", "2"]).ok();
        place.rewrite([&input, "inline.onnx", "--layer", "2", "--emit", "inline"]).ok();
        let args = ["verify", "function.onnx", "inline.onnx", "--runtime", "tract", "--tolerance", "1e-5"];
        place.ailurus(args).ok();
    }
}

#[test]
fn check_reports() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    common::picture(120, 90).save(place.path("p.png")).unwrap();
    for emit in ["function", "inline", "custom"] {
        let args = [&input, "out.onnx", "--layer", "2", "--emit", emit, "--check=p.png", "--runtime", "tract"];
        let run = place.rewrite(args).ok();
        for part in ["tract", "p.png", "max abs", "relative L2", "cosine", "as fast"] {
            assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
        }
    }
}

#[test]
fn verify() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    place.rewrite([&input, "out.onnx", "--layer", "1", "--keep", "0.2"]).ok();
    let same = place.ailurus(["verify", &input, &input, "--runtime", "tract", "--tolerance", "0", "--json"]).ok();
    assert_eq!(same.json()["outputs"][0]["max_abs"], 0.0);
    let run = place.ailurus(["verify", &input, "out.onnx", "--runtime", "tract"]).ok();
    assert!(run.stdout.contains("cosine"), "{}", run.stdout);
    let run = place.ailurus(["verify", &input, "out.onnx", "--runtime", "tract", "--tolerance", "1e-9"]);
    assert_eq!(run.code, 3);
    assert!(run.stdout.contains("cosine") && run.stderr.contains("AIL0701"), "{}\n{}", run.stdout, run.stderr);
}

#[test]
fn inspect() {
    let place = Place::new();
    let input = path(fixture("setr_pup_mha.ts17b"));
    let run = place.ailurus(["inspect", &input]).ok();
    for part in ["grid", "tokens", "opset 17", "block", "attention", "FLOPs"] {
        assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
    }
    assert!(!run.stdout.contains("frontier"), "{}", run.stdout);
    let run = place.ailurus(["inspect", &input, "--layer", "2"]).ok();
    for part in ["frontier", "shape operand", "promise", "all tokens", "clusters"] {
        assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
    }
    let json = place.ailurus(["inspect", &input, "--layer", "2", "--json"]).ok().json();
    assert_eq!(json["blocks"].as_array().unwrap().len(), 4);
    assert_eq!(json["plan"]["layer"], 2);
}

#[test]
fn view() {
    let place = Place::new();
    common::picture(300, 200).save(place.path("p.png")).unwrap();
    for name in ["segmenter_mask.ts17b", "timm_dinov2_reg4.ts17b-f0"] {
        let input = path(fixture(name));
        let args = ["view", &input, "p.png", "o.png", "--layer", "2", "--keep", "0.25", "--runtime", "tract"];
        let run = place.ailurus(args).ok();
        assert!(run.stdout.contains("clusters behind block 2"), "{}", run.stdout);
        let drawn = image::open(place.path("o.png")).unwrap();
        assert!(drawn.width() >= 300 && drawn.height() >= 300);
    }
    assert_eq!(place.listing(), ["o.png", "p.png"]);
}

#[test]
fn view_does_not_replace_its_sources() {
    let place = Place::new();
    common::picture(30, 20).save(place.path("p.png")).unwrap();
    let input = path(fixture("segmenter_mask.ts17b"));
    let run = place.ailurus(["view", &input, "p.png", "p.png", "--layer", "2"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

/// The library as the example uses it, without the programs.
#[test]
fn as_a_library() {
    let place = Place::new();
    let options = ailurus::Options::new(2).keep(0.5).unwrap();
    let input = root().join("fixtures/torchvision_vit.ts17b.onnx");
    let summary = ailurus::rewrite_file(&input, place.path("out.onnx"), &options).unwrap();
    assert!(summary.promise() > 1.0);
    let half = ailurus::Options::new("1/2".parse::<ailurus::Layer>().unwrap());
    assert_eq!(ailurus::rewrite_file(&input, place.path("half.onnx"), &half).unwrap().layer, 2);
    let error = ailurus::rewrite_file(place.path("out.onnx"), place.path("o.onnx"), &options).unwrap_err();
    assert_eq!(error.code(), "AIL0212");
    assert!(error.next().is_some());
    assert_eq!(ailurus::Options::new(2).keep(f64::NAN).unwrap_err().code(), "AIL0706");
}
