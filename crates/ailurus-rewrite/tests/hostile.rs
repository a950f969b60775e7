//! Damaged graphs: whatever they say, analysis and planning answer or refuse, and never panic.

use ailurus_analyze::Analysis;
use ailurus_onnx::{Attribute, GraphEdit, Model, NodeId, Storage, Tensor, ValueId};
use ailurus_rewrite::{Emit, Expedit, Layer, Method, Options, report};
use std::path::PathBuf;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

const NUMBERS: &[i64] = &[0, 1, -1, 2, 3, 7, 145, -145, i64::MAX, i64::MIN, i32::MAX as i64, 1 << 40, -(1 << 40)];
const OPERATORS: &[&str] = &[
    "Add",
    "MatMul",
    "Reshape",
    "Transpose",
    "Concat",
    "Slice",
    "Gather",
    "Softmax",
    "Split",
    "Conv",
    "Expand",
    "Tile",
    "Pad",
    "Range",
    "Resize",
    "Einsum",
    "Attention",
    "ReduceMean",
    "Squeeze",
    "Unsqueeze",
    "DepthToSpace",
    "If",
    "Cast",
    "ConstantOfShape",
    "MaxPool",
    "ConvTranspose",
    "GatherND",
    "TopK",
    "Shape",
    "Flatten",
    "Identity",
    "Mod",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QLinearMatMul",
    "QLinearConv",
    "MatMulInteger",
    "Div",
];

fn fixtures() -> Vec<PathBuf> {
    models("../../fixtures")
}

fn models(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("fixtures")
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "onnx"))
        .collect();
    list.sort();
    list
}

/// Changes one thing; edits that the graph refuses are simply not made.
fn damage(edit: &mut GraphEdit, dice: &mut Dice) {
    let nodes: Vec<NodeId> = edit.graph().nodes().map(|(id, _)| id).collect();
    let node = nodes[dice.roll(nodes.len())];
    match dice.roll(5) {
        0 => {
            let ops = OPERATORS[dice.roll(OPERATORS.len())];
            let _ = edit.set_op(node, ops, "");
        }
        1 => {
            let names: Vec<String> = edit.graph().node(node).attributes.keys().cloned().collect();
            let name = names.get(dice.roll(names.len())).cloned().unwrap_or_else(|| "axis".to_owned());
            let value = match edit.graph().node(node).attributes.get(&name) {
                Some(Attribute::Ints(v)) => {
                    let mut v = v.clone();
                    let at = dice.roll(v.len());
                    if let Some(x) = v.get_mut(at) {
                        *x = NUMBERS[dice.roll(NUMBERS.len())];
                    }
                    Attribute::Ints(v)
                }
                Some(Attribute::Str(_)) => Attribute::Str(b"abc,cd->dd".to_vec()),
                _ => Attribute::Int(NUMBERS[dice.roll(NUMBERS.len())]),
            };
            let _ = edit.set_attribute(node, &name, value);
        }
        2 => {
            let values: Vec<ValueId> = edit.graph().value_ids().collect();
            let slot = dice.roll(3);
            let _ = edit.set_input(node, slot, Some(values[dice.roll(values.len())]));
        }
        3 => {
            let ints: Vec<(ValueId, Tensor)> = edit
                .graph()
                .initializers()
                .filter(|(_, t)| !t.dtype.is_float() && t.len() <= 8)
                .map(|(v, t)| (v, t.clone()))
                .collect();
            if let Some((v, t)) = ints.get(dice.roll(ints.len())) {
                let data: Vec<i64> = (0..t.len()).map(|_| NUMBERS[dice.roll(NUMBERS.len())]).collect();
                let _ = edit.set_initializer(*v, Tensor::from_i64("", &t.dims, &data));
            }
        }
        _ => {
            let slot = dice.roll(3);
            let _ = edit.set_input(node, slot, None);
        }
    }
}

/// Damages models in many ways; how many could be planned and how many were refused.
fn attack(paths: Vec<PathBuf>, seeds: u64, options: &Options) -> (usize, usize) {
    let (mut planned, mut refused) = (0, 0);
    for (n, path) in paths.into_iter().enumerate() {
        let whole = Model::load(&path).expect("a sound fixture");
        for seed in 0..seeds {
            let mut dice = Dice(seed * 1000 + n as u64);
            let mut edit = GraphEdit::new(whole.clone());
            for _ in 0..1 + dice.roll(6) {
                damage(&mut edit, &mut dice);
            }
            let Ok(model) = edit.finish() else { continue };
            let plan = Analysis::of(&model)
                .map_err(|r| r.to_string())
                .and_then(|a| ailurus_rewrite::plan(&a, options).map_err(|e| e.to_string()));
            match plan {
                Ok(plan) => {
                    planned += 1;
                    // The plan must fit the model it was made for, whatever became of it.
                    let _ = ailurus_rewrite::apply(&model, &plan, Emit::Function);
                }
                Err(text) => {
                    refused += 1;
                    let told = text.starts_with("AIL") && text.contains("next:");
                    // Operators name themselves and not a step.
                    assert!(told || text.starts_with("AilurusGridKMeans"), "{text}");
                }
            }
        }
    }
    (planned, refused)
}

#[test]
fn damaged_graphs_are_answered_or_refused() {
    let (planned, refused) = attack(fixtures(), 200, &Options::new(2));
    assert!(planned > 20 && refused > 20, "{planned} planned, {refused} refused");
}

#[test]
fn damaged_windows_are_answered_or_refused() {
    let grid = Method::Expedit(Expedit::new((8, 8)));
    let options = Options { method: grid, ..Options::new(1) };
    let (planned, refused) = attack(models("../../fixtures/windows"), 400, &options);
    assert!(planned > 20 && refused > 20, "{planned} planned, {refused} refused");
}

/// Doubling chains must neither hang nor fill the memory.
#[test]
fn explosive_graphs_stay_small() {
    let path = fixtures().into_iter().next().expect("a fixture");
    for op in ["Mul", "Concat"] {
        let mut edit = GraphEdit::new(Model::load(&path).expect("a sound fixture"));
        let image = edit.graph().inputs().next().expect("an image");
        let mut v = image;
        if op == "Mul" {
            let spec = ailurus_onnx::NodeSpec::new("Shape", [image]).output("chain", None);
            v = edit.add(spec).expect("fresh name");
        }
        for i in 0..200 {
            let spec = ailurus_onnx::NodeSpec::new(op, [v, v]).attribute("axis", Attribute::Int(0));
            v = edit.add(spec.output(format!("{op}.{i}"), None)).expect("fresh name");
        }
        edit.add_graph_output(v).expect("a live value");
        let model = edit.finish().expect("sound");
        assert!(Analysis::of(&model).is_ok());
    }
}

/// Where no elements are stored, a shape may say anything: nothing is allocated or counted for it, and layers are looked
/// for by names as well.
#[test]
fn shapes_without_elements() {
    for (n, path) in fixtures().into_iter().enumerate() {
        let model = Model::load(&path).expect("a sound fixture");
        let report = report::strip(&model, &report::report(&model, None, None)).expect("a report");
        for seed in 0..60 {
            let mut dice = Dice(seed * 1000 + n as u64);
            let mut edit = GraphEdit::new(report.clone());
            let list: Vec<(ValueId, Tensor)> = edit.graph().initializers().map(|(v, t)| (v, t.clone())).collect();
            for _ in 0..1 + dice.roll(3) {
                let (v, mut t) = list[dice.roll(list.len())].clone();
                let at = dice.roll(t.dims.len());
                if let Some(d) = t.dims.get_mut(at) {
                    *d = NUMBERS[dice.roll(NUMBERS.len())];
                }
                t.storage = Storage::Absent;
                let _ = edit.set_initializer(v, t);
            }
            let Ok(model) = edit.finish() else { continue };
            let _ = report::strip(&model, &report::report(&model, None, Some(&Options::new(2))));
            let Ok(analysis) = Analysis::of(&model) else { continue };
            for layer in [Layer::Index(2), Layer::Name("blocks.1".into()), Layer::Name("weight".into())] {
                if let Ok(plan) = ailurus_rewrite::plan(&analysis, &Options::new(layer)) {
                    let _ = ailurus_rewrite::replay(&analysis, &plan);
                    let _ = ailurus_rewrite::apply(&model, &plan, Emit::Inline);
                }
            }
        }
    }
}
