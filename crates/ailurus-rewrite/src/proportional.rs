//! Finds where attention scores can take cluster sizes into account.

use crate::{
    layout::Layout,
    plan::{ProportionalEdit, ScoreForm},
    simulate::Simulation,
};
use ailurus_analyze::{
    Analysis, Code, Refusal,
    axis::Axis,
    cores::Core,
    transfer::{is_softmax, softmax_axis},
    walk::{ancestors, descendants},
};
use ailurus_onnx::{DataType, Node, NodeId, ValueId};

/// One edit per attention behind the cut.
pub fn edits(a: &Analysis, layer: usize, sim: &Simulation) -> Result<Vec<ProportionalEdit>, Refusal> {
    a.trunk.cores[layer..].iter().map(|core| edit(a, core, a.trunk.streams[layer], sim)).collect()
}

fn edit(a: &Analysis, core: &Core, cut: ValueId, sim: &Simulation) -> Result<ProportionalEdit, Refusal> {
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
    let refuse =
        |node: NodeId, why: String| Refusal::new(Code::AIL0208, why, "leave out --proportional-attention").at(g, node);
    if let ("com.microsoft", "QAttention") = (fused.domain.as_str(), fused.op_type.as_str()) {
        let why = "this fused 8-bit attention takes no numbers to add to its scores, so cluster sizes cannot be";
        return Err(refuse(core.scores, why.to_owned()));
    }
    let Some((id, node)) = softmax(a, core) else {
        let why = "the softmax of this attention was not found, so cluster sizes cannot be added to its scores";
        return Err(refuse(core.scores, why.to_owned()));
    };
    if node.op_type == "QLinearSoftmax" {
        let why = "the scores of this attention exist in 8 bits only, so cluster sizes cannot be added to them";
        return Err(refuse(id, why.to_owned()));
    }
    let form = form(a, node, cut, sim)
        .ok_or_else(|| refuse(id, "the scores are in a layout to which cluster sizes cannot be added".to_owned()))?;
    Ok(ProportionalEdit { node: name(id), input: 0, form })
}

/// The softmax between scores and context.
fn softmax<'a>(a: &Analysis<'a>, core: &Core) -> Option<(NodeId, &'a Node)> {
    let g = &a.interp.model.graph;
    let behind = descendants(g, g.node(core.scores).outputs.iter().flatten().copied());
    let between = behind.and(&ancestors(g, g.node(core.context).inputs.iter().flatten().copied()));
    g.nodes().find(|(id, n)| is_softmax(n) && between.contains(*id))
}

/// How its input is laid out.
fn form(a: &Analysis, node: &Node, cut: ValueId, sim: &Simulation) -> Option<ScoreForm> {
    let atoms = &sim.interp_atoms;
    let scores = sim.values.get(&node.input(0)?)?;
    let (axes, rank) = (scores.axes(), scores.rank()?);
    let keys = softmax_axis(node, a.interp.model.opset(), rank)?;
    let stream = a.interp.get(cut)?.axes();
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
    (keys > 0).then_some(ScoreForm::Scores { rank, keys, heads })
}
