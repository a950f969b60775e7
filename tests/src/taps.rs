//! Where the number of tokens that an attention core runs on can be seen.

use ailurus_analyze::{
    Analysis,
    cores::Core,
    walk::{ancestors, descendants},
};
use ailurus_onnx::{NodeId, ValueId};
use anyhow::{Context, Result, bail};

/// The normalisation of a core, or the core itself when it is one operator.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// A softmax over keys, of numbers or of what stands for them in 8 bits.
    Softmax {
        /// its node
        node: NodeId,
        /// what it normalises
        scores: ValueId,
        /// the axis, counted from the back
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
        let scores = g.node(core.scores).output(0).context("scores")?;
        let context = g.node(core.context).inputs.iter().flatten().copied();
        let between = descendants(g, [scores]).and(&ancestors(g, context));
        let softmax = |op: &str| matches!(op, "Softmax" | "QLinearSoftmax");
        let mut found = g.nodes().filter(|(id, n)| between.contains(*id) && softmax(&n.op_type));
        let Some((node, softmax)) = found.next() else { bail!("no Softmax between scores and context") };
        let scores = softmax.input(0).context("Softmax without input")?;
        let rank = a.interp.get(scores).and_then(|x| x.rank()).context("scores of unknown rank")? as i64;
        let old = softmax.op_type == "Softmax" && a.interp.model.opset() < 13;
        let axis = softmax.int("axis", if old { 1 } else { -1 });
        let from_back = if axis < 0 { -axis } else { rank - axis };
        Ok(Self::Softmax { node, scores, from_back: from_back as usize })
    }

    /// True where scores exist in 8 bits only, so that nothing can be added to them.
    pub fn is_stored(&self, a: &Analysis) -> bool {
        let (Self::Softmax { node, .. } | Self::Fused(node)) = *self;
        matches!(a.interp.model.graph.node(node).op_type.as_str(), "QLinearSoftmax" | "QAttention")
    }

    /// A value that has an axis of as many elements as the core has tokens, and that axis counted from the back.
    pub fn counter(&self, a: &Analysis) -> Result<(String, usize)> {
        let g = &a.interp.model.graph;
        match *self {
            Self::Softmax { scores, from_back, .. } => Ok((g.name_of(scores).to_owned(), from_back)),
            // [B, T, C] or [B, H, T, d]
            Self::Fused(node) => Ok((g.name_of(g.node(node).output(0).context("no output")?).to_owned(), 2)),
        }
    }
}

/// The places of all cores of the trunk.
pub fn places(a: &Analysis) -> Result<Vec<Place>> {
    a.trunk.cores.iter().map(|c| Place::of(a, c)).collect()
}
