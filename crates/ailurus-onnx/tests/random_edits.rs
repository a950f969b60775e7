//! Random sequences of edits: whatever is accepted reads back from the file as it is in memory.

mod common;

use ailurus_onnx::{Attribute, DataType, Dim, GraphEdit, Model, NodeId, NodeSpec, Tensor, TensorType, ValueId, dump};
use common::*;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n.max(1)
    }
    fn value(&mut self, edit: &GraphEdit) -> ValueId {
        let all: Vec<_> = edit.graph().value_ids().collect();
        all[self.below(all.len())]
    }
    fn node(&mut self, edit: &GraphEdit) -> Option<NodeId> {
        let all: Vec<_> = edit.graph().nodes().map(|(id, _)| id).collect();
        all.get(self.below(all.len())).copied()
    }
}

fn step(edit: &mut GraphEdit, random: &mut Random) -> Result<(), ailurus_onnx::Error> {
    let (a, b) = (random.value(edit), random.value(edit));
    let ty = TensorType { dtype: DataType::F32, shape: Some(vec![Dim::Value(3), Dim::Unknown]) };
    let name = edit.fresh_name("ailurus/r");
    match random.below(14) {
        0 | 1 => {
            edit.add(NodeSpec::new("Add", [a, b]).name(name.clone()).output(name, ty))?;
        }
        2 => {
            edit.add_initializer(Tensor::from_f32(name, &[1], &[1.0]))?;
        }
        3 => {
            let parity = random.below(2);
            let mut count = 0;
            edit.replace_uses(a, b, |_| {
                count += 1;
                count % 2 == parity
            })?;
        }
        4 => edit.rename_value(a, &name)?,
        5 => edit.set_type(a, ty)?,
        6 => edit.clear_type(a)?,
        7 => {
            if let Some(node) = random.node(edit) {
                edit.set_attribute(node, "axis", Attribute::Int(random.below(5) as i64))?;
                edit.remove_attribute(node, "perm")?;
            }
        }
        8 => {
            if let Some(node) = random.node(edit) {
                edit.set_input(node, random.below(3), Some(a))?;
            }
        }
        9 => {
            if let Some(node) = random.node(edit) {
                edit.remove_node(node)?;
            }
        }
        10 => edit.add_graph_output(a)?,
        11 => {
            edit.take_output_name(0, a)?;
        }
        12 => edit.make_input(a)?,
        _ => match random.below(4) {
            0 => {
                edit.prune();
            }
            1 => {
                edit.inline_functions("local")?;
            }
            2 => edit.set_metadata(&name, "x"),
            _ => edit.import_opset("extra", random.below(3) as i64),
        },
    }
    Ok(())
}

/// Edits until something is refused at the end, and compares memory and file.
fn run(bytes: &[u8], seed: u64, steps: usize) -> bool {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut edit = GraphEdit::new(Model::from_bytes(bytes).unwrap());
    for _ in 0..random.below(steps) {
        let _ = step(&mut edit, &mut random);
    }
    let Ok(model) = edit.finish() else { return false };
    let written = model.to_bytes().unwrap();
    let again = Model::from_bytes(written.clone()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    assert_eq!(dump::text(&model), dump::text(&again), "seed {seed}");
    for value in model.graph.value_ids().filter(|&v| model.graph.find(model.graph.name_of(v)) == Some(v)) {
        let other = again.graph.find(model.graph.name_of(value));
        let other = other.unwrap_or_else(|| panic!("seed {seed}: lost {}", model.graph.name_of(value)));
        if model.graph.initializer(value).is_none() {
            assert_eq!(model.graph.value(value).ty, again.graph.value(other).ty, "seed {seed}");
        }
    }
    // a second edit of the result, without doing anything, changes nothing
    assert_eq!(GraphEdit::new(again).finish().unwrap().to_bytes().unwrap(), written, "seed {seed}");
    true
}

#[test]
fn memory_and_file_agree() {
    let bytes = encode(&everything());
    let finished = (0..3000).filter(|&seed| run(&bytes, seed, 25)).count();
    assert!(finished > 1000, "{finished} of 3000 sequences were valid");
}

#[test]
fn memory_and_file_agree_on_the_zoo() {
    for (index, file) in zoo().iter().step_by(7).enumerate() {
        let bytes = std::fs::read(file).unwrap();
        for seed in 0..4 {
            run(&bytes, 1000 + seed + 10 * index as u64, 40);
        }
    }
}
