//! What ONNX Runtime fuses in a model it fuses in the rewritten one, too.

use ailurus_analyze::Analysis;
use ailurus_onnx::Model;
use ailurus_rewrite::{Emit, Options};
use ailurus_runtime::{OnnxRuntime, Runtime, SessionOptions, testing};
use ailurus_tests::{case, case::Case, run};
use std::collections::BTreeMap;

/// Operators that stand for several others.
const FUSED: [&str; 16] = [
    "Attention",
    "BiasGelu",
    "BiasSoftmax",
    "BiasSplitGelu",
    "DynamicQuantizeMatMul",
    "FastGelu",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "Gelu",
    "LayerNormalization",
    "MatMulIntegerToFloat",
    "MultiHeadAttention",
    "QAttention",
    "QuickGelu",
    "SkipLayerNormalization",
];

/// Nodes that run, by operator, after everything that can be fused has been.
fn executed(runtime: &OnnxRuntime, model: &Model, case: &Case) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let options = SessionOptions {
        threads: Some(1),
        profile: Some(folder.path().join("profile")),
        custom_op_libraries: vec![testing::kernel_library()],
        ..SessionOptions::default()
    };
    let session = runtime.load(model.to_bytes().unwrap().as_slice().into(), &options).unwrap();
    run::run(session.as_ref(), &case.inputs).unwrap();
    // The profile is written when the session ends.
    drop(session);
    let file = std::fs::read_dir(folder.path()).unwrap().next().expect("a profile").unwrap();
    let events: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
    let mut counts = BTreeMap::new();
    for event in events {
        let ran = event["cat"] == "Node" && event["name"].as_str().is_some_and(|name| name.ends_with("_kernel_time"));
        if let (true, Some(op)) = (ran, event["args"]["op_name"].as_str()) {
            *counts.entry(op.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn nothing_is_fused_less_than_before() {
    let Some(runtime) = run::onnx_runtime() else { return };
    let mut faults = Vec::new();
    let mut found = 0;
    for case in Case::all(&case::fixtures()).expect("fixtures/ can be read") {
        let stored = Model::load(&case.path).unwrap();
        let model = ailurus_rewrite::prepare(stored.clone()).unwrap();
        let analysis = Analysis::of(&model).unwrap();
        let plan = ailurus_rewrite::plan(&analysis, &Options::new((analysis.blocks() / 2).max(1))).unwrap();
        let rewritten = ailurus_rewrite::apply(&model, &plan, Emit::Function).unwrap();
        let (before, after) = (executed(&runtime, &stored, &case), executed(&runtime, &rewritten, &case));
        let count = |counts: &BTreeMap<String, usize>, op: &str| counts.get(op).copied().unwrap_or(0);
        // With functions in the file, too, the kernels are what runs.
        for (op, wanted) in [("AilurusDensityPeaks", 1), ("AilurusMerge", 1)] {
            if count(&after, op) != wanted {
                faults.push(format!("{}: {} {op} ran", case.name, count(&after, op)));
            }
        }
        for op in FUSED {
            let (had, has) = (count(&before, op), count(&after, op));
            found += had;
            // Tokens are merged, and the grid is made again, between a sum of the stream and the norm behind it.
            let lost = if op == "SkipLayerNormalization" { plan.unfolds.len() + 1 } else { 0 };
            if has + lost < had {
                faults.push(format!("{}: {has} {op} instead of {had}", case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(found > 100, "the fixtures hold {found} fused operators only");
}
