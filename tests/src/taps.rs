//! Where the number of tokens that an attention core runs on can be seen.

use ailurus_analyze::{
    Analysis,
    cores::Core,
    walk::{ancestors, descendants},
};
use ailurus_onnx::{NodeId, ValueId};
use anyhow::{Context, Result, bail};

/// A place in a core where tokens can be hidden or counted.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In front of a softmax over the keys, of numbers or of what stands for them in 8 bits.
    Softmax {
        /// its node
        node: NodeId,
        /// what it normalises
        scores: ValueId,
        /// the axis of the keys, counted from the back
        from_back: usize,
    },
    /// The scores themselves, where keys of another kind are appended before they are normalised, or where no `Softmax` does.
    Scores {
        /// their value
        scores: ValueId,
        /// the axis of the keys, counted from the back
        from_back: usize,
    },
    /// Probabilities as the context reads them, where heads are mixed behind the softmax: what was hidden is not zero there.
    Gate {
        /// the contraction
        context: NodeId,
        /// its input
        slot: usize,
        /// the axis of the keys, counted from the back
        from_back: usize,
    },
    /// A fused operator.
    Fused(NodeId),
}

impl Place {
    /// Finds it.
    pub fn of(a: &Analysis, core: &Core) -> Result<Self> {
        let g = &a.interp.model.graph;
        if core.scores == core.context {
            return Ok(Self::Fused(core.scores));
        }
        let node = g.node(core.scores);
        let first = node.output(0).context("scores")?;
        let context = g.node(core.context).inputs.iter().flatten().copied();
        let between = descendants(g, [first]).and(&ancestors(g, context));
        let softmax = |op: &str| matches!(op, "Softmax" | "QLinearSoftmax");
        let mut found = g.nodes().filter(|(id, n)| between.contains(*id) && softmax(&n.op_type));
        if let Some((node, softmax)) = found.next() {
            let scores = softmax.input(0).context("Softmax without input")?;
            let abs = a.interp.get(scores).context("unknown scores")?;
            let rank = abs.rank().context("scores of unknown rank")? as i64;
            let old = softmax.op_type == "Softmax" && a.interp.model.opset() < 13;
            let axis = softmax.int("axis", if old { 1 } else { -1 });
            let from_back = if axis < 0 { -axis } else { rank - axis };
            if abs.axes()[(rank - from_back) as usize] == core.memory {
                return Ok(Self::Softmax { node, scores, from_back: from_back as usize });
            }
        }
        if node.op_type == "Einsum" {
            bail!("no Softmax over the tokens between scores and context");
        }
        let from_back = if node.input(0) == Some(core.query) { 1 } else { 2 };
        Ok(Self::Scores { scores: scaled(a, first), from_back })
    }

    /// A gate, where heads are mixed between softmax and context.
    pub fn gate(a: &Analysis, core: &Core) -> Option<Self> {
        let g = &a.interp.model.graph;
        let Ok(Self::Softmax { node, .. }) = Self::of(a, core) else { return None };
        let context = g.node(core.context);
        let slot = context.inputs.iter().position(|&i| i != Some(core.value))?;
        let between =
            descendants(g, g.node(node).outputs.iter().flatten().copied()).and(&ancestors(g, [context.input(slot)?]));
        let mixes = g.nodes().any(|(id, n)| {
            between.contains(id) && matches!(n.op_type.as_str(), "MatMul" | "Gemm" | "Einsum" | "Conv" | "FusedMatMul")
        });
        let from_back = match context.op_type.as_str() {
            "MatMul" => Some(if slot == 0 { 1 } else { 2 }),
            "Einsum" => summed_letter(context.str("equation")?, slot),
            _ => None,
        };
        from_back.filter(|_| mixes).map(|from_back| Self::Gate { context: core.context, slot, from_back })
    }

    /// True where scores exist in 8 bits only, so that nothing can be added to them.
    pub fn is_stored(&self, a: &Analysis) -> bool {
        let (Self::Softmax { node, .. } | Self::Fused(node)) = *self else { return false };
        matches!(a.interp.model.graph.node(node).op_type.as_str(), "QLinearSoftmax" | "QAttention")
    }

    /// A value that has an axis of as many elements as the core has tokens, and that axis counted from the back.
    pub fn counter(&self, a: &Analysis) -> Result<(String, usize)> {
        let g = &a.interp.model.graph;
        match *self {
            Self::Softmax { scores, from_back, .. } | Self::Scores { scores, from_back } => {
                Ok((g.name_of(scores).to_owned(), from_back))
            }
            Self::Gate { context, slot, from_back } => {
                Ok((g.name_of(g.node(context).input(slot).context("no input")?).to_owned(), from_back))
            }
            // [B, T, C] or [B, H, T, d]
            Self::Fused(node) => Ok((g.name_of(g.node(node).output(0).context("no output")?).to_owned(), 2)),
        }
    }
}

/// Place from the back, in the term of one operand, of the letter that both operands have and the result has not.
fn summed_letter(equation: &str, slot: usize) -> Option<usize> {
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (terms, result) = equation.split_once("->")?;
    let (one, two) = terms.split_once(',')?;
    let (own, other) = if slot == 0 { (one, two) } else { (two, one) };
    let at = own.chars().position(|c| other.contains(c) && !result.contains(c))?;
    Some(own.chars().count() - at)
}

/// Scores behind their scale and bias: a number added in front of a scale would be scaled as well.
fn scaled(a: &Analysis, mut scores: ValueId) -> ValueId {
    let g = &a.interp.model.graph;
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
    scores
}

/// The places of these cores.
pub fn places<'c>(a: &Analysis, cores: impl Iterator<Item = &'c Core>) -> Result<Vec<Place>> {
    let mut list = Vec::new();
    for core in cores {
        list.push(Place::of(a, core)?);
        list.extend(Place::gate(a, core));
    }
    Ok(list)
}
