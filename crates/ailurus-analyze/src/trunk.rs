//! The trunk: a chain of blocks around one residual stream, and the grid its tokens come from.

use crate::{
    axis::{AtomId, Axis, Factor, Origin, Run},
    cores::Core,
    interp::Interp,
    refusal::{Code, Refusal, describe},
    transfer::is_norm,
    walk::{NodeSet, ancestors, descendants},
};
use ailurus_onnx::{Graph, Node, NodeId, ValueId};

/// The tokens of a sequence.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The whole sequence.
    pub sequence: Axis,
    /// The patches in it: the run that merging replaces.
    pub patches: Run,
    /// Atoms of rows and columns.
    pub grid: (AtomId, AtomId),
    /// The grid is only nominal: tokens were permuted after patch embedding.
    pub permuted: bool,
    /// Tokens before the patches.
    pub prefix: usize,
    /// Tokens behind them.
    pub suffix: usize,
}

/// A chain of transformer blocks.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its tokens.
    pub tokens: Tokens,
    /// One attention core per block.
    pub cores: Vec<Core>,
    /// `streams[k]` is the residual stream after block `k` (0: what enters the first block). One more than cores.
    pub streams: Vec<ValueId>,
    /// The stream is normalised in place: blocks end in a norm.
    pub post_norm: bool,
    /// Cores outside the trunk (decoders and the like).
    pub other_cores: Vec<Core>,
}

/// Finds the trunk, or says why there is none.
pub fn find(interp: &Interp, cores: Vec<Core>) -> Result<Trunk, Refusal> {
    let g = &interp.model.graph;
    if cores.is_empty() {
        return Err(Refusal::new(
            Code::AIL0201,
            "no attention over image positions was found in this graph",
            "check that the file holds a Vision Transformer encoder with an image input [batch, channels, height, width]",
        ));
    }
    if let Some(c) = cores.iter().find(|c| c.windowed || c.tokens != c.memory && !is_late_join(c)) {
        let what = if c.windowed {
            "runs inside windows"
        } else {
            "compares tokens with a reduced or different set of positions"
        };
        return Err(Refusal::new(
            Code::AIL0203,
            format!("attention here {what}, so its tokens cannot be merged freely"),
            "use a model with global attention in all encoder blocks; windows need a grid-preserving method",
        )
        .at(g, c.scores));
    }
    let groups = group(&cores);
    let best = groups.iter().map(Vec::len).max().unwrap_or(0);
    let chosen = groups.iter().find(|l| l.len() == best).cloned().unwrap_or_default();
    for pair in chosen.windows(2) {
        if !ancestors(g, [cores[pair[1]].query]).contains(cores[pair[0]].context) {
            return Err(Refusal::new(
                Code::AIL0204,
                format!(
                    "the attentions {} and {} have the same tokens, but neither feeds the other",
                    describe(g, cores[pair[0]].scores),
                    describe(g, cores[pair[1]].scores)
                ),
                "export the encoder you want to speed up as a model of its own",
            ));
        }
    }
    let (trunk, other): (Vec<_>, Vec<_>) = cores.into_iter().enumerate().partition(|(i, _)| chosen.contains(i));
    let cores: Vec<Core> = trunk.into_iter().map(|(_, c)| c).collect();
    let other_cores: Vec<Core> = other.into_iter().map(|(_, c)| c).collect();
    let tokens = tokens(interp, &cores[0].tokens).map_err(|r| r.at(g, cores[0].scores))?;
    streams(interp, tokens, cores, other_cores)
}

/// Extra keys beside the tokens themselves are legal in principle (learned key tokens), so the memory may contain the
/// whole sequence as a part.
fn is_late_join(c: &Core) -> bool {
    c.memory.0.len() > c.tokens.0.len() && c.tokens.0.iter().all(|r| c.memory.0.contains(r))
}

fn group(cores: &[Core]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, c) in cores.iter().enumerate() {
        match groups.iter_mut().find(|l| cores[l[0]].tokens == c.tokens) {
            Some(l) => l.push(i),
            None => groups.push(vec![i]),
        }
    }
    groups
}

fn tokens(interp: &Interp, sequence: &Axis) -> Result<Tokens, Refusal> {
    let atoms = &interp.atoms;
    let refuse = |why: String| {
        Refusal::new(
            Code::AIL0206,
            why,
            "a model whose tokens are a row-major grid of patches, with fixed numbers of other tokens",
        )
    };
    // A sequence that is one factor of another name: look inside.
    let spatial: Vec<usize> =
        (0..sequence.0.len()).filter(|&i| atoms.is_spatial(&Axis(vec![sequence.0[i].clone()]))).collect();
    let [at] = spatial[..] else {
        return Err(refuse(format!("the sequence [{}] holds more than one stretch of patches", atoms.show(sequence))));
    };
    let count = |runs: &[Run]| -> Result<usize, Refusal> {
        runs.iter().try_fold(0usize, |n, r| {
            let size = atoms.symbols.known(&atoms.run_size(r)).and_then(|k| usize::try_from(k).ok());
            Ok(n + size.ok_or_else(|| refuse("the number of class or register tokens is not fixed".to_owned()))?)
        })
    };
    let patches = sequence.0[at].clone();
    let mut grid = patches.clone();
    let mut permuted = false;
    while let [Factor::Atom(a)] = grid[..]
        && let Origin::Permuted(run) = &atoms.get(a).origin
    {
        grid = run.clone();
        permuted = true;
    }
    let [Factor::Atom(rows), Factor::Atom(columns)] = grid[..] else {
        return Err(refuse(format!(
            "the patches [{}] are not a grid of rows and columns",
            atoms.show(&Axis(vec![patches]))
        )));
    };
    Ok(Tokens {
        sequence: sequence.clone(),
        patches,
        grid: (rows, columns),
        permuted,
        prefix: count(&sequence.0[..at])?,
        suffix: count(&sequence.0[at + 1..])?,
    })
}

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

struct Search<'a, 'm> {
    interp: &'a Interp<'m>,
    g: &'a Graph,
    tokens: &'a Tokens,
}

impl Search<'_, '_> {
    fn carries_tokens(&self, v: ValueId) -> bool {
        let (rows, columns) = self.tokens.grid;
        self.interp.get(v).is_some_and(|a| {
            let along = |atom| a.axes().iter().any(|x| x.mentions(atom));
            let sequence = a.axes().iter().any(|x| x.contains_run(&self.tokens.patches));
            a.activation && (sequence || along(rows) && along(columns))
        })
    }

    /// Follows scales, casts and layout changes back to a value that `accept` knows.
    fn strip(&self, mut v: ValueId, accept: &dyn Fn(ValueId) -> bool) -> Option<ValueId> {
        for _ in 0..16 {
            if accept(v) {
                return Some(v);
            }
            let (n, _) = self.g.producer(v)?;
            let node = self.g.node(n);
            let mut data = node.inputs.iter().flatten().filter(|&&i| self.interp.get(i).is_some_and(|a| a.activation));
            let next = *data.next()?;
            let plain = matches!(
                node.op_type.as_str(),
                "Mul"
                    | "Cast"
                    | "Identity"
                    | "Reshape"
                    | "Transpose"
                    | "Squeeze"
                    | "Unsqueeze"
                    | "Dropout"
                    | "QuantizeLinear"
                    | "DequantizeLinear"
                    | "QLinearMul"
            );
            if !plain || data.next().is_some() {
                return None;
            }
            v = next;
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
            if out == join || self.interp.get(out).is_none_or(|x| x.axes() != axes) {
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

fn streams(interp: &Interp, tokens: Tokens, cores: Vec<Core>, other_cores: Vec<Core>) -> Result<Trunk, Refusal> {
    let g = &interp.model.graph;
    let search = Search { interp, g, tokens: &tokens };
    let mut streams = Vec::with_capacity(cores.len() + 1);
    let mut last_join = None;
    for c in &cores {
        let (sum, stream) = search.join(c).ok_or_else(|| {
            Refusal::new(
                Code::AIL0205,
                "the result of this attention is never added to the tensor its block started from",
                "only blocks with a residual connection around attention can be merged",
            )
            .at(g, c.context)
        })?;
        streams.push(stream);
        last_join = Some((sum, stream));
    }
    let post_norm = streams[1..].iter().any(|&s| made_by_norm(g, s));
    let mut barred = NodeSet::empty(g);
    if let (Some(last), false) = (cores.last(), other_cores.is_empty()) {
        let late: Vec<ValueId> = other_cores
            .iter()
            .filter(|c| ancestors(g, [c.query]).contains(last.context))
            .filter_map(|c| g.node(c.context).output(0))
            .collect();
        barred = descendants(g, late);
    }
    if let Some((sum, stream)) = last_join {
        streams.push(search.end(sum, stream, post_norm, &barred));
    }
    Ok(Trunk { tokens, cores, streams, post_norm, other_cores })
}

fn made_by_norm(g: &Graph, v: ValueId) -> bool {
    g.producer(v).is_some_and(|(n, slot): (NodeId, usize)| {
        let node = g.node(n);
        slot == 0 && (is_norm(&node.op_type) || node.op_type.starts_with("Skip") && node.output(3).is_none())
    })
}

impl Trunk {
    /// Nodes of block `k` (counted from 1).
    pub fn block(&self, g: &Graph, k: usize) -> NodeSet {
        descendants(g, [self.streams[k - 1]]).and(&ancestors(g, [self.streams[k]]))
    }
}
