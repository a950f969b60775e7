//! The residual stream: what attention results are added to, block after block.

use super::{Block, Tokens, Trunk, no_residual};
use crate::{
    axis::{Axis, Factor},
    cores::Core,
    interp::{How, Interp},
    refusal::Refusal,
    transfer::is_norm,
    walk::{NodeSet, ancestors, descendants},
};
use ailurus_onnx::{Graph, Node, ValueId};

/// Longest way from a sum back to the stream.
const REACH: usize = 24;

/// A sum of two tensors: its operands and its result.
fn sum_of(node: &Node) -> Option<(ValueId, ValueId, ValueId)> {
    match (node.domain.as_str(), node.op_type.as_str()) {
        ("", "Add") => Some((node.input(0)?, node.input(1)?, node.output(0)?)),
        ("com.microsoft", "QLinearAdd") => Some((node.input(0)?, node.input(3)?, node.output(0)?)),
        ("com.microsoft", "BiasDropout") => Some((node.input(0)?, node.input(2)?, node.output(0)?)),
        ("", "Sum") if node.inputs.len() == 2 => Some((node.input(0)?, node.input(1)?, node.output(0)?)),
        ("com.microsoft", "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization") => {
            Some((node.input(0)?, node.input(1)?, node.output(3).or(node.output(0))?))
        }
        _ => None,
    }
}

/// Operators that keep a token's content where it is: scales, biases, casts, layouts.
fn is_plain(op: &str) -> bool {
    matches!(
        op,
        "Add"
            | "Sub"
            | "Mul"
            | "Div"
            | "Sum"
            | "Cast"
            | "Identity"
            | "Reshape"
            | "Flatten"
            | "Transpose"
            | "Squeeze"
            | "Unsqueeze"
            | "Dropout"
            | "Clip"
            | "QuantizeLinear"
            | "DequantizeLinear"
            | "QLinearMul"
    )
}

struct Search<'a, 'm> {
    interp: &'a Interp<'m>,
    g: &'a Graph,
    tokens: &'a Tokens,
}

impl Search<'_, '_> {
    fn active(&self, v: ValueId) -> bool {
        self.interp.get(v).is_some_and(|a| a.activation)
    }

    fn carries_tokens(&self, v: ValueId) -> bool {
        let (rows, columns) = self.tokens.grid;
        self.interp.get(v).is_some_and(|a| {
            let along = |atom| a.axes().iter().any(|x| x.mentions(atom));
            let sequence = a.axes().iter().any(|x| x.contains_run(&self.tokens.patches));
            a.activation && (sequence || along(rows) && along(columns))
        })
    }

    /// Follows scales, biases, casts, layout changes and sums back to a value that `accept` knows.
    fn strip(&self, v: ValueId, accept: &dyn Fn(ValueId) -> bool) -> Option<ValueId> {
        self.strip_within(v, accept, REACH)
    }

    fn strip_within(&self, mut v: ValueId, accept: &dyn Fn(ValueId) -> bool, reach: usize) -> Option<ValueId> {
        for left in (0..reach).rev() {
            if accept(v) {
                return Some(v);
            }
            let (n, _) = self.g.producer(v)?;
            let node = self.g.node(n);
            if !is_plain(&node.op_type) {
                return None;
            }
            let data: Vec<ValueId> = node.inputs.iter().flatten().copied().filter(|&i| self.active(i)).collect();
            v = match data[..] {
                [only] => only,
                // A longer sum: the stream is one of its terms.
                [a, b] if sum_of(node).is_some() => {
                    return self.strip_within(a, accept, left / 2).or_else(|| self.strip_within(b, accept, left / 2));
                }
                _ => return None,
            };
        }
        None
    }

    /// The stream that an operand of a sum comes from: where it was quantised on the way, the numbers in front of that, so
    /// that merging does not add a rounding; an 8-bit stream only where there are no such numbers.
    fn stream_of(&self, operand: ValueId, accept: &dyn Fn(ValueId) -> bool) -> Option<ValueId> {
        let float = |v: ValueId| self.interp.get(v).is_some_and(|a| a.dtype.is_float());
        self.strip(operand, &|v| accept(v) && float(v)).or_else(|| self.strip(operand, accept))
    }

    /// The sum that adds the attention's result to the stream the block started from: (sum, stream).
    fn join(&self, core: &Core) -> Option<(ValueId, ValueId)> {
        let from = self.g.node(core.context).output(0)?;
        let after = descendants(self.g, [from]);
        let before = ancestors(self.g, [core.query, core.key, core.value]);
        let upstream =
            |v: ValueId| self.carries_tokens(v) && self.g.producer(v).is_some_and(|(n, _)| before.contains(n));
        let descends = |v: ValueId| v == from || self.g.producer(v).is_some_and(|(n, _)| after.contains(n));
        for (id, node) in self.g.nodes() {
            if !after.contains(id) {
                continue;
            }
            let Some((a, b, out)) = sum_of(node) else { continue };
            for (own, other) in [(a, b), (b, a)] {
                if descends(own)
                    && !descends(other)
                    && let Some(stream) = self.stream_of(other, &upstream)
                {
                    return Some((out, stream));
                }
            }
        }
        None
    }

    /// From the last attention's sum on: further sums onto the same stream (the MLP, a parallel branch).
    fn end(&self, join: ValueId, start: ValueId, post_norm: bool, barred: &NodeSet) -> ValueId {
        let axes = self.interp.get(join).map(|a| a.axes().to_vec()).unwrap_or_default();
        let mut stream = self.settle(join, post_norm);
        let branch = descendants(self.g, [start]);
        for (id, node) in self.g.nodes() {
            if !branch.contains(id) || barred.contains(id) {
                continue;
            }
            let Some((a, b, out)) = sum_of(node) else { continue };
            if out == join || self.interp.get(out).is_none_or(|x| !self.alike(x.axes(), &axes)) {
                continue;
            }
            for (own, other) in [(a, b), (b, a)] {
                let on_stream = self.strip(own, &|v| v == stream).is_some();
                let descends = self.g.producer(other).is_some_and(|(n, _)| branch.contains(n));
                if on_stream && descends && self.carries_tokens(other) {
                    stream = self.settle(out, post_norm);
                    break;
                }
            }
        }
        stream
    }

    /// The same tokens in the same places. Channels may be those of either term: which one names them is a matter of order.
    /// Rows and columns may be axes of their own or one axis.
    fn alike(&self, a: &[Axis], b: &[Axis]) -> bool {
        let atoms = &self.interp.atoms;
        let same = |p: &Axis, q: &Axis| {
            let tokens = atoms.is_spatial(p) || atoms.is_spatial(q);
            p == q || !tokens && atoms.symbols.equal(&atoms.size(p), &atoms.size(q))
        };
        let equal = |a: &[Axis], b: &[Axis]| a.len() == b.len() && a.iter().zip(b).all(|(p, q)| same(p, q));
        let flat = |axes: &[Axis]| -> Vec<Axis> {
            let factors =
                axes.iter().flat_map(|x| if let [run] = &x.0[..] { run.clone() } else { vec![Factor::Cat(x.clone())] });
            factors.map(|f| Axis::product(vec![f])).collect()
        };
        equal(a, b) || equal(&flat(a), &flat(b))
    }

    /// In a post-norm model the stream is what the norm behind the sum gives.
    fn settle(&self, sum: ValueId, post_norm: bool) -> ValueId {
        if !post_norm {
            return sum;
        }
        match self.g.consumers(sum)[..] {
            [only] if is_norm(&self.g.node(only).op_type) => self.g.node(only).output(0).unwrap_or(sum),
            _ => sum,
        }
    }
}

impl Search<'_, '_> {
    /// What a plain sum does not go through: projections, norms, and the steps of a norm that is spelt out, which subtract,
    /// multiply and divide tokens by what was computed from them.
    fn norms(&self) -> NodeSet {
        let mut set = makers(self.interp, &[How::Contract, How::Normalize, How::Reduce]);
        for (id, node) in self.g.nodes() {
            let tokens = node.inputs.iter().flatten().filter(|&&v| self.carries_tokens(v)).count();
            if matches!(node.op_type.as_str(), "Sub" | "Mul" | "Div") && tokens > 1 {
                set.insert(id);
            }
        }
        set
    }
}

/// A block while it is being found.
struct Found {
    stream: ValueId,
    sum: ValueId,
    cores: Vec<Core>,
}

/// Follows the stream through all cores of a chain. Where it is made anew by a projection another stack of blocks begins (a
/// decoder on the same tokens); the longest is the trunk.
pub fn follow(interp: &Interp, tokens: Tokens, cores: Vec<Core>, mut other_cores: Vec<Core>) -> Result<Trunk, Refusal> {
    let g = &interp.model.graph;
    let search = Search { interp, g, tokens: &tokens };
    let projections = makers(interp, &[How::Contract]);
    let mut stacks: Vec<Vec<Found>> = Vec::new();
    for core in cores {
        let (sum, stream) = search.join(&core).ok_or_else(|| no_residual(interp, &core))?;
        match stacks.last_mut().and_then(|s| Some((s.last()?.sum, s))) {
            Some((_, stack)) if stack.last().is_some_and(|b| b.stream == stream) => {
                // Attentions side by side are added to one stream.
                if let Some(block) = stack.last_mut() {
                    block.cores.push(core);
                    block.sum = sum;
                }
            }
            Some((before, stack)) if goes_on(g, before, stream, &projections) => {
                stack.push(Found { stream, sum, cores: vec![core] });
            }
            _ => stacks.push(vec![Found { stream, sum, cores: vec![core] }]),
        }
    }
    let longest = stacks.iter().map(Vec::len).max().unwrap_or(0);
    let chosen = stacks.iter().position(|s| s.len() == longest).unwrap_or(0);
    let mut trunk = Vec::new();
    for (i, stack) in stacks.into_iter().enumerate() {
        if i == chosen {
            trunk = stack;
        } else {
            other_cores.extend(stack.into_iter().flat_map(|b| b.cores));
        }
    }
    let mut streams: Vec<ValueId> = trunk.iter().map(|b| b.stream).collect();
    let norms = search.norms();
    let post_norm = trunk.windows(2).any(|pair| !goes_on(g, pair[0].sum, pair[1].stream, &norms));
    let mut barred = NodeSet::empty(g);
    if let (Some(last), false) = (trunk.last().and_then(|b| b.cores.last()), other_cores.is_empty()) {
        let late: Vec<ValueId> = other_cores
            .iter()
            .filter(|c| ancestors(g, [c.query]).contains(last.context))
            .filter_map(|c| g.node(c.context).output(0))
            .collect();
        barred = descendants(g, late);
    }
    if let Some(last) = trunk.last() {
        streams.push(search.end(last.sum, last.stream, post_norm, &barred));
    }
    let blocks = trunk.into_iter().map(|b| Block { cores: b.cores }).collect();
    Ok(Trunk { tokens, blocks, streams, post_norm, other_cores })
}

/// Operators that do one of these things: what comes out of a projection is a new tensor, and what comes out of a norm is no
/// longer a sum.
fn makers(interp: &Interp, kinds: &[How]) -> NodeSet {
    let mut set = NodeSet::empty(&interp.model.graph);
    for e in interp.effects.iter().filter(|e| kinds.contains(&e.how)) {
        set.insert(e.node);
    }
    set
}

/// True when the stream goes on from one sum to the next block without such an operator between.
fn goes_on(g: &Graph, from: ValueId, to: ValueId, barred: &NodeSet) -> bool {
    let mut seen = vec![from];
    let mut open = vec![from];
    while let Some(v) = open.pop() {
        if v == to {
            return true;
        }
        for n in g.consumers(v) {
            if !barred.contains(n) {
                for &o in g.node(n).outputs.iter().flatten() {
                    if !seen.contains(&o) {
                        seen.push(o);
                        open.push(o);
                    }
                }
            }
        }
    }
    false
}

/// True when core `a` feeds core `b`.
pub fn feeds(g: &Graph, a: &Core, b: &Core) -> bool {
    ancestors(g, [b.query, b.key, b.value]).contains(a.context)
}
