//! `--method windows` and `--method pool` through the programs.

mod common;

use common::{Place, fixture};

const MODEL: &str = "segmenter_mask.ts17b";

fn path(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

#[test]
fn rewritten_replayed_and_shown() {
    let place = Place::new();
    common::picture(300, 200).save(place.path("p.png")).unwrap();
    let input = path(MODEL);
    // 144 patches, of which 72 are asked for: 24 windows make it so.
    for (method, flags, tokens) in [("windows", ["--keep", "0.5"], 72), ("pool", ["--grid", "6x7"], 42)] {
        let base = [&["--layer", "2", "--method", method][..], &flags].concat();
        let run = place.rewrite([&[&input, "out.onnx"][..], &base].concat()).ok();
        assert!(run.stdout.contains(&format!("1 + {tokens}")), "{}", run.stdout);
        let json = place.ailurus([&["rewrite", &input, "o.onnx", "--json"][..], &base].concat()).ok().json();
        assert_eq!((&json["method"], &json["tokens"]["clusters"]), (&method.into(), &tokens.into()));

        let plan = place.ailurus([&["plan", &input][..], &base].concat()).ok().stdout;
        place.write("plan.json", &plan);
        place.rewrite([&input, "replayed.onnx", "--plan", "plan.json"]).ok();
        let read = |name: &str| std::fs::read(place.path(name)).unwrap();
        assert!(read("out.onnx") == read("replayed.onnx"));
        place.ailurus([&["inspect", &input][..], &base].concat()).ok();

        let view = ["view", &input, "p.png", "o.png", "--runtime", "tract"];
        let run = place.ailurus([&view[..], &base].concat()).ok();
        assert!(run.stdout.contains("144 patches (12 x 12)"), "{}", run.stdout);
    }
}

#[test]
fn keeping_everything_is_the_original() {
    let place = Place::new();
    let input = path(MODEL);
    for flags in [["--method", "windows", "--keep", "1"], ["--method", "pool", "--grid", "12x12"]] {
        for emit in ["custom", "inline"] {
            let base = ["--layer", "2", "--runtime", "tract", "--check", "--force", "--emit", emit];
            place.rewrite([&[&input, "out.onnx"][..], &base, &flags].concat()).ok();
        }
    }
}

#[test]
fn what_cannot_be_done_is_refused() {
    let place = Place::new();
    let input = path(MODEL);
    for flags in [
        &["--method", "pool"][..],
        &["--method", "pool", "--grid", "6x6", "--keep", "0.5"],
        &["--method", "pool", "--grid", "6x6", "--metric", "stream"],
        &["--method", "pool", "--grid", "6x6", "--proportional-attention"],
        &["--method", "pool", "--grid", "6x6", "--neighbors", "2"],
        &["--method", "pool", "--grid", "6x6", "--iterations", "2"],
        &["--method", "windows", "--grid", "6x6"],
        &["--method", "windows", "--window", "9"],
        &["--method", "windows", "--tables", "gather"],
    ] {
        let run = place.ailurus([&["plan", &input, "--layer", "2"], flags].concat());
        assert_eq!(run.code, 2, "{flags:?}: {}", run.stderr);
    }
    let refused = |model: &str, flags: &[&str], code: &str| {
        let run = place.ailurus([&["plan", &path(model), "--layer", "2"], flags].concat());
        assert!(run.code == 1 && run.stderr.contains(code), "{}", run.stderr);
    };
    refused(MODEL, &["--method", "windows", "--tokens", "35"], "AIL0404");
    refused(MODEL, &["--method", "pool", "--grid", "13x2"], "AIL0305");
    for flags in [&["--method", "windows"][..], &["--method", "pool", "--grid", "2x2"]] {
        refused("timm_vit_dynseg.dy18bhw", flags, "AIL0206");
    }
}
