//! Attention cores: a contraction that gives scores between tokens, and one that gives the scores up again.

use crate::{
    axis::Axis,
    contraction,
    interp::{How, Interp},
    transfer::{is_softmax, softmax_axis},
};
use ailurus_onnx::{Graph, NodeId, Use, ValueId};

/// One attention core.
#[derive(Clone, Debug)]
pub struct Core {
    /// Contraction of queries and keys; the fused operator itself where there is one.
    pub scores: NodeId,
    /// Contraction of probabilities and values; equal to `scores` for a fused operator.
    pub context: NodeId,
    /// Queries as they enter the core.
    pub query: ValueId,
    /// Keys as they enter the core.
    pub key: ValueId,
    /// Values as they enter the core.
    pub value: ValueId,
    /// Token axis of the queries.
    pub tokens: Axis,
    /// Token axis of the keys.
    pub memory: Axis,
    /// Image positions also occur among the batch axes: attention within windows.
    pub windowed: bool,
    /// Scores are normalised over the keys.
    pub normalized: bool,
}

/// What keeps the tokens of a core from being merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It runs inside windows.
    Windows,
    /// Queries and keys are different sets of positions.
    Reduced,
    /// Scores are not normalised over the keys.
    Unnormalized,
}

impl Core {
    /// What keeps its tokens from being merged, if anything.
    pub fn fault(&self) -> Option<Fault> {
        // Keys beside the tokens themselves are legal (learned key tokens): the memory may contain the sequence as a part.
        let extended =
            self.memory.0.len() > self.tokens.0.len() && self.tokens.0.iter().all(|r| self.memory.0.contains(r));
        if self.windowed {
            Some(Fault::Windows)
        } else if self.tokens != self.memory && !extended {
            Some(Fault::Reduced)
        } else if !self.normalized {
            Some(Fault::Unnormalized)
        } else {
            None
        }
    }
}

/// Finds the cores in graph order.
pub fn find(interp: &Interp) -> Vec<Core> {
    let g = &interp.model.graph;
    let mut out = Vec::new();
    for (id, node) in g.nodes() {
        let core = match (node.domain.as_str(), node.op_type.as_str()) {
            ("", "Attention") | ("com.microsoft", "Attention" | "QAttention" | "MultiHeadAttention") => {
                fused(interp, id)
            }
            _ => decomposed(interp, id),
        };
        out.extend(core);
    }
    out
}

fn spatial_axes(interp: &Interp, v: ValueId) -> Vec<Axis> {
    let Some(a) = interp.get(v) else { return Vec::new() };
    a.axes().iter().filter(|x| interp.atoms.is_spatial(x)).cloned().collect()
}

fn fused(interp: &Interp, id: NodeId) -> Option<Core> {
    let node = interp.model.graph.node(id);
    let query = node.input(0)?;
    let packed = node.domain == "com.microsoft" && matches!(node.op_type.as_str(), "Attention" | "QAttention");
    let (key, value) = if packed { (query, query) } else { (node.input(1)?, node.input(2)?) };
    let tokens = spatial_axes(interp, query);
    let memory = spatial_axes(interp, key);
    Some(Core {
        scores: id,
        context: id,
        query,
        key,
        value,
        windowed: tokens.len() > 1,
        tokens: tokens.into_iter().next_back()?,
        memory: memory.into_iter().next_back()?,
        normalized: true,
    })
}

/// Axes of the two factors of a contraction that survive on one side only.
fn free_axes(interp: &Interp, id: NodeId) -> Option<(Axis, Axis)> {
    let node = interp.model.graph.node(id);
    let (left, right) = contraction::factors(node)?;
    let (a, b) = (interp.get(node.input(left)?)?, interp.get(node.input(right)?)?);
    if !(a.activation && b.activation) {
        return None;
    }
    let (x, y) = (a.axes(), b.axes());
    if node.op_type == "Einsum" {
        let e = contraction::equation(node.str("equation")?, &[x.len(), y.len()])?;
        let alone = |own: &[char], other: &[char], axes: &[Axis]| {
            let mut hits = own
                .iter()
                .zip(axes)
                .filter(|(c, axis)| e.result.contains(c) && !other.contains(c) && interp.atoms.is_spatial(axis));
            hits.next().map(|(_, axis)| axis.clone())
        };
        return Some((alone(&e.terms[0], &e.terms[1], x)?, alone(&e.terms[1], &e.terms[0], y)?));
    }
    let product = contraction::of(node)?;
    let (x, y) = (product.left_order.arrange(x.to_vec()), product.right_order.arrange(y.to_vec()));
    Some((x.get(x.len().checked_sub(2)?)?.clone(), y.last()?.clone()))
}

fn decomposed(interp: &Interp, id: NodeId) -> Option<Core> {
    let g = &interp.model.graph;
    let node = g.node(id);
    let (left, right) = free_axes(interp, id)?;
    if !(interp.atoms.is_spatial(&left) && interp.atoms.is_spatial(&right)) {
        return None;
    }
    let out = node.output(0)?;
    let Path { context, value, transposed, normalized } = follow_scores(interp, g, out)?;
    let (first, second) = contraction::factors(node)?;
    let (query, key) = if transposed { (second, first) } else { (first, second) };
    let (tokens, memory) = if transposed { (right, left) } else { (left, right) };
    let batch_positions = spatial_axes(interp, out).len() > 2;
    Some(Core {
        scores: id,
        context,
        query: node.input(query)?,
        key: node.input(key)?,
        value: g.node(context).input(value)?,
        tokens,
        memory,
        windowed: batch_positions,
        normalized,
    })
}

/// The way from scores to the contraction that sums over keys.
struct Path {
    /// that contraction
    context: NodeId,
    /// its input that carries the values
    value: usize,
    /// the normalised axis is the left operand's of the scores
    transposed: bool,
    /// a normalisation over keys lies on the way
    normalized: bool,
}

fn follow_scores(interp: &Interp, g: &Graph, scores: ValueId) -> Option<Path> {
    let mut open = vec![scores];
    let mut seen = vec![scores];
    let mut transposed = false;
    let mut over = None;
    let mut reduced = false;
    let mut moved = false;
    while let Some(v) = open.pop() {
        for u in g.uses(v) {
            let Use::Input { node: n, slot } = *u else { continue };
            let node = g.node(n);
            let effects: Vec<_> = interp.effects.iter().filter(|e| e.node == n).collect();
            // A softmax spelt out: exponentials, divided by their sum.
            reduced |= effects.iter().any(|e| e.how == How::Reduce && interp.atoms.is_spatial(&e.axis));
            if let Some((left, right)) = contraction::factors(node) {
                let sums = effects.iter().any(|e| e.how == How::Contract && interp.atoms.is_spatial(&e.axis));
                let active = |i: usize| node.input(i).and_then(|v| interp.get(v)).is_some_and(|a| a.activation);
                let other = if slot == left { Some(right) } else { (slot == right).then_some(left) };
                if sums
                    && active(left)
                    && active(right)
                    && let Some(other) = other
                {
                    // Probabilities must sum to one over what the context sums over; anything else grows with the tokens.
                    let rank = interp.get(v)?.rank()?;
                    let summed = if slot == left { rank.checked_sub(1) } else { rank.checked_sub(2) };
                    let plain = |p: contraction::Product| (p.left_order, p.right_order) == Default::default();
                    let plain = contraction::of(node).is_some_and(plain);
                    if plain && !moved && over.is_some_and(|n| Some(n) != summed) {
                        return None;
                    }
                    let normalized = over.is_some() || reduced;
                    return Some(Path { context: n, value: other, transposed, normalized });
                }
                // Otherwise it mixes heads (talking heads), or ends the search by losing a token axis below.
            }
            if is_softmax(node) {
                let rank = interp.get(v)?.rank()?;
                let axis = softmax_axis(node, interp.model.opset(), rank)?;
                transposed = axis + 2 == rank;
                (over, moved) = (Some(axis), false);
            } else if matches!(node.op_type.as_str(), "Transpose" | "Reshape" | "Squeeze" | "Unsqueeze" | "Einsum") {
                moved = true;
            }
            // Only operators that keep both token axes can lead from scores to probabilities.
            for &o in node.outputs.iter().flatten() {
                if !seen.contains(&o) && spatial_axes(interp, o).len() >= 2 {
                    seen.push(o);
                    open.push(o);
                }
            }
        }
    }
    None
}
