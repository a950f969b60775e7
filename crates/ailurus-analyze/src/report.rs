//! Plain-data summary of an analysis.

use crate::{Analysis, flops, refusal::describe};
use serde::Serialize;

/// What `ailurus inspect` shows.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Standard operator set.
    pub opset: i64,
    /// Number of nodes.
    pub nodes: usize,
    /// Tokens of the sequence.
    pub tokens: TokenReport,
    /// Stream normalised in place.
    pub post_norm: bool,
    /// Blocks in order.
    pub blocks: Vec<BlockReport>,
    /// Attention cores outside these blocks (decoders).
    pub other_attention: Vec<String>,
    /// Operations of the whole model, one image.
    pub flops: f64,
    /// An operator behind the blocks that is not understood and may hide further ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_understood: Option<String>,
}

/// The sequence.
#[derive(Clone, Debug, Serialize)]
pub struct TokenReport {
    /// `[1 | 12·12]`: prefix, rows·columns, suffix.
    pub layout: String,
    /// Rows of the patch grid, when static.
    pub grid_h: Option<usize>,
    /// Columns of the patch grid, when static.
    pub grid_w: Option<usize>,
    /// Patches, when static.
    pub patches: Option<usize>,
    /// Tokens before the patches.
    pub prefix: usize,
    /// Tokens behind the patches.
    pub suffix: usize,
    /// Tokens were permuted after patch embedding.
    pub permuted: bool,
    /// Channels of the stream, when static.
    pub channels: Option<i64>,
}

/// One block.
#[derive(Clone, Debug, Serialize)]
pub struct BlockReport {
    /// Counted from 1.
    pub index: usize,
    /// Value that enters the block.
    pub input: String,
    /// Value that leaves it: the cut for `--layer index`.
    pub output: String,
    /// Node that computes attention scores.
    pub attention: String,
    /// `6·6`: rows and columns of the windows that attention runs in, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Number of nodes.
    pub nodes: usize,
    /// Operations, one image.
    pub flops: f64,
}

pub(crate) fn of(a: &Analysis) -> Report {
    let g = &a.interp.model.graph;
    let t = &a.trunk;
    let counts = flops::per_node(&a.interp);
    let blocks = (1..=t.blocks.len())
        .map(|k| {
            let set = t.block(g, k);
            let core = &t.blocks[k - 1].cores[0];
            BlockReport {
                index: k,
                input: g.name_of(t.streams[k - 1]).to_owned(),
                output: g.name_of(t.streams[k]).to_owned(),
                attention: describe(g, core.scores),
                window: core.windowed.then(|| a.interp.atoms.show(&core.tokens)),
                nodes: g.nodes().filter(|(id, _)| set.contains(*id)).count(),
                flops: counts.iter().filter(|(id, _)| set.contains(*id)).map(|(_, f)| f).sum(),
            }
        })
        .collect();
    let grid = a.grid();
    let stream = a.interp.get(t.streams[0]);
    Report {
        opset: a.interp.model.opset(),
        nodes: g.nodes().len(),
        tokens: TokenReport {
            layout: format!("[{}]", a.interp.atoms.show(&t.tokens.sequence)),
            grid_h: grid.map(|g| g.0),
            grid_w: grid.map(|g| g.1),
            patches: a.patches(),
            prefix: t.tokens.prefix,
            suffix: t.tokens.suffix,
            permuted: t.tokens.permuted,
            channels: stream.and_then(|s| a.interp.atoms.known(s.axes().last()?)),
        },
        post_norm: t.post_norm,
        blocks,
        other_attention: t.other_cores.iter().map(|c| describe(g, c.scores)).collect(),
        flops: counts.iter().map(|(_, f)| f).sum(),
        not_understood: a.hidden().map(|n| describe(g, n)),
    }
}
