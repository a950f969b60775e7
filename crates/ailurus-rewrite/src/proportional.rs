//! Finds where attention scores can take cluster sizes into account.

use crate::{
    layout::Layout,
    plan::{ProportionalEdit, ScoreForm},
    simulate::Simulation,
};
use ailurus_analyze::{Analysis, Code, Refusal, axis::Axis, cores::Core, interp::wrap};
use ailurus_onnx::{DataType, NodeId};

/// One edit per attention behind the cut.
pub fn edits(a: &Analysis, layer: usize, sim: &Simulation) -> Result<Vec<ProportionalEdit>, Refusal> {
    a.trunk.cores[layer..].iter().map(|core| edit(a, core, sim)).collect()
}

fn edit(a: &Analysis, core: &Core, sim: &Simulation) -> Result<ProportionalEdit, Refusal> {
    let g = &a.interp.model.graph;
    let name = |id: NodeId| g.node(id).output(0).map(|v| g.name_of(v).to_owned()).unwrap_or_default();
    let fused = g.node(core.scores);
    let slot = match (fused.domain.as_str(), fused.op_type.as_str()) {
        ("", "Attention") => Some(3),
        ("com.microsoft", "Attention" | "MultiHeadAttention") => Some(5),
        _ => None,
    };
    if let Some(input) = slot {
        let boolean = fused.input(input).and_then(|v| a.interp.get(v)).is_some_and(|m| m.dtype == DataType::Bool);
        return Ok(ProportionalEdit { node: name(core.scores), input, form: ScoreForm::Mask { boolean } });
    }
    found(a, core, sim).map(|(id, form)| ProportionalEdit { node: name(id), input: 0, form }).ok_or_else(|| {
        Refusal::new(
            Code::AIL0208,
            "the softmax of this attention was not found, so cluster sizes cannot be added to its scores",
            "leave out --proportional-attention",
        )
        .at(g, core.scores)
    })
}

/// The softmax between scores and context, and how its input is laid out.
fn found(a: &Analysis, core: &Core, sim: &Simulation) -> Option<(NodeId, ScoreForm)> {
    let g = &a.interp.model.graph;
    let atoms = &sim.interp_atoms;
    let behind = ailurus_analyze::walk::descendants(g, g.node(core.scores).outputs.iter().flatten().copied());
    let (id, node) = g.nodes().find(|(id, n)| n.op_type == "Softmax" && behind.contains(*id))?;
    let scores = sim.values.get(&node.input(0)?)?;
    let (axes, rank) = (scores.axes(), scores.rank()?);
    let keys = wrap(node.int("axis", -1), rank)?;
    let stream = a.interp.get(a.trunk.streams[0])?.axes();
    let batch = match Layout::of(stream, &a.trunk.tokens, atoms)? {
        Layout::BatchTokenChannel => stream[0].clone(),
        Layout::TokenBatchChannel => stream[1].clone(),
        Layout::TokenChannel | Layout::Flat => Axis::one(),
    };
    let heads = match rank {
        4 => 1,
        3 if atoms.known(&batch) == Some(1) => 1,
        3 => {
            let folded = atoms.symbols.divide(&atoms.size(&axes[0]), &atoms.size(&batch))?;
            usize::try_from(folded.constant()?).ok().filter(|h| (1..=256).contains(h))?
        }
        _ => return None,
    };
    (keys > 0).then_some((id, ScoreForm::Scores { rank, keys, heads }))
}
