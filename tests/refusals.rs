//! What is said of models that cannot be handled: code, place, reason and next step, as text. `fixtures/refused` holds their
//! graphs without weights, as `ailurus inspect --report` writes them.

use ailurus_analyze::{Analysis, Code};
use ailurus_onnx::{GraphEdit, Model, NodeSpec, Use};
use ailurus_rewrite::{Error, Options};
use ailurus_tests::case;
use std::path::{Path, PathBuf};

fn models() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(case::fixtures().join("refused")).expect("fixtures/refused can be read");
    let mut paths: Vec<PathBuf> = folder.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "fixtures/refused holds no model");
    paths
}

/// Code and message of the refusal, at a cut in the middle.
fn refusal(model: &Model, trunk: Option<&str>) -> Option<(Code, String)> {
    let refused = match Analysis::of_trunk(model, trunk) {
        Err(refusal) => refusal,
        Ok(a) => match ailurus_rewrite::plan(&a, &Options::new((a.blocks() / 2).max(1))) {
            Err(Error::Refused(refusal)) => *refusal,
            Err(e) => panic!("{e}"),
            Ok(_) => return None,
        },
    };
    Some((refused.code, refused.to_string()))
}

fn load(path: &Path) -> Model {
    ailurus_rewrite::prepare(Model::load(path).expect("a model")).expect("it can be prepared")
}

#[test]
fn every_refusal_says_what_where_why_and_what_next() {
    let mut text = String::new();
    for path in models() {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let (_, message) = refusal(&load(&path), None).unwrap_or_else(|| panic!("{name} is not refused"));
        assert!(message.contains("next: "), "{name}: {message}");
        text += &format!("{name}\n{message}\n\n");
    }
    insta::assert_snapshot!("refusals", text);
}

/// The windows, or what reduced the keys, are named.
#[test]
fn window_operators_are_named() {
    for (name, operator) in [
        ("hf_sam_vision.ts17b-eager", "(Reshape)"),
        ("hf_vitdet_bb.ts17-eager", "(Reshape)"),
        ("hf_segformer.ts17b-eager", "(Conv)"),
        ("hf_pvt.ts17b-eager", "(Conv)"),
        ("timm_levit.ts17b-f1", "(Slice)"),
    ] {
        let model = load(&case::fixtures().join("refused").join(format!("{name}.onnx")));
        let (code, message) = refusal(&model, None).expect("a refusal");
        assert_eq!(code, Code::AIL0203, "{name}");
        let (reason, _) = message.split_once("node:").expect("a place");
        assert!(reason.contains("made by") && reason.contains(operator), "{name}: {message}");
    }
}

/// Stages of equal length are listed, with their grids, and each can be asked for.
#[test]
fn stages_with_windows_are_listed() {
    let model = load(&case::fixtures().join("refused/timm_swin.ts17b.onnx"));
    let (code, message) = refusal(&model, None).expect("three stages");
    assert_eq!(code, Code::AIL0203);
    assert!(
        message.contains("[28·28] in windows of [7·7]") && message.contains("[14·14] in windows of [7·7]"),
        "{message}"
    );
    for (stage, side) in [("m.layers_0", 28), ("m.layers_1", 14), ("m.layers_2", 7)] {
        let analysis = Analysis::of_trunk(&model, Some(stage)).expect(stage);
        assert_eq!(analysis.grid(), Some((side, side)), "{stage}");
    }
}

/// Several encoders: each can be asked for by what only it depends on, and by nothing else.
#[test]
fn trunks_are_chosen_by_name() {
    let model = load(&case::fixtures().join("refused/two_imgs.ts17b.onnx"));
    let (code, message) = refusal(&model, None).expect("two encoders");
    assert_eq!(code, Code::AIL0204);
    let g = &model.graph;
    let inputs: Vec<String> = g.inputs().map(|v| g.name_of(v).to_owned()).collect();
    assert_eq!(inputs.len(), 2, "an input for each");
    let mut cuts = Vec::new();
    for input in &inputs {
        let a = Analysis::of_trunk(&model, Some(input)).expect("the encoder of this input");
        assert_eq!((a.blocks(), a.asked.as_deref()), (4, Some(input.as_str())));
        let plan = ailurus_rewrite::plan(&a, &Options::new(2)).expect("a plan");
        assert_eq!(plan.trunk.as_deref(), Some(input.as_str()));
        cuts.push(plan.cut.value);
    }
    assert_ne!(cuts[0], cuts[1], "one encoder each");
    // The message offers names that work.
    let offered = message.split('`').nth(1).expect("a name in quotes");
    assert_eq!(
        ailurus_rewrite::plan(&Analysis::of_trunk(&model, Some(offered)).unwrap(), &Options::new(2)).unwrap().cut.value,
        cuts[0]
    );
    // Modules, too.
    assert!(Analysis::of_trunk(&model, Some("b.blocks.2")).is_ok());
    let (code, message) = refusal(&model, Some("nobody")).expect("no such encoder");
    assert!(code == Code::AIL0204 && message.contains("nobody"), "{message}");
}

/// One stage of a hierarchical model can be asked for.
#[test]
fn a_stage_is_a_trunk_when_named() {
    let model = load(&case::fixtures().join("refused/timm_pit.ts17b-f1.onnx"));
    let (code, message) = refusal(&model, None).expect("stages");
    assert_eq!(code, Code::AIL0203);
    let offered = message.split("--trunk `").nth(1).and_then(|t| t.split('`').next()).expect("a stage by name");
    let a = Analysis::of_trunk(&model, Some(offered)).expect("the stage");
    assert!(a.blocks() > 1 && ailurus_rewrite::plan(&a, &Options::new(1)).is_ok());
}

/// An operator nobody knows between two blocks hides those behind it; that is said, not passed over.
#[test]
fn unknown_operators_are_named() {
    let model = Model::load(case::fixtures().join("torchvision_vit.ts17b.onnx")).expect("a model");
    let stream = {
        let a = Analysis::of(&model).expect("a plain model");
        assert!(a.hidden().is_none());
        a.trunk.streams[2]
    };
    let mut edit = GraphEdit::new(model);
    let spec = NodeSpec::new("Mystery", [stream]).domain("com.example").name("riddle").output("riddle", None);
    let changed = edit.add(spec).expect("a node");
    let own = edit.graph().producer(changed).expect("its node").0;
    edit.replace_uses(stream, changed, |u| !matches!(u, Use::Input { node, .. } if node == own)).expect("an edit");
    let model = edit.finish().expect("a model");
    let a = Analysis::of(&model).expect("the blocks in front of it");
    assert_eq!(a.blocks(), 2);
    let said = a.report().not_understood.expect("the operator");
    assert!(said.contains("riddle") && said.contains("com.example"), "{said}");
    let plan = ailurus_rewrite::plan(&a, &Options::new(1)).expect("a plan");
    assert!(plan.notes.iter().any(|note| note.contains("riddle")), "{:?}", plan.notes);
}
