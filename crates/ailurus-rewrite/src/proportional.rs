//! Finds where attention scores can take cluster sizes into account.

use crate::{
    layout::Layout,
    plan::{ProportionalEdit, ScoreForm},
    simulate::Simulation,
};
use ailurus_analyze::{
    Analysis, Code, Refusal,
    axis::{Axis, Run},
    cores::Core,
    interp::wrap,
};
use ailurus_onnx::{DataType, NodeId};

/// One edit per attention that runs on clusters.
pub fn edits(a: &Analysis, layer: usize, sim: &Simulation) -> Result<Vec<ProportionalEdit>, Refusal> {
    let late = a.trunk.other_cores.iter().filter(|c| sim.region.contains(&c.scores) && sim.region.contains(&c.context));
    a.trunk.cores_behind(layer).chain(late).map(|core| edit(a, core, sim)).collect()
}

/// Keys before and behind the patches.
fn beside(a: &Analysis, keys: &Axis) -> Option<(usize, usize)> {
    let t = &a.trunk.tokens;
    let at = keys.0.iter().position(|r| *r == t.patches)?;
    let count = |runs: &[Run]| {
        let size = |r: &Run| usize::try_from(a.interp.atoms.symbols.known(&a.interp.atoms.run_size(r))?).ok();
        runs.iter().map(size).sum::<Option<usize>>()
    };
    Some((count(&keys.0[..at])?, count(&keys.0[at + 1..])?))
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
    let place = match slot {
        Some(input) => {
            let boolean = fused.input(input).and_then(|v| a.interp.get(v)).is_some_and(|m| m.dtype == DataType::Bool);
            Some((core.scores, input, ScoreForm::Mask { boolean }, core.memory.clone()))
        }
        None => found(a, core, sim).map(|(id, form, keys)| (id, 0, form, keys)),
    };
    // Keys beside the patches are found where the sizes are added: a sink may have been appended to the scores.
    let place = place.and_then(|(id, input, form, keys)| {
        let (prefix, suffix) = beside(a, &keys)?;
        Some(ProportionalEdit { node: name(id), input, form, prefix, suffix })
    });
    place.ok_or_else(|| {
        Refusal::new(
            Code::AIL0208,
            "the softmax of this attention was not found, so cluster sizes cannot be added to its scores",
            "leave out --proportional-attention",
        )
        .at(g, core.scores)
    })
}

/// The softmax between scores and context, and how its input is laid out.
fn found(a: &Analysis, core: &Core, sim: &Simulation) -> Option<(NodeId, ScoreForm, Axis)> {
    let g = &a.interp.model.graph;
    let atoms = &sim.interp_atoms;
    let behind = ailurus_analyze::walk::descendants(g, g.node(core.scores).outputs.iter().flatten().copied());
    let (id, node) = g.nodes().find(|(id, n)| n.op_type == "Softmax" && behind.contains(*id))?;
    let scores = sim.values.get(&node.input(0)?)?;
    let (axes, rank) = (scores.axes(), scores.rank()?);
    let keys = wrap(node.int("axis", -1), rank)?;
    let stream = a.interp.get(a.trunk.streams[0])?.axes();
    let batch = match Layout::of(stream, &a.trunk.tokens, atoms)? {
        Layout::BatchTokenChannel | Layout::BatchChannelToken => stream[0].clone(),
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
    let all = a.interp.get(node.input(0)?)?.axes().get(keys)?.clone();
    (keys > 0).then_some((id, ScoreForm::Scores { rank, keys, heads }, all))
}
