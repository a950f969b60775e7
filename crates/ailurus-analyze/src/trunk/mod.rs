//! The trunk: a chain of blocks around one residual stream, and the grid its tokens come from.

mod chains;
pub(crate) mod grids;
mod streams;
mod tokens;

use crate::{
    axis::{AtomId, Axis, Run},
    cores::{Core, Fault},
    interp::Interp,
    refusal::{Code, Refusal, describe},
    walk::{NodeSet, ancestors, descendants},
    windows,
};
use ailurus_onnx::{Graph, ValueId};

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

/// A transformer block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its attention cores: one, or several that run side by side and are added to the same stream.
    pub cores: Vec<Core>,
}

/// A chain of transformer blocks.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its tokens.
    pub tokens: Tokens,
    /// The blocks in order.
    pub blocks: Vec<Block>,
    /// `streams[k]` is the residual stream after block `k` (0: what enters the first block). One more than blocks.
    pub streams: Vec<ValueId>,
    /// The stream is normalised in place: blocks end in a norm.
    pub post_norm: bool,
    /// Cores outside the trunk (decoders and the like).
    pub other_cores: Vec<Core>,
}

/// Finds the trunk, or says why there is none. `wish` names a tensor, a node or an input of the trunk to take.
pub fn find(interp: &Interp, cores: Vec<Core>, wish: Option<&str>) -> Result<Trunk, Refusal> {
    let g = &interp.model.graph;
    if cores.is_empty() {
        return Err(crate::absent::why(interp));
    }
    let (chosen, other_cores) = chains::choose(interp, cores, wish)?;
    let first = chosen.first().ok_or_else(|| crate::absent::why(interp))?;
    let windowed = chosen.iter().find(|c| c.windowed).and_then(|c| grids::sequence(interp, c));
    let tokens = tokens::of(interp, windowed.as_ref().unwrap_or(&first.tokens)).map_err(|r| r.at(g, first.scores))?;
    let windows = chosen.iter().find(|c| c.windowed).cloned();
    streams::follow(interp, tokens, chosen, other_cores).map_err(|refusal| match windows {
        // Blocks that change their windows in a way that is not understood.
        Some(core) => windows::refuse(interp, &core, Fault::Windows, None),
        None => refusal,
    })
}

impl Trunk {
    /// Attention cores of the blocks behind block `layer`.
    pub fn cores_behind(&self, layer: usize) -> impl Iterator<Item = &Core> {
        self.blocks.iter().skip(layer).flat_map(|b| &b.cores)
    }

    /// The first core behind block `layer` that runs inside windows.
    pub fn window_behind(&self, layer: usize) -> Option<&Core> {
        self.cores_behind(layer).find(|c| c.windowed)
    }

    /// Nodes of block `k` (counted from 1).
    pub fn block(&self, g: &Graph, k: usize) -> NodeSet {
        descendants(g, [self.streams[k - 1]]).and(&ancestors(g, [self.streams[k]]))
    }
}

fn no_residual(interp: &Interp, core: &Core) -> Refusal {
    let g = &interp.model.graph;
    let before = ancestors(g, [core.query, core.key, core.value]);
    let behind = descendants(g, g.node(core.context).outputs.iter().flatten().copied());
    let lost = interp.opaque.iter().find(|&&n| before.contains(n) || behind.contains(n));
    let hint = lost.map(|&n| format!("; what {} does is not understood", describe(g, n))).unwrap_or_default();
    Refusal::new(
        Code::AIL0205,
        format!("the result of this attention is never added to the tensor its block started from{hint}"),
        "only blocks with a residual connection around attention can be merged",
    )
    .at(g, core.context)
}
