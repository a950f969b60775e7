//! `ailurus verify`: interfaces, pictures, arrays, and everything that can be wrong with them.

mod common;

use ailurus::onnx::{Dim, ExternalData, GraphEdit, Model, WriteOptions};
use ailurus::runtime::{DataType, Tensor, npz, testing};
use common::{Place, assert_refused, fixture};
use serde_json::Value;

const MODEL: &str = "segmenter_mask.ts17b";

fn path(p: impl AsRef<std::path::Path>) -> String {
    p.as_ref().to_str().unwrap().to_owned()
}

fn arrays(name: &str) -> String {
    path(fixture(name).with_extension("npz"))
}

/// A folder with a rewritten model, pictures and files of arrays.
fn place() -> (Place, String) {
    let place = Place::new();
    let model = path(fixture(MODEL));
    place.rewrite([&model, "out.onnx", "--layer", "1", "--keep", "0.2"]).ok();
    (place, model)
}

fn pictures(place: &Place) {
    std::fs::create_dir(place.path("photos")).unwrap();
    for (name, width, height) in [("a.png", 120, 90), ("b.jpg", 60, 200), ("c.JPEG", 333, 333)] {
        let picture = common::picture(width, height);
        let file = place.path("photos").join(name);
        let format = if name.ends_with("png") { image::ImageFormat::Png } else { image::ImageFormat::Jpeg };
        picture.save_with_format(file, format).unwrap();
    }
    std::fs::write(place.path("photos").join("notes.txt"), "no picture").unwrap();
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What a folder gives is the mean and the worst of what its pictures give one by one.
fn folder(runtime: &str) {
    let (place, model) = place();
    pictures(&place);
    let verify = |more: &[&str]| {
        let args = [&["verify", &model, "out.onnx", "--runtime", runtime, "--json"][..], more].concat();
        place.ailurus(args).ok().json()
    };
    let json = verify(&["--images", "photos"]);
    let names = ["a.png", "b.jpg", "c.JPEG"].map(|name| format!("photos/{name}"));
    let single: Vec<Value> = names.iter().map(|name| verify(&["--image", name])["outputs"][0].clone()).collect();
    let all = &json["pictures"][0];
    assert_eq!((all["name"].as_str(), all["count"].as_u64()), (Some("out"), Some(3)));
    for field in ["max_abs", "relative_l2", "cosine", "label_agreement", "psnr_db"] {
        let mean = single.iter().map(|d| number(&d[field])).sum::<f64>() / 3.0;
        assert!((number(&all["mean"][field]) - mean).abs() < 1e-4 * mean.abs(), "{field}: {all} {mean}");
    }
    let worst = (0..3).max_by(|a, b| number(&single[*a]["relative_l2"]).total_cmp(&number(&single[*b]["relative_l2"])));
    assert_eq!(all["worst"], names[worst.unwrap()].as_str());
    let largest = number(&json["outputs"][0]["relative_l2"]);
    assert!((largest - number(&single[worst.unwrap()]["relative_l2"])).abs() < 1e-4 * largest);
    assert!(verify(&["--image", "photos/a.png"])["pictures"].as_array().unwrap().is_empty());

    let args = ["verify", &model, "out.onnx", "--runtime", runtime, "--images", "photos"];
    let run = place.ailurus(args).ok();
    for part in ["on photos, 3 pictures", "`out` mean: max abs", "worst, photos/", "PSNR", "dB", "labels equal"] {
        assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
    }
    let run = place.ailurus([&args[..], &["--tolerance", "1e-9"]].concat());
    assert_refused("tolerance", &run, "AIL0701", 3, &format!("on {}", all["worst"].as_str().unwrap()));
    assert!(run.stdout.contains("not within the tolerance"), "{}", run.stdout);
}

#[test]
fn folders_in_tract() {
    folder("tract");
}

#[test]
fn folders_in_onnx_runtime() {
    if testing::onnx_runtime().is_some() {
        folder("ort");
    }
}

/// The arrays of a file are what goes in: a model agrees with itself on them, and what comes out of the original is what the
/// file says.
#[test]
fn arrays_by_name() {
    for name in [MODEL, "mask_maskfill.ts17b"] {
        let place = Place::new();
        let (model, file) = (path(fixture(name)), arrays(name));
        let args = ["verify", &model, &model, "--runtime", "tract", "--inputs", &file, "--tolerance", "0", "--json"];
        let json = place.ailurus(args).ok().json();
        assert_eq!(json["outputs"][0]["max_abs"], 0.0, "{name}");
        assert_eq!(json["notes"][0], "not used from the file: `out_out`", "{name}");
        assert_eq!(json["source"], file.as_str());
    }
    let (place, model) = place();
    let bare: Vec<_> = npz::read(arrays(MODEL)).unwrap();
    let image = &bare.iter().find(|(n, _)| n == "in_pixel_values").unwrap().1;
    npz::write(place.path("bare.npz"), [("pixel_values", image)]).unwrap();
    let outputs = |file: &str| {
        let args = ["verify", &model, "out.onnx", "--runtime", "tract", "--inputs", file, "--json"];
        let json = place.ailurus(args).ok().json();
        (json["outputs"].clone(), json["notes"].as_array().unwrap().len())
    };
    let (with, without) = (outputs(&arrays(MODEL)), outputs("bare.npz"));
    assert_eq!(with.0, without.0);
    assert_eq!((with.1, without.1), (1, 0));
    let noise = place.ailurus(["verify", &model, "out.onnx", "--runtime", "tract", "--json"]).ok().json();
    assert_ne!(noise["outputs"], with.0, "the arrays make a difference");
}

/// Two models of different interfaces are not run; what differs is said, also as JSON.
#[test]
fn interfaces() {
    let (place, model) = place();
    let other = path(fixture("hf_dinov2_bb.dy18b-sdpa"));
    let run = place.ailurus(["verify", &model, &other]);
    assert_refused("unrelated", &run, "AIL0708", 3, "`out` (float32 [batch, Resizeout_dim_1, ");
    assert!(run.stdout.contains("the interfaces differ; nothing was run"), "{}", run.stdout);
    let run = place.ailurus(["verify", &model, &other, "--json"]);
    assert_eq!(run.code, 3);
    let json = run.json();
    let names = |side: &str| -> Vec<&str> {
        let all = json["interface"].as_array().unwrap().iter();
        all.filter(|m| m["side"] == side).map(|m| m["name"].as_str().unwrap()).collect()
    };
    assert_eq!((names("input"), names("output")), (vec!["pixel_values"], vec!["out", "f0", "f1"]));
    assert_eq!(json["interface"][0]["original"], "float32 [batch, 3, 96, 96]");
    assert_eq!(json["outputs"].as_array().unwrap().len(), 0);

    // The symbol of a free dimension is a part of the interface.
    let mut edit = GraphEdit::new(Model::load(&model).unwrap());
    let input = edit.graph().inputs().next().unwrap();
    let mut ty = edit.graph().value(input).ty.clone().unwrap();
    ty.shape.as_mut().unwrap()[0] = Dim::Param("n".into());
    edit.set_type(input, ty).unwrap();
    place.write("symbol.onnx", edit.finish().unwrap().to_bytes().unwrap());
    let run = place.ailurus(["verify", &model, "symbol.onnx"]);
    let says = "the input `pixel_values` is float32 [batch, 3, 96, 96] in the first model and float32 [n, 3, 96, 96]";
    assert_refused("symbol", &run, "AIL0708", 3, says);

    // What ailurus writes has the interface of its original.
    let json = place.ailurus(["verify", &model, "out.onnx", "--runtime", "tract", "--json"]).ok().json();
    assert_eq!(json["interface"].as_array().unwrap().len(), 0);
    let json = place.ailurus(["verify", "out.onnx", &model, "--runtime", "tract", "--json"]).ok().json();
    assert!(json["notes"][0].as_str().unwrap().contains("the original goes first"), "{}", json["notes"]);
}

/// What is wrong, and what is said about it.
struct Case {
    name: &'static str,
    /// Prepares the folder and gives what follows `A B`.
    more: fn(&Place) -> String,
    code: &'static str,
    exit: i32,
    says: &'static str,
}

/// An npz file with this array.
fn saved(place: &Place, name: &str, tensor: &Tensor) -> String {
    npz::write(place.path("a.npz"), [(name, tensor)]).unwrap();
    "--inputs a.npz".into()
}

fn zeros(dims: [usize; 4]) -> Tensor {
    Tensor::new(dims, vec![0f32; dims.iter().product()]).unwrap()
}

const CASES: &[Case] = &[
    Case { name: "no file", more: |_| "--inputs absent.npz".into(), code: "AIL0511", exit: 1, says: "absent.npz" },
    Case {
        name: "no archive",
        more: |p| {
            p.write("a.npz", "PK no archive");
            "--inputs a.npz".into()
        },
        code: "AIL0512",
        exit: 1,
        says: "give an archive made by `numpy.savez`",
    },
    Case {
        name: "half an archive",
        more: |p| {
            let whole = std::fs::read(arrays(MODEL)).unwrap();
            p.write("a.npz", &whole[..whole.len() / 2]);
            "--inputs a.npz".into()
        },
        code: "AIL0512",
        exit: 1,
        says: "a.npz",
    },
    Case {
        name: "another input",
        more: |p| saved(p, "image", &zeros([1, 3, 96, 96])),
        code: "AIL0709",
        exit: 1,
        says: "no array for the input `pixel_values`; it holds `image`",
    },
    Case {
        name: "nothing in it",
        more: |p| {
            npz::write(p.path("a.npz"), []).unwrap();
            "--inputs a.npz".into()
        },
        code: "AIL0709",
        exit: 1,
        says: "it is empty",
    },
    Case {
        name: "another type",
        more: |p| saved(p, "pixel_values", &zeros([1, 3, 96, 96]).cast(DataType::F64)),
        code: "AIL0709",
        exit: 1,
        says: "it is float64, the model takes float32",
    },
    Case {
        name: "another shape",
        more: |p| saved(p, "pixel_values", &zeros([1, 3, 64, 96])),
        code: "AIL0709",
        exit: 1,
        says: "save it as float32 of shape [batch, 3, 96, 96]",
    },
    Case {
        name: "no dimensions",
        more: |p| saved(p, "in_pixel_values", &Tensor::new([], vec![0f32]).unwrap()),
        code: "AIL0709",
        exit: 1,
        says: "its shape is []",
    },
    Case {
        name: "empty folder",
        more: |p| {
            std::fs::create_dir(p.path("photos")).unwrap();
            "--images photos".into()
        },
        code: "AIL0710",
        exit: 1,
        says: "no file in it ends in .png, .jpg or .jpeg",
    },
    Case { name: "no folder", more: |_| "--images absent".into(), code: "AIL0710", exit: 1, says: "absent" },
    Case {
        name: "a file for a folder",
        more: |_| "--images out.onnx".into(),
        code: "AIL0710",
        exit: 1,
        says: "no pictures from `out.onnx`",
    },
    Case {
        name: "a broken picture among others",
        more: |p| {
            pictures(p);
            std::fs::write(p.path("photos").join("broken.png"), "no picture").unwrap();
            "--images photos".into()
        },
        code: "AIL0703",
        exit: 1,
        says: "photos/broken.png",
    },
    Case {
        name: "a picture cut short",
        more: |p| {
            pictures(p);
            let file = p.path("photos").join("a.png");
            let whole = std::fs::read(&file).unwrap();
            std::fs::write(file, &whole[..whole.len() / 2]).unwrap();
            "--images photos".into()
        },
        code: "AIL0703",
        exit: 1,
        says: "photos/a.png",
    },
    Case {
        name: "two sources",
        more: |_| "--images photos --image a.png".into(),
        code: "",
        exit: 2,
        says: "cannot be used with",
    },
    Case {
        name: "two other sources",
        more: |_| "--images photos --inputs a.npz".into(),
        code: "",
        exit: 2,
        says: "cannot be used with",
    },
    Case { name: "colours of noise", more: |_| "--mean 0,0,0".into(), code: "", exit: 2, says: "no picture is given" },
    Case {
        name: "colours of arrays",
        more: |p| saved(p, "pixel_values", &zeros([1, 3, 96, 96])) + " --std 1,1,1",
        code: "",
        exit: 2,
        says: "no picture is given",
    },
    Case {
        name: "plugin of tract",
        more: |_| "--plugin".into(),
        code: "",
        exit: 2,
        says: "--plugin is for ONNX Runtime",
    },
];

#[test]
fn what_is_wrong_is_said() {
    for case in CASES {
        let (place, model) = place();
        let more = (case.more)(&place);
        let args = ["verify", &model, "out.onnx", "--runtime", "tract"].into_iter().chain(more.split_whitespace());
        let run = place.ailurus(args);
        assert_refused(case.name, &run, case.code, case.exit, case.says);
        assert_eq!(run.stdout, "", "{}", case.name);
    }
}

#[test]
fn models_that_cannot_be_run() {
    let (place, model) = place();
    place.ailurus(["inspect", &model, "--report", "report.onnx"]).ok();
    place.write("half.onnx", &std::fs::read(&model).unwrap()[..400_000]);
    // Weights in another file, which is gone, or cut short.
    let outside = |name: &str| {
        let options =
            WriteOptions { external_data: ExternalData::Single, max_inline: 100_000, ..WriteOptions::default() };
        let report = Model::load(&model).unwrap().write(place.path(name), &options).unwrap();
        report.data_files.into_iter().next().unwrap().0
    };
    std::fs::remove_file(outside("gone.onnx")).unwrap();
    std::fs::File::options().write(true).open(outside("short.onnx")).unwrap().set_len(1000).unwrap();
    for command in ["verify", "bench"] {
        for (file, code, says) in [
            ("gone.onnx", "AIL0111", "gone.onnx"),
            ("short.onnx", "AIL0112", "short.onnx"),
            ("report.onnx", "AIL0707", "`report.onnx` carries no weights"),
            ("half.onnx", "AIL0103", "`half.onnx`"),
            ("absent.onnx", "AIL0101", "absent.onnx"),
        ] {
            for models in [[file, &model], [&model, file]] {
                let run = place.ailurus([command, models[0], models[1], "--runtime", "tract"]);
                assert_refused(&format!("{command} {models:?}"), &run, code, 1, says);
            }
        }
    }
}

/// A library that is asked for is found, or what was looked at is said; one that is none is refused by name.
#[test]
fn plugins() {
    let (place, model) = place();
    let rewrite = ["rewrite", &model, "o.onnx", "--layer", "2", "--check"];
    let commands = [&["verify", &model, "out.onnx"][..], &["bench", &model, "out.onnx"], &rewrite];
    for args in commands {
        let run = place.ailurus([args, &["--plugin=absent.so"]].concat());
        assert_refused(args[0], &run, "AIL0711", 1, "looked at: absent.so");
        let mut command = place.command(env!("CARGO_BIN_EXE_ailurus"));
        command.args(args).arg("--plugin").env("AILURUS_ORT_LIBRARY", "missing.so");
        assert_refused(args[0], &place.run(&mut command), "AIL0711", 1, "AILURUS_ORT_LIBRARY=missing.so");
        let run = place.ailurus([args, &["--plugin", "--runtime", "tract"]].concat());
        assert_refused(args[0], &run, "", 2, "tract has the operators built in");
    }
    let run = place.ailurus(["rewrite", &model, "o.onnx", "--layer", "2", "--plugin"]);
    assert_refused("no check", &run, "", 2, "--plugin belongs to --check");
    if testing::onnx_runtime().is_none() {
        return;
    }
    place.write("library.so", "no library");
    for args in commands {
        let run = place.ailurus([args, &["--plugin=library.so"]].concat());
        assert_refused(args[0], &run, "AIL0514", 1, "library.so");
    }
    place.ailurus(["rewrite", &model, "bare.onnx", "--layer", "2", "--emit", "custom"]).ok();
    for command in ["verify", "bench"] {
        let run = place.ailurus([command, &model, "bare.onnx", "--runtime", "ort"]);
        assert_refused(command, &run, "AIL0712", 1, "run it with `--plugin`");
    }
}

/// With the library, bare operators run, and give what their bodies give.
#[test]
fn with_the_library() {
    if testing::onnx_runtime().is_none() {
        return;
    }
    let Ok(library) = ailurus::plugin::find(None) else {
        return testing::skip("operators", "AILURUS_ORT_LIBRARY names no library, and none was built beside the tests");
    };
    let place = Place::new();
    let (model, plugin) = (path(fixture(MODEL)), format!("--plugin={}", path(&library)));
    let rewrite = |emit: &str, more: &[&str]| {
        let args = [&["rewrite", &model, &format!("{emit}.onnx"), "--layer", "2", "--emit", emit, "--json"], more];
        place.ailurus(args.concat()).ok().json()
    };
    rewrite("function", &[]);
    let check = &rewrite("custom", &["--check", &plugin, "--runtime", "ort"])["check"];
    assert!(check["instead"].is_null(), "the bare operators are run: {check}");
    let verify = |file: &str, more: &[&str]| {
        place.ailurus([&["verify", &model, file, "--runtime", "ort", "--json"], more].concat()).ok().json()
    };
    let (kernels, bodies) = (verify("custom.onnx", &[&plugin]), verify("function.onnx", &[]));
    assert_eq!((kernels["plugins"][0].as_str(), bodies["plugins"].as_array().unwrap().len()), (library.to_str(), 0));
    let difference = |json: &Value| number(&json["outputs"][0]["relative_l2"]);
    let (a, b) = (difference(&kernels), difference(&bodies));
    // A near-tie may fall the other way, which moves a patch or two to another cluster.
    assert!((a - b).abs() < 0.05 * b, "{a} {b}");
    let args = ["bench", &model, "custom.onnx", &plugin, "--rounds", "1", "--json"];
    assert_eq!(place.ailurus(args).ok().json()["plugins"][0].as_str(), library.to_str());
}
