//! What is planned for 8-bit models, and what is refused there: with the node, the reason and the next step.

use ailurus_analyze::{Analysis, Code, Refusal};
use ailurus_onnx::{DataType, GraphEdit, Model, NodeId, TensorType};
use ailurus_rewrite::{Emit, Error, Metric, Options, Plan, UnfoldMode, plan::MetricPlan};
use std::path::Path;

/// Everything in 8 bits: `QLinearMatMul`, `QGemm`, `QLinearSoftmax`, sums by `QLinearAdd`.
const WHOLE: &str = "torchvision_vit.ts17b+qdq+ortext";
/// Products with scales from the data, attention by `QAttention`, sums of floats.
const DYNAMIC: &str = "hf_vit.ts17b-eager_t21+trfvit+qdyn+ortext";
/// Like the first, with a relative position bias and several taps.
const BIASED: &str = "hf_beit_seg.ts17-eager_t21+qop";

fn model(name: &str) -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/{name}.onnx"));
    ailurus_rewrite::prepare(Model::load(path).expect("a fixture")).expect("a sound graph")
}

fn planned(model: &Model, options: &Options) -> Result<Plan, Box<Refusal>> {
    let analysis = Analysis::of(model).expect("a vision transformer");
    ailurus_rewrite::plan(&analysis, options).map_err(|e| match e {
        Error::Refused(r) => r,
        other => panic!("{other}"),
    })
}

/// Makes an input of one node something that only a run can tell.
fn unsettle(model: &Model, node: NodeId, slot: usize) -> Model {
    let mut edit = GraphEdit::new(model.clone());
    let ty = TensorType { dtype: DataType::F32, shape: Some(Vec::new()) };
    let open = edit.add_graph_input("scale_of_the_day", ty).expect("a fresh name");
    edit.set_input(node, slot, Some(open)).expect("a slot");
    edit.finish().expect("a sound graph")
}

fn weight_of(model: &Model, name: &str) -> NodeId {
    let v = model.graph.find(name).expect("weights");
    model.graph.consumers(v)[0]
}

#[test]
fn an_8_bit_stream_is_merged_as_numbers_and_stored_again() {
    let model = model(WHOLE);
    let plan = planned(&model, &Options::new(2)).unwrap();
    let q = plan.cut.quantization.clone().expect("an 8-bit stream");
    assert_eq!((q.stored, plan.cut.dtype), (2, 1));
    assert!(plan.unfolds.iter().all(|u| u.quantization.is_some() && u.mode == UnfoldMode::Residual));

    let made = ailurus_rewrite::apply(&model, &plan, Emit::Function).unwrap();
    let g = &made.graph;
    let merge = g.nodes().find(|(_, n)| n.op_type == "AilurusMerge").expect("a merge").1;
    let reads = g.node(g.producer(merge.input(0).unwrap()).unwrap().0);
    assert_eq!(reads.op_type, "DequantizeLinear");
    assert_eq!(reads.input(0), g.find(&plan.cut.value));
    let writes = g.node(g.consumers(merge.output(0).unwrap())[0]);
    assert_eq!(writes.op_type, "QuantizeLinear");
    let [scale, zero] = [1, 2].map(|i| g.name_of(writes.input(i).unwrap()).to_owned());
    assert_eq!((scale, Some(zero)), (q.scale, q.zero_point));
    assert_eq!(g.value(writes.output(0).unwrap()).ty.as_ref().unwrap().dtype, DataType::U8);

    // What the update of a cluster counts from is what its blocks start with: the rounded mean.
    let unfold = g.nodes().find(|(_, n)| n.op_type == "AilurusUnfoldResidual").expect("an unfold").1;
    let start = g.node(g.producer(unfold.input(1).unwrap()).unwrap().0);
    assert_eq!((start.op_type.as_str(), start.input(0)), ("DequantizeLinear", writes.output(0)));
    let whole = g.node(g.consumers(unfold.output(0).unwrap())[0]);
    assert_eq!(whole.op_type, "QuantizeLinear");
    assert_eq!(whole.input(1).map(|v| g.name_of(v)), plan.unfolds[0].quantization.as_ref().map(|q| q.scale.as_str()));
}

#[test]
fn every_form_of_the_stream_is_unfolded_as_the_stream() {
    let plan = planned(&model(BIASED), &Options::new(1)).unwrap();
    assert!(plan.unfolds.len() > 1, "{:?}", plan.unfolds);
    assert!(
        plan.unfolds.iter().any(|u| u.quantization.is_none()) && plan.unfolds.iter().any(|u| u.quantization.is_some())
    );
    assert!(plan.unfolds.iter().all(|u| u.mode == UnfoldMode::Residual), "{:?}", plan.unfolds);
    assert!(!plan.gathers.is_empty());
}

#[test]
fn keys_come_from_integer_weights() {
    for (name, stored) in [(WHOLE, true), (DYNAMIC, false), (BIASED, false)] {
        let plan = planned(&model(name), &Options::new(1)).unwrap();
        let MetricPlan::Keys(k) = &plan.metric else { panic!("{name}: {:?}", plan.metric) };
        assert!(k.weight_scales.is_some(), "{name}");
        assert_eq!(k.quantization.is_some(), stored, "{name}");
    }
}

#[test]
fn weights_without_constant_scales_are_not_walked_past() {
    let model = model(WHOLE);
    let plan = planned(&model, &Options::new(2)).unwrap();
    let MetricPlan::Keys(k) = plan.metric else { panic!("no keys") };
    let other = unsettle(&model, weight_of(&model, &k.weight), 4);

    let plan = planned(&other, &Options::new(2)).unwrap();
    assert_eq!(plan.metric, MetricPlan::Stream);
    assert!(plan.notes.iter().any(|n| n.contains("not a plain projection")), "{:?}", plan.notes);

    let refusal = planned(&other, &Options { metric: Metric::Keys, ..Options::new(2) }).unwrap_err();
    assert_eq!(refusal.code, Code::AIL0211);
    assert!(refusal.node.is_some());
}

#[test]
fn a_stream_without_a_constant_scale_is_refused() {
    let model = model(WHOLE);
    let plan = planned(&model, &Options::new(2)).unwrap();
    let cut = model.graph.find(&plan.cut.value).unwrap();
    let other = unsettle(&model, model.graph.producer(cut).unwrap().0, 6);

    let refusal = planned(&other, &Options::new(2)).unwrap_err();
    assert_eq!(refusal.code, Code::AIL0208);
    assert!(refusal.node.as_ref().is_some_and(|n| n.contains("QLinearAdd")), "{refusal}");
    assert!(refusal.reason.contains("8 bits") && refusal.next.contains("--layer"), "{refusal}");
    // The streams of other blocks still have theirs.
    assert!(planned(&other, &Options::new(1)).is_ok());
}

#[test]
fn the_end_of_the_encoder_needs_a_constant_scale_too() {
    let model = model(WHOLE);
    let plan = planned(&model, &Options::new(2)).unwrap();
    let end = model.graph.find(&plan.unfolds[0].value).unwrap();
    let other = unsettle(&model, model.graph.producer(end).unwrap().0, 6);
    let refusal = planned(&other, &Options::new(2)).unwrap_err();
    assert_eq!(refusal.code, Code::AIL0209);
    assert!(refusal.reason.contains("without a constant scale"), "{refusal}");
}

#[test]
fn proportional_attention_needs_scores_that_are_numbers() {
    for (name, operator) in [(WHOLE, "QLinearSoftmax"), (DYNAMIC, "QAttention")] {
        let refusal = planned(&model(name), &Options { proportional: true, ..Options::new(1) }).unwrap_err();
        assert_eq!(refusal.code, Code::AIL0208, "{name}");
        assert!(refusal.node.as_ref().is_some_and(|n| n.contains(operator)), "{refusal}");
        assert!(refusal.next.contains("leave out --proportional-attention"), "{refusal}");
    }
}

#[test]
fn operations_are_counted_in_every_spelling() {
    let float = planned(&model("torchvision_vit.ts17b"), &Options::new(2)).unwrap().flops;
    let eight = planned(&model(WHOLE), &Options::new(2)).unwrap().flops;
    assert_eq!(float.before, eight.before);
    assert!((float.after - eight.after).abs() < float.after * 1e-9);
}

#[test]
fn an_edited_plan_does_not_store_streams_in_other_types() {
    let model = model(WHOLE);
    let mut plan = planned(&model, &Options::new(2)).unwrap();
    plan.cut.quantization.as_mut().unwrap().stored = 7;
    let error = ailurus_rewrite::apply(&model, &plan, Emit::Function).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "AIL0402");
}
