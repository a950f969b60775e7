//! Why a graph has no attention over image positions.

use crate::{
    interp::{How, Interp},
    refusal::{Code, Refusal},
    walk::descendants,
};
use ailurus_onnx::{NodeId, ValueId};

/// The most telling reason.
pub fn why(interp: &Interp) -> Refusal {
    let g = &interp.model.graph;
    if let Some(n) = over_channels(interp) {
        return Refusal::new(
            Code::AIL0203,
            "attention here compares channels with each other and sums over the tokens (cross-covariance or linear \
             attention): merged tokens would change every sum",
            "use a model whose attention compares tokens",
        )
        .at(g, n);
    }
    if let Some(n) = lost(interp) {
        return Refusal::new(
            Code::AIL0208,
            format!(
                "no attention over image positions was found, and `{}` is not understood: image positions are lost there",
                g.node(n).qualified_op()
            ),
            "simplify the model first (for example with onnxslim), or report the operator",
        )
        .at(g, n);
    }
    let image = g.inputs().any(|v| interp.is_spatial(v));
    let video = g.inputs().find(|&v| interp.get(v).and_then(|a| a.rank()) == Some(5));
    if let (Some(v), false) = (video, image) {
        return Refusal::new(
            Code::AIL0201,
            format!("the input `{}` has five axes: a video, whose tokens are no grid of one image", g.name_of(v)),
            "use a model with an image input [batch, channels, height, width]",
        );
    }
    let softmax = g.nodes().find(|(_, n)| n.op_type == "Softmax" || n.op_type == "Attention");
    match (image, softmax) {
        (false, Some((id, _))) => Refusal::new(
            Code::AIL0201,
            "no input is an image: the attention here runs over another kind of sequence, such as text or sound",
            "use a model with an image input [batch, channels, height, width]",
        )
        .at(g, id),
        (false, None) => Refusal::new(
            Code::AIL0201,
            "no input is an image, and there is no attention",
            "use a Vision Transformer with an image input [batch, channels, height, width]",
        ),
        (true, Some((id, _))) => Refusal::new(
            Code::AIL0201,
            "no attention between image positions was found: what is normalised here is something else",
            "check that the file holds a Vision Transformer encoder",
        )
        .at(g, id),
        (true, None) => Refusal::new(
            Code::AIL0201,
            "no attention was found: this looks like a convolutional network",
            "check that the file holds a Vision Transformer encoder",
        ),
    }
}

/// A contraction of two activations over the tokens whose result is contracted with tokens again.
fn over_channels(interp: &Interp) -> Option<NodeId> {
    let g = &interp.model.graph;
    let active = |v: ValueId| interp.get(v).is_some_and(|a| a.activation);
    for e in interp.effects.iter().filter(|e| e.how == How::Contract && interp.atoms.is_spatial(&e.axis)) {
        let node = g.node(e.node);
        let Some(out) = node.output(0) else { continue };
        let both = node.inputs.iter().flatten().filter(|&&v| active(v)).count() >= 2;
        if !both || spatial_in_matrix(interp, out) {
            continue;
        }
        let uses = descendants(g, [out]);
        let meets = g.nodes().find(|(id, n)| {
            uses.contains(*id)
                && matches!(n.op_type.as_str(), "MatMul" | "Einsum" | "FusedMatMul")
                && n.inputs.iter().flatten().all(|&v| active(v))
        });
        if meets.is_some_and(|(_, n)| n.output(0).is_some_and(|v| interp.is_spatial(v))) {
            return Some(e.node);
        }
    }
    None
}

/// True when one of the last two axes counts positions.
fn spatial_in_matrix(interp: &Interp, v: ValueId) -> bool {
    let Some(a) = interp.get(v) else { return false };
    a.axes().iter().rev().take(2).any(|x| interp.atoms.is_spatial(x))
}

/// The first operator without a transfer function that image positions go into.
fn lost(interp: &Interp) -> Option<NodeId> {
    let g = &interp.model.graph;
    interp.opaque.iter().copied().find(|&n| g.node(n).inputs.iter().flatten().any(|&v| interp.is_spatial(v)))
}

/// An operator behind the trunk that is not understood and may hide further blocks: two activations are multiplied behind it.
pub fn hidden_behind(interp: &Interp, end: ValueId) -> Option<NodeId> {
    let g = &interp.model.graph;
    let behind = descendants(g, [end]);
    let active = |v: ValueId| interp.get(v).is_some_and(|a| a.activation);
    interp.opaque.iter().copied().find(|&n| {
        let reads = g.node(n).inputs.iter().flatten().any(|&v| interp.is_spatial(v));
        let late = descendants(g, g.node(n).outputs.iter().flatten().copied());
        let product = |node: &ailurus_onnx::Node| {
            crate::contraction::factors(node).is_some()
                && node.inputs.iter().flatten().filter(|&&v| active(v)).count() >= 2
        };
        behind.contains(n) && reads && g.nodes().any(|(id, node)| late.contains(id) && product(node))
    })
}
