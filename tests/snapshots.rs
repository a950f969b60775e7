//! What the analysis and the planner say about the models of `fixtures/`, and one rewritten graph, as text.

use ailurus_analyze::Analysis;
use ailurus_onnx::{Model, dump};
use ailurus_rewrite::{Emit, Options, Plan};
use ailurus_tests::case;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn models() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(case::fixtures()).expect("fixtures/ can be read");
    let mut paths: Vec<PathBuf> = folder.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    assert!(!paths.is_empty(), "fixtures/ holds no model");
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Operation counts to three digits: they are estimates, and their last digits are nobody's business.
fn rounded(value: impl serde::Serialize) -> Value {
    fn walk(v: &mut Value) {
        match v {
            Value::Number(n) if n.is_f64() => {
                let short = n.as_f64().and_then(|f| format!("{f:.2e}").parse::<f64>().ok());
                *v = short.map_or(Value::Null, Value::from);
            }
            Value::Array(list) => list.iter_mut().for_each(walk),
            Value::Object(map) => map.values_mut().for_each(walk),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(value).expect("plain data");
    walk(&mut value);
    value
}

/// A model as it is analysed.
fn load(path: &Path) -> Model {
    ailurus_rewrite::prepare(Model::load(path).expect("a model")).expect("fixtures can be prepared")
}

/// Half of the tokens after the middle block.
fn plan(analysis: &Analysis) -> Plan {
    ailurus_rewrite::plan(analysis, &Options::new(analysis.blocks() / 2)).expect("fixtures can be planned")
}

#[test]
fn reports() {
    for path in models() {
        let model = load(&path);
        let analysis = Analysis::of(&model).expect("fixtures can be analysed");
        insta::assert_json_snapshot!(format!("report-{}", name(&path)), rounded(analysis.report()));
    }
}

/// Models whose plans are kept whole: one of each kind of change. (The others are checked by running them.)
const PLANS: &[&str] = &[
    "at_causal.ts17b",
    "dpt_shared_norm.dy18b",
    "hf_beit_seg.ts17-eager_t21+qop",
    "hf_dinov2_bb.dy18b-sdpa",
    "hf_vit.ts17b-eager_t21+trfvit+qdyn+ortext",
    "hf_yolos.ts17b-eager",
    "segmenter_mask.ts17b",
    "setr_pup_mha.ts17b",
    "timm_dinov2_reg4.ts17b-f0",
    "timm_vit_dynseg.dy18bhw",
    "timm_vit_seg.ts13-f0",
    "torchvision_vit.ts17b",
    "torchvision_vit.ts17b+qdq+ortext",
];

#[test]
fn plans() {
    for path in models().into_iter().filter(|p| PLANS.contains(&name(p).as_str())) {
        let model = load(&path);
        let analysis = Analysis::of(&model).expect("fixtures can be analysed");
        insta::assert_json_snapshot!(format!("plan-{}", name(&path)), rounded(plan(&analysis)));
    }
}

#[test]
fn rewritten() {
    let path = case::fixtures().join("timm_vit_seg.ts13-f0.onnx");
    let model = load(&path);
    let analysis = Analysis::of(&model).expect("fixtures can be analysed");
    let rewritten =
        ailurus_rewrite::apply(&model, &plan(&analysis), Emit::Function).expect("fixtures can be rewritten");
    let text = dump::text(&rewritten);
    // The version changes with every release and is no change of the graph.
    let text: String = text.lines().filter(|l| !l.starts_with("metadata ailurus.")).map(|l| format!("{l}\n")).collect();
    insta::assert_snapshot!(format!("rewritten-{}", name(&path)), text);
}
