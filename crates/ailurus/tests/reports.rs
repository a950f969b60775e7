//! `ailurus inspect --report`: files for issues.

mod common;

use ailurus::onnx::{DataType, Dim, GraphEdit, Model, NodeSpec, Tensor, TensorType};
use common::{Place, fixture};

fn path(p: impl AsRef<std::path::Path>) -> String {
    p.as_ref().to_str().unwrap().to_owned()
}

/// A network without attention, with weights.
fn convolution() -> Vec<u8> {
    let mut edit = GraphEdit::new(Model::new("secret", 8, 17));
    let shape = [1, 3, 32, 32].map(Dim::Value).to_vec();
    let ty = TensorType { dtype: DataType::F32, shape: Some(shape) };
    let x = edit.add_graph_input("x", ty).unwrap();
    let w = edit.add_initializer(Tensor::from_f32("w", &[8, 3, 3, 3], &[0.123; 216])).unwrap();
    let y = edit.add(NodeSpec::new("Conv", [x, w]).name("conv").output("y", None)).unwrap();
    edit.add_graph_output(y).unwrap();
    edit.set_metadata("author", "somebody");
    edit.finish().unwrap().to_bytes().unwrap()
}

#[test]
fn a_model_that_is_refused() {
    let place = Place::new();
    place.write("m.onnx", convolution());
    let refused = place.ailurus(["inspect", "m.onnx"]);
    assert_eq!(refused.code, 1);
    let squeezed = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let line =
        "`ailurus inspect m.onnx --report report.onnx` writes a file without weights that can be attached to an issue";
    assert!(squeezed.ends_with(line), "{}", refused.stderr);
    let run = place.ailurus(["inspect", "m.onnx", "--report", "report.onnx"]).ok();
    for part in ["m.onnx -> report.onnx", "1 kB", "refused, AIL0201", "stack traces"] {
        assert!(run.stdout.contains(part), "no {part} in:\n{}", run.stdout);
    }
    assert_eq!(place.listing(), ["m.onnx", "report.onnx"]);
    let bytes = std::fs::read(place.path("report.onnx")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("secret") && !text.contains("somebody"));
    assert!(!bytes.windows(4).any(|w| w == 0.123f32.to_le_bytes()));
    let report = Model::from_bytes(bytes).unwrap();
    let said: serde_json::Value = serde_json::from_str(&report.header.metadata["ailurus.report"]).unwrap();
    assert_eq!(said["analysis"]["refused"]["code"], "AIL0201");
    assert!(said["analysis"]["refused"]["next"].as_str().unwrap().contains("Vision Transformer"));
    // The report is refused as the model is.
    assert_eq!(place.ailurus(["inspect", "report.onnx"]).code, 1);
}

#[test]
fn json() {
    let place = Place::new();
    let input = path(fixture("segmenter_mask.ts17b"));
    let args = ["inspect", &input, "--layer", "blocks.3", "--report", "r.onnx", "--json"];
    let json = place.ailurus(args).ok().json();
    assert_eq!(json["bytes"], std::fs::metadata(place.path("r.onnx")).unwrap().len());
    assert_eq!(json["report"]["layer"], "blocks.3");
    assert_eq!(json["report"]["plan"]["refused"]["code"], "AIL0202");
    assert_eq!(json["report"]["analysis"]["found"]["blocks"].as_array().unwrap().len(), 4);
    let run = place.ailurus(["inspect", &input, "--layer", "1/2", "--report", "r.onnx"]).ok();
    assert!(run.stdout.contains("1/2: cut behind block 2 at `/blocks/blocks.1/Add_1_output_0`"), "{}", run.stdout);
}

#[test]
fn nothing_the_model_is_read_from_is_replaced() {
    let place = Place::new();
    let model = Model::from_bytes(convolution()).unwrap();
    let mut edit = GraphEdit::new(model);
    let storage = ailurus::onnx::Storage::External { location: "w.bin".into(), offset: 0, length: 400 };
    let tensor = Tensor { name: "outside".into(), dtype: DataType::F32, dims: vec![100], storage };
    edit.add_initializer(tensor).unwrap();
    let bytes = edit.finish().unwrap().to_bytes().unwrap();
    place.write("m.onnx", &bytes);
    place.write("w.bin", [7; 400]);
    for output in ["m.onnx", "./m.onnx", "w.bin"] {
        let run = place.ailurus(["inspect", "m.onnx", "--report", output]);
        assert_eq!(run.code, 1, "{output}");
        assert!(run.stderr.contains("AIL0116") && !run.stderr.contains("--force"), "{}", run.stderr);
    }
    assert!(std::fs::read(place.path("m.onnx")).unwrap() == bytes);
    assert!(std::fs::read(place.path("w.bin")).unwrap() == [7; 400]);
    place.ailurus(["inspect", "m.onnx", "--report", "r.onnx"]).ok();
    assert_eq!(place.listing(), ["m.onnx", "r.onnx", "w.bin"]);
}

/// A report does all that needs no weights, and says why it does not do the rest.
#[test]
fn work_on_a_report() {
    let place = Place::new();
    common::picture(30, 20).save(place.path("p.png")).unwrap();
    let input = path(fixture("timm_dinov2_reg4.ts17b-f0"));
    place.ailurus(["inspect", &input, "--report", "r.onnx"]).ok();
    let plan = |model: &str| place.ailurus(["plan", model, "--layer", "2"]).ok().stdout;
    assert_eq!(plan(&input), plan("r.onnx"));
    let run = place.ailurus(["inspect", "r.onnx", "--layer", "2"]).ok();
    assert!(run.stdout.contains("cut behind block 2"), "{}", run.stdout);
    for emit in ["function", "inline", "custom"] {
        let run = place.rewrite(["r.onnx", "o.onnx", "--layer", "2", "--emit", emit]).ok();
        assert!(run.stdout.contains("carries no weights"), "{}", run.stdout);
    }
    let cases: [&[&str]; 4] = [
        &["rewrite", "r.onnx", "x.onnx", "--layer", "2", "--check", "--runtime", "tract"],
        &["verify", &input, "r.onnx", "--runtime", "tract"],
        &["verify", &input, "o.onnx", "--runtime", "tract"],
        &["view", "r.onnx", "p.png", "o.png", "--layer", "2", "--runtime", "tract"],
    ];
    let before = place.listing();
    for args in cases {
        let run = place.ailurus(args);
        assert_eq!(run.code, 1, "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("AIL0707") && run.stderr.contains("no weights"), "{args:?}: {}", run.stderr);
    }
    assert_eq!(place.listing(), before);
}

/// The library's way, also without runtimes.
#[test]
fn as_a_library() {
    let place = Place::new();
    let options = ailurus::Options::new(2);
    let input = fixture("torchvision_vit.ts17b");
    let written = ailurus::report_file(&input, place.path("r.onnx"), None, Some(&options.rewrite)).unwrap();
    assert!(written.bytes < 200_000 && written.bytes > 1000);
    let error = ailurus::report_file(&input, &input, None, None).unwrap_err();
    assert_eq!(error.code(), "AIL0116");
    assert_eq!(ailurus::report_file(place.path("absent"), place.path("x"), None, None).unwrap_err().code(), "AIL0101");
}
