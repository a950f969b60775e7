//! Attention that sees less than the whole sequence: what makes it so, and how that is said.

use crate::{
    axis::{AtomId, Axis},
    cores::{Core, Fault},
    interp::{How, Interp},
    refusal::{Code, Refusal, describe},
    trunk::grids,
    walk::{NodeSet, ancestors},
};
use ailurus_onnx::{NodeId, ValueId};

const NEXT: &str = "use a model with global attention in all encoder blocks";

/// Why a core cannot be merged, with the operator that is to blame. `stage` names a chain of global attention beside it.
pub fn refuse(interp: &Interp, core: &Core, fault: Fault, stage: Option<String>) -> Refusal {
    let g = &interp.model.graph;
    let by = |n: Option<NodeId>| n.map(|n| format!(", made by {}", describe(g, n))).unwrap_or_default();
    let show = |x: &Axis| interp.atoms.show(x);
    let reason = match fault {
        Fault::Windows => {
            format!(
                "attention here runs inside windows{}: tokens of different windows never meet",
                by(partition(interp, core))
            )
        }
        Fault::Reduced => format!(
            "attention here compares {} positions with a reduced or different set of {}{}",
            show(&core.tokens),
            show(&core.memory),
            by(reduction(interp, core))
        ),
        Fault::Unnormalized => {
            "the scores of this attention are not normalised over the keys: every merged token would change the sum"
                .to_owned()
        }
    };
    let next = match (fault, stage) {
        (Fault::Unnormalized, _) => "use a model with softmax attention".to_owned(),
        (_, Some(stage)) => format!("{NEXT}; or merge within the blocks that are global: --trunk {stage}"),
        (_, None) => NEXT.to_owned(),
    };
    Refusal::new(Code::AIL0203, reason, next).at(g, core.scores)
}

/// Refuses a model whose encoder changes its grid from one chain of blocks to another.
pub fn stages(interp: &Interp, one: &Core, two: &Core, longest: &str) -> Refusal {
    Refusal::new(
        Code::AIL0203,
        format!(
            "the model has stages: attention runs over {} here and over {} at {}",
            positions(interp, one),
            positions(interp, two),
            describe(&interp.model.graph, two.scores)
        ),
        format!("use a model whose blocks all share one grid, or merge within one stage: --trunk {longest}"),
    )
    .at(&interp.model.graph, one.scores)
}

/// What an attention runs over, for people: `[28·28] in windows of [7·7]`.
pub fn positions(interp: &Interp, core: &Core) -> String {
    let tokens = interp.atoms.show(&core.tokens);
    match grids::sequence(interp, core) {
        Some(grid) if core.windowed => format!("[{}] in windows of [{tokens}]", interp.atoms.show(&grid)),
        _ => format!("[{tokens}]"),
    }
}

/// The operator that cut the grid into windows: the first whose result has the positions that became a batch.
fn partition(interp: &Interp, core: &Core) -> Option<NodeId> {
    let g = &interp.model.graph;
    let mut inside: Vec<AtomId> = Vec::new();
    core.tokens.for_each_atom(&mut |a| inside.push(a));
    core.memory.for_each_atom(&mut |a| inside.push(a));
    let mut outside: Vec<AtomId> = Vec::new();
    for axis in interp.get(core.query)?.axes() {
        axis.for_each_atom(&mut |a| {
            if interp.atoms.get(a).spatial && !inside.contains(&a) {
                outside.push(a);
            }
        });
    }
    let before = ancestors(g, [core.query]);
    let mentions = |v: ValueId| {
        interp
            .get(v)
            .is_some_and(|x| x.activation && x.axes().iter().any(|axis| outside.iter().any(|&a| axis.mentions(a))))
    };
    g.nodes().find(|(id, n)| before.contains(*id) && n.outputs.iter().flatten().any(|&v| mentions(v))).map(|(id, _)| id)
}

/// The operator that reduced the positions on one side: the last that mixes positions on the way of keys or queries alone.
fn reduction(interp: &Interp, core: &Core) -> Option<NodeId> {
    let g = &interp.model.graph;
    let (queries, keys) = (ancestors(g, [core.query]), ancestors(g, [core.key]));
    let mixes = |set: &NodeSet, not: &NodeSet| {
        let hit = interp.effects.iter().rev().find(|e| {
            e.how == How::Mix && interp.atoms.is_spatial(&e.axis) && set.contains(e.node) && !not.contains(e.node)
        });
        hit.map(|e| e.node)
    };
    mixes(&keys, &queries).or_else(|| mixes(&queries, &keys))
}
