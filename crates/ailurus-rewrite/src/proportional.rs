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
    transfer::{is_softmax, softmax_axis},
    walk::{ancestors, descendants},
};
use ailurus_onnx::{DataType, Node, NodeId, Use, ValueId};

/// One edit per attention that runs on clusters.
pub fn edits(a: &Analysis, layer: usize, sim: &Simulation) -> Result<Vec<ProportionalEdit>, Refusal> {
    let late = a.trunk.other_cores.iter().filter(|c| sim.region.contains(&c.scores) && sim.region.contains(&c.context));
    let cut = a.trunk.streams[layer];
    let edits =
        a.trunk.cores_behind(layer).chain(late).map(|core| edit(a, core, cut, sim)).collect::<Result<Vec<_>, _>>()?;
    Ok(edits.concat())
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

fn edit(a: &Analysis, core: &Core, cut: ValueId, sim: &Simulation) -> Result<Vec<ProportionalEdit>, Refusal> {
    let g = &a.interp.model.graph;
    let name = |id: NodeId| g.node(id).output(0).map(|v| g.name_of(v).to_owned()).unwrap_or_default();
    let fused = g.node(core.scores);
    let slot = match (fused.domain.as_str(), fused.op_type.as_str()) {
        ("", "Attention") => Some(3),
        ("com.microsoft", "Attention" | "MultiHeadAttention") => Some(5),
        _ => None,
    };
    let refuse = |node: NodeId, why: &str| {
        Err(Refusal::new(Code::AIL0208, why, "leave out --proportional-attention").at(g, node))
    };
    if let ("com.microsoft", "QAttention") = (fused.domain.as_str(), fused.op_type.as_str()) {
        let why = "this fused 8-bit attention takes no numbers to add to its scores, so cluster sizes cannot be";
        return refuse(core.scores, why);
    }
    if let Some((id, _)) = softmax(a, core).filter(|(_, n)| n.op_type == "QLinearSoftmax") {
        let why = "the scores of this attention exist in 8 bits only, so cluster sizes cannot be added to them";
        return refuse(id, why);
    }
    // Keys beside the patches are found where the sizes are added: a sink may have been appended to the scores.
    let place = |id: NodeId, input: usize, form: ScoreForm, keys: &Axis| {
        let (prefix, suffix) = beside(a, keys)?;
        // The scores, or the queries that a fused operator makes them from: mixed models compute them in another type than
        // the stream.
        let like = if slot.is_some() { Some(core.query) } else { g.node(id).input(input) };
        let dtype = a.interp.get(like?).map_or(DataType::Undefined, |x| x.dtype);
        let dtype = if dtype.is_float() { dtype } else { DataType::F32 };
        Some(ProportionalEdit { node: name(id), input, form, dtype: dtype.to_onnx(), prefix, suffix })
    };
    let found = match slot {
        Some(input) => {
            let boolean = fused.input(input).and_then(|v| a.interp.get(v)).is_some_and(|m| m.dtype == DataType::Bool);
            place(core.scores, input, ScoreForm::Mask { boolean }, &core.memory).map(|e| vec![e])
        }
        None => places(a, core, cut, sim).and_then(|list| {
            list.iter().map(|(id, input, form, keys)| place(*id, *input, *form, keys)).collect::<Option<Vec<_>>>()
        }),
    };
    match found.filter(|list| !list.is_empty()) {
        Some(list) => Ok(list),
        None => {
            let why = "the scores of this attention were not found, or are in a layout to which cluster sizes cannot be added";
            refuse(core.scores, why)
        }
    }
}

/// The softmax between scores and context.
fn softmax<'a>(a: &Analysis<'a>, core: &Core) -> Option<(NodeId, &'a Node)> {
    let g = &a.interp.model.graph;
    let behind = descendants(g, g.node(core.scores).outputs.iter().flatten().copied());
    let between = behind.and(&ancestors(g, g.node(core.context).inputs.iter().flatten().copied()));
    g.nodes().find(|(id, n)| is_softmax(n) && between.contains(*id))
}

/// Where scores are ready for their exponential: in front of the softmax; where that is spelt out, behind scale and bias.
fn places(a: &Analysis, core: &Core, cut: ValueId, sim: &Simulation) -> Option<Vec<(NodeId, usize, ScoreForm, Axis)>> {
    let g = &a.interp.model.graph;
    if let Some((id, node)) = softmax(a, core) {
        let keys = softmax_axis(node, a.interp.model.opset(), a.interp.get(node.input(0)?)?.rank()?)?;
        let (form, axis) = scores_at(a, cut, sim, node.input(0)?, keys)?;
        return Some(vec![(id, 0, form, axis)]);
    }
    let mut scores = g.node(core.scores).output(0)?;
    let axes = |v: ValueId| a.interp.get(v).map(|x| x.axes().to_vec());
    while let [only] = g.consumers(scores)[..] {
        let node = g.node(only);
        match node.output(0) {
            Some(out) if matches!(node.op_type.as_str(), "Mul" | "Div" | "Add") && axes(out) == axes(scores) => {
                scores = out
            }
            _ => break,
        }
    }
    let rank = a.interp.get(scores)?.rank()?;
    let from_back = if g.node(core.scores).input(0) == Some(core.query) { 1 } else { 2 };
    let (form, axis) = scores_at(a, cut, sim, scores, rank.checked_sub(from_back)?)?;
    let inputs = g.uses(scores).iter().filter_map(|u| match *u {
        Use::Input { node, slot } => Some((node, slot, form, axis.clone())),
        _ => None,
    });
    Some(inputs.collect())
}

/// How scores are laid out, and what their keys are.
fn scores_at(a: &Analysis, cut: ValueId, sim: &Simulation, v: ValueId, keys: usize) -> Option<(ScoreForm, Axis)> {
    let atoms = &sim.interp_atoms;
    let scores = sim.values.get(&v)?;
    let (axes, rank) = (scores.axes(), scores.rank()?);
    let stream = a.interp.get(cut)?.axes();
    let batch = Layout::of(stream, &a.trunk.tokens, atoms)?.batch(stream, &a.trunk.tokens)?;
    let heads = match rank {
        4 => 1,
        3 if atoms.known(&batch) == Some(1) => 1,
        3 => {
            let folded = atoms.symbols.divide(&atoms.size(&axes[0]), &atoms.size(&batch))?;
            usize::try_from(folded.constant()?).ok().filter(|h| (1..=256).contains(h))?
        }
        _ => return None,
    };
    let all = a.interp.get(v)?.axes().get(keys)?.clone();
    (keys > 0).then_some((ScoreForm::Scores { rank, keys, heads }, all))
}
