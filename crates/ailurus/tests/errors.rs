//! Whatever goes wrong: the right code, the right exit status, and an untouched output path.

mod common;

use std::path::Path;

use ailurus::onnx::{DataType, Dim, GraphEdit, Model, NodeSpec, TensorType};
use common::{Place, assert_refused, fixture};

const MODEL: &str = "segmenter_mask.ts17b";

/// A rewrite that must fail.
struct Case {
    /// What is wrong.
    name: &'static str,
    /// Prepares the folder and gives the arguments; `{}` in them is the output path.
    args: fn(&Place) -> Vec<String>,
    code: &'static str,
    exit: i32,
    /// What the message has to mention.
    says: &'static str,
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

fn args(input: impl AsRef<Path>, more: &str) -> Vec<String> {
    let mut out = vec![text(input), "{}".to_owned()];
    out.extend(more.split_whitespace().map(str::to_owned));
    out
}

fn model() -> Vec<u8> {
    std::fs::read(fixture(MODEL)).unwrap()
}

/// A model without attention.
fn relu() -> Vec<u8> {
    let mut edit = GraphEdit::new(Model::new("g", 8, 17));
    let shape = [1, 3, 32, 32].map(Dim::Value).to_vec();
    let ty = TensorType { dtype: DataType::F32, shape: Some(shape) };
    let x = edit.add_graph_input("x", ty.clone()).unwrap();
    let y = edit.add(NodeSpec::new("Relu", [x]).name("relu").output("y", Some(ty))).unwrap();
    edit.add_graph_output(y).unwrap();
    edit.finish().unwrap().to_bytes().unwrap()
}

const CASES: &[Case] = &[
    Case {
        name: "missing file",
        args: |p| args(p.path("absent.onnx"), "--layer 2"),
        code: "AIL0101",
        exit: 1,
        says: "absent.onnx",
    },
    Case { name: "folder", args: |p| args(p.path("."), "--layer 2"), code: "AIL0101", exit: 1, says: "read" },
    Case {
        name: "not a protobuf",
        args: |p| args(p.write("a.onnx", "<html>404 not found</html>"), "--layer 2"),
        code: "AIL0102",
        exit: 1,
        says: "not an ONNX model",
    },
    Case {
        name: "empty file",
        args: |p| args(p.write("a.onnx", ""), "--layer 2"),
        code: "AIL0102",
        exit: 1,
        says: "not an ONNX model",
    },
    Case {
        name: "truncated in the middle",
        args: |p| args(p.write("a.onnx", &model()[..400_000]), "--layer 2"),
        code: "AIL0103",
        exit: 1,
        says: "cut short",
    },
    Case {
        name: "truncated by one byte",
        args: |p| args(p.write("a.onnx", &model()[..model().len() - 1]), "--layer 2"),
        code: "AIL0103",
        exit: 1,
        says: "cut short",
    },
    Case {
        name: "no transformer",
        args: |p| args(p.write("a.onnx", relu()), "--layer 1"),
        code: "AIL0201",
        exit: 1,
        says: "--layer 1 --report report.onnx` writes a file without weights",
    },
    Case { name: "layer 0", args: |_| args(fixture(MODEL), "--layer 0"), code: "AIL0202", exit: 1, says: "4" },
    Case {
        name: "last layer",
        args: |_| args(fixture(MODEL), "--layer 4"),
        code: "AIL0202",
        exit: 1,
        says: "this model has 4 transformer blocks",
    },
    Case {
        name: "layer far out of range",
        args: |_| args(fixture(MODEL), "--layer 18446744073709551615"),
        code: "AIL0202",
        exit: 1,
        says: "this model has 4 transformer blocks",
    },
    Case {
        name: "rewritten before",
        args: |p| {
            let once = p.path("once.onnx");
            p.rewrite(args(fixture(MODEL), "--layer 2").iter().map(|a| a.replace("{}", &text(&once)))).ok();
            args(once, "--layer 1")
        },
        code: "AIL0212",
        exit: 1,
        says: "original model",
    },
    Case {
        name: "too many tokens",
        args: |_| args(fixture(MODEL), "--layer 2 --tokens 1000000"),
        code: "AIL0305",
        exit: 1,
        says: "1000000",
    },
    Case {
        name: "no window",
        args: |_| args(fixture(MODEL), "--layer 2 --window 0"),
        code: "",
        exit: 2,
        says: "--window",
    },
    Case {
        name: "no neighbours",
        args: |_| args(fixture(MODEL), "--layer 2 --neighbors 0"),
        code: "",
        exit: 2,
        says: "--neighbors",
    },
    Case {
        name: "more than all weight",
        args: |_| args(fixture(MODEL), "--layer 2 --spatial-mix 1.5"),
        code: "",
        exit: 2,
        says: "--spatial-mix",
    },
    Case {
        name: "share of all blocks",
        args: |_| args(fixture(MODEL), "--layer 100%"),
        code: "",
        exit: 2,
        says: "between 0 and 1",
    },
    Case {
        name: "unknown module",
        args: |_| args(fixture(MODEL), "--layer block.1"),
        code: "AIL0202",
        exit: 1,
        says: "did you mean `blocks.1`",
    },
    Case {
        name: "module of several blocks",
        args: |_| args(fixture(MODEL), "--layer blocks"),
        code: "AIL0202",
        exit: 1,
        says: "several blocks: 1, 2, 3, 4",
    },
    Case {
        name: "edited plan",
        args: |p| {
            let plan = p.ailurus(["plan", &text(fixture(MODEL)), "--layer", "2"]).ok();
            let edited = plan.stdout.replacen("\"prefix\": 1", "\"prefix\": 0", 1);
            assert_ne!(edited, plan.stdout);
            args(fixture(MODEL), &format!("--plan {}", text(p.write("plan.json", edited))))
        },
        code: "AIL0402",
        exit: 1,
        says: "plan.json`: the plan is not usable: its `tokens.prefix` is 0, where the analysis of this model gives 1",
    },
    Case {
        name: "report cannot be run",
        args: |p| {
            p.ailurus(["inspect", &text(fixture(MODEL)), "--report", "report.onnx"]).ok();
            args(p.path("report.onnx"), "--layer 2 --runtime tract --check")
        },
        code: "AIL0707",
        exit: 1,
        says: "carries no weights",
    },
    Case {
        name: "plan of another model",
        args: |p| {
            let plan = p.ailurus(["plan", &text(fixture("torchvision_vit.ts17b")), "--layer", "2"]);
            let plan = p.write("plan.json", plan.ok().stdout);
            args(fixture(MODEL), &format!("--plan {}", text(plan)))
        },
        code: "AIL0401",
        exit: 1,
        says: "plan.json`: the plan names the value",
    },
    Case {
        name: "no plan at all",
        args: |p| args(fixture(MODEL), &format!("--plan {}", text(p.write("plan.json", "{}")))),
        code: "AIL0702",
        exit: 1,
        says: "plan.json",
    },
    Case {
        name: "missing plan",
        args: |p| args(fixture(MODEL), &format!("--plan {}", text(p.path("absent.json")))),
        code: "AIL0702",
        exit: 1,
        says: "ailurus plan MODEL",
    },
    Case {
        name: "missing picture",
        args: |p| args(fixture(MODEL), &format!("--layer 2 --runtime tract --check={}", text(p.path("absent.png")))),
        code: "AIL0703",
        exit: 1,
        says: "absent.png",
    },
    Case {
        name: "no picture",
        args: |p| {
            let picture = p.write("a.png", "no picture");
            args(fixture(MODEL), &format!("--layer 2 --runtime tract --check={}", text(picture)))
        },
        code: "AIL0703",
        exit: 1,
        says: "PNG or JPEG",
    },
    Case {
        name: "verification failed",
        args: |_| args(fixture(MODEL), "--layer 1 --keep 0.1 --runtime tract --check --tolerance 1e-9"),
        code: "AIL0701",
        exit: 3,
        says: "differs",
    },
    Case {
        name: "share too large",
        args: |_| args(fixture(MODEL), "--layer 2 --keep 1.5"),
        code: "",
        exit: 2,
        says: "at most 1",
    },
    Case {
        name: "share of nothing",
        args: |_| args(fixture(MODEL), "--layer 2 --keep 0"),
        code: "",
        exit: 2,
        says: "above 0",
    },
    Case {
        name: "no tokens",
        args: |_| args(fixture(MODEL), "--layer 2 --tokens 0"),
        code: "",
        exit: 2,
        says: "tokens",
    },
    Case { name: "no layer", args: |_| args(fixture(MODEL), ""), code: "", exit: 2, says: "--layer" },
    Case {
        name: "share and tokens",
        args: |_| args(fixture(MODEL), "--layer 2 --keep 0.5 --tokens 9"),
        code: "",
        exit: 2,
        says: "cannot be used with",
    },
    Case {
        name: "runtime without check",
        args: |_| args(fixture(MODEL), "--layer 2 --runtime tract"),
        code: "",
        exit: 2,
        says: "--check",
    },
    Case {
        name: "flags of another version",
        args: |_| args(fixture(MODEL), "--layer 2 --method expedit"),
        code: "",
        exit: 2,
        says: "--method",
    },
];

#[test]
fn the_output_is_untouched() {
    for case in CASES {
        for existing in [None, Some("what was here before")] {
            let place = Place::new();
            let output = place.path("out.onnx");
            let list: Vec<String> = (case.args)(&place).iter().map(|a| a.replace("{}", &text(&output))).collect();
            if let Some(content) = existing {
                std::fs::write(&output, content).unwrap();
            }
            let before = place.listing();
            let run = place.rewrite(&list);
            assert_refused(case.name, &run, case.code, case.exit, case.says);
            assert_eq!(place.listing(), before, "{}: files in the folder", case.name);
            assert_eq!(std::fs::read_to_string(&output).ok().as_deref(), existing, "{}", case.name);
        }
    }
}

#[test]
fn output_equals_input() {
    let place = Place::new();
    let input = place.write("m.onnx", model());
    std::fs::create_dir(place.path("sub")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&input, place.path("link.onnx")).unwrap();
    let before = place.listing();
    for output in ["m.onnx", "./m.onnx", "sub/../m.onnx", "link.onnx"] {
        if cfg!(not(unix)) && output == "link.onnx" {
            continue;
        }
        let run = place.rewrite(["m.onnx", output, "--layer", "2"]);
        assert_refused(output, &run, "AIL0116", 1, "`--force` lets the output replace the model");
        let dry = place.rewrite(["m.onnx", output, "--layer", "2", "--dry-run"]);
        assert_refused(output, &dry, "AIL0116", 1, "choose another output");
        assert_eq!(std::fs::read(&input).unwrap(), model(), "{output}");
        assert_eq!(place.listing(), before, "{output}");
    }
    place.rewrite(["m.onnx", "m.onnx", "--layer", "2", "--force"]).ok();
    assert!(Model::load(&input).unwrap().header.metadata.contains_key("ailurus.plan"));
    assert_eq!(place.listing(), before);
}

#[test]
fn places_that_cannot_be_written() {
    let place = Place::new();
    let input = text(fixture(MODEL));
    place.write("file", "x");
    std::fs::create_dir(place.path("folder.onnx")).unwrap();
    let before = place.listing();
    let mut outputs = vec!["absent/out.onnx", "file/out.onnx", "folder.onnx"];
    if cfg!(target_os = "linux") {
        // Closed to everybody, also to root, whom permissions do not stop; and a full disk.
        outputs.extend(["/proc/out.onnx", "/dev/full"]);
    }
    for output in outputs {
        for dry in [&[][..], &["--dry-run"]] {
            if output == "/proc/out.onnx" && !dry.is_empty() {
                continue; // shows only when it is tried
            }
            let run = place.rewrite([&[input.as_str(), output, "--layer", "2"], dry].concat());
            assert_refused(output, &run, "AIL0115", 1, "nothing was changed at the destination");
            assert_eq!(place.listing(), before, "{output}");
        }
    }
}

/// Where several files are read, the message says which one is meant.
#[test]
fn files_are_named() {
    let place = Place::new();
    let good = text(fixture(MODEL));
    place.write("short.onnx", &model()[..400_000]);
    for args in [["verify", "short.onnx", &good], ["verify", &good, "short.onnx"]] {
        assert_refused("verify", &place.ailurus(args), "AIL0103", 1, "`short.onnx`: broken ONNX data");
    }
    std::fs::create_dir(place.path("sub")).unwrap();
    place.write("library.so", "no library");
    let mut command = place.command(env!("CARGO_BIN_EXE_ailurus"));
    command.args(["verify", &good, &good, "--runtime", "ort"]).env("ORT_DYLIB_PATH", place.path("library.so"));
    let run = place.run(&mut command);
    assert_refused("runtime", &run, "AIL0502", 1, "library.so");
    assert!(run.stderr.contains("dlopen failed: "), "{}", run.stderr);
}

/// What the tolerance says fits the outcome.
#[test]
fn tolerances() {
    let place = Place::new();
    let model = text(fixture(MODEL));
    place.rewrite([&model, "o.onnx", "--layer", "2", "--keep", "0.2"]).ok();
    let run = place.ailurus(["verify", &model, "o.onnx", "--runtime", "tract", "--tolerance", "1e-9"]);
    assert!(run.stdout.contains("not within the tolerance: a relative L2 of 1e-9"), "{}", run.stdout);
    let run = place.ailurus(["verify", &model, "o.onnx", "--runtime", "tract", "--tolerance", "1e9"]).ok();
    assert!(run.stdout.contains("  within the tolerance"), "{}", run.stdout);
}

/// A limit on file sizes fails writes in the middle of a file, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn full_disk() {
    for existing in [None, Some("what was here before")] {
        let place = Place::new();
        let output = place.path("out.onnx");
        if let Some(content) = existing {
            std::fs::write(&output, content).unwrap();
        }
        let before = place.listing();
        let mut shell = place.command("sh");
        shell
            .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ailurus-rewrite")])
            .arg(fixture(MODEL))
            .args([text(&output).as_str(), "--layer", "2"]);
        let run = place.run(&mut shell);
        assert_refused("full disk", &run, "AIL0115", 1, "nothing was changed at the destination");
        assert_eq!(place.listing(), before);
        assert_eq!(std::fs::read_to_string(&output).ok().as_deref(), existing);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_standard_output() {
    let place = Place::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = place.command(env!("CARGO_BIN_EXE_ailurus"));
    let run = place.run(command.arg("explain").stdout(full));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("standard output"), "{}", run.stderr);
}

#[test]
fn other_commands() {
    let place = Place::new();
    let model = text(fixture(MODEL));
    let cases: &[(&[&str], &str, i32, &str)] = &[
        (&["inspect", "absent.onnx"], "AIL0101", 1, "absent.onnx"),
        (&["inspect", &model, "--layer", "9"], "AIL0202", 1, "4 transformer blocks"),
        (&["inspect", &model, "--keep", "0.5"], "", 2, "--layer"),
        (&["plan", &model, "--layer", "9"], "AIL0202", 1, "4 transformer blocks"),
        (&["plan", &model], "", 2, "--layer"),
        (&["view", &model, "absent.png", "o.jpg", "--layer", "2"], "", 2, "o.jpg` must end in .png"),
        (&["inspect", &model, "--layer", "nothing"], "AIL0202", 1, "choose --layer between 1 and 3"),
        (&["inspect", "absent.onnx", "--report", "r.onnx"], "AIL0101", 1, "absent.onnx"),
        (&["inspect", &model, "--report", "absent/r.onnx"], "AIL0115", 1, "absent/r.onnx"),
        (&["view", &model, "absent.png", "o.png", "--layer", "2"], "AIL0703", 1, "absent.png"),
        (&["verify", &model, "absent.onnx"], "AIL0101", 1, "absent.onnx"),
        (&["explain", "AIL9999"], "", 2, "AIL9999"),
        (&["frobnicate"], "", 2, "frobnicate"),
        (&[], "", 2, "Usage"),
    ];
    for (args, code, exit, says) in cases {
        let run = place.ailurus(*args);
        assert_refused(&args.join(" "), &run, code, *exit, says);
        assert_eq!(place.listing(), Vec::<String>::new());
    }
}
