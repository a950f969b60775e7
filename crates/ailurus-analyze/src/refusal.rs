//! Why a model cannot be handled: stable codes, the place, the reason and the next step.

use serde::Serialize;

/// Stable code of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[allow(missing_docs, reason = "the table below is the documentation")]
pub enum Code {
    AIL0201,
    AIL0202,
    AIL0203,
    AIL0204,
    AIL0205,
    AIL0206,
    AIL0207,
    AIL0208,
    AIL0209,
    AIL0210,
    AIL0211,
    AIL0212,
    AIL0213,
}

impl Code {
    /// True where the model stands in the way, and not what was asked for.
    pub fn is_about_model(self) -> bool {
        !matches!(self, Self::AIL0202 | Self::AIL0212 | Self::AIL0213)
    }
}

/// Documentation of a code.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Code.
    pub code: Code,
    /// One line.
    pub title: &'static str,
    /// What it means, and what can be done.
    pub text: &'static str,
}

/// Every refusal of the analysis and the planner.
pub const ENTRIES: &[Entry] = &[
    Entry {
        code: Code::AIL0201,
        title: "no vision transformer found",
        text: "No contraction in the graph gives scores between image positions, so there is no attention to speed up. \
               Convolutional networks, language and audio models, video models and heads exported without their encoder end \
               here. If the model does contain a Vision Transformer, `ailurus inspect IN --report report.onnx` writes a file \
               without weights that can be attached to an issue.",
    },
    Entry {
        code: Code::AIL0202,
        title: "layer out of range or not found",
        text: "`--layer L` runs blocks 1..L on all tokens and needs at least one block after the cut, so L is between 1 and \
               the number of blocks minus one. L may also be a share of the blocks (`1/3`, `0.33`, `33%`), which is rounded \
               to a block in that range, or a name: of a tensor of the residual stream (the cut is there), of any other \
               tensor or node, or of a module such as `blocks.7` or `encoder.layer.7` (the cut is behind the block that \
               holds it). A name must lie in a single block, and not in the last one. `ailurus inspect` lists the blocks.",
    },
    Entry {
        code: Code::AIL0203,
        title: "windowed or hierarchical attention",
        text: "Attention runs inside windows, over a reduced map, over several grids one after the other, over channels, or \
               without a normalisation over the keys, so tokens cannot be merged freely. Models like Swin, Hiera, SegFormer, \
               PVT, XCiT, and SAM or ViTDet with windows are of this kind. The message names the operator that cut the grid. \
               Windows over one grid, with or without a shift, can be rewritten with `--method expedit --grid ROWSxCOLUMNS`, \
               whose clusters are a grid again. One stage of a hierarchical model can be rewritten by itself with \
               `--trunk NAME`.",
    },
    Entry {
        code: Code::AIL0204,
        title: "several independent trunks",
        text: "The graph holds more than one chain of transformer blocks over image positions, and they do not feed each \
               other: two pictures, or two encoders of one. `--trunk NAME` takes the one that a tensor, node, input or module \
               belongs to; the message lists them. To speed up both, export them as models of their own.",
    },
    Entry {
        code: Code::AIL0205,
        title: "no residual stream",
        text: "A block's attention output is never added to the tensor the block started from, so there is no stream in which \
               tokens could be merged.",
    },
    Entry {
        code: Code::AIL0206,
        title: "patch grid not recognised",
        text: "The tokens must be a row-major grid of patches, optionally with prefix or suffix tokens, because clustering \
               weighs distances on that grid. Sequences over time or over one spatial axis are not supported.",
    },
    Entry {
        code: Code::AIL0207,
        title: "operator depends on token positions inside the region",
        text: "Between the cut and the end of the encoder every operator must treat tokens alike. This one reads positions: \
               it convolves, pools, sorts, slices inside the patches or restores the grid. Choose a later `--layer`, so that \
               the operator lies before the cut.",
    },
    Entry {
        code: Code::AIL0208,
        title: "operator not understood inside the region",
        text: "The operator is unknown, or its shape could not be worked out, so nothing can be said about the tokens behind \
               it. Choose a later `--layer`, or simplify the model first (for example with onnxslim).",
    },
    Entry {
        code: Code::AIL0209,
        title: "attention maps leave the region",
        text: "A tensor with two token axes (attention scores or probabilities) is used outside the encoder blocks. It cannot \
               be unfolded to the full grid without its meaning changing. The same holds for a tensor of integers whose scale \
               is not a constant. Remove that output or choose a later `--layer`.",
    },
    Entry {
        code: Code::AIL0210,
        title: "table cannot be gathered",
        text: "A positional table or mask enters the region with the full number of tokens, in a layout whose rows cannot be \
               picked by representative token. Choose a later `--layer`, so that the table is used before the cut.",
    },
    Entry {
        code: Code::AIL0211,
        title: "keys of the next block not found",
        text: "`--metric keys` needs the projection that makes the keys of the block after the cut, with constant weights: \
               numbers, or integers with constant scales. Use `--metric stream`, which measures distances on the stream \
               itself.",
    },
    Entry {
        code: Code::AIL0212,
        title: "model was rewritten before",
        text: "The file already carries an ailurus plan in its metadata. Start from the original model, and choose another \
               layer or another number of tokens there.",
    },
    Entry {
        code: Code::AIL0213,
        title: "windows do not fit the grid of clusters",
        text: "Where attention runs inside windows, the windows shrink with the grid: of 48 rows in windows of 12, 32 rows of \
               clusters are left in windows of 8. A model that pads its map to whole windows takes any grid; this one does \
               not, and the rows or columns asked for cannot be cut into windows of one size. The message names the next \
               numbers that can.",
    },
];

/// Documentation of a code given as text (`AIL0207`).
pub fn explain(code: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|e| format!("{:?}", e.code).eq_ignore_ascii_case(code))
}

/// A refusal.
#[derive(Clone, Debug, Serialize, thiserror::Error)]
#[error("{code:?}: {reason}{}\n  next: {next}", place(node))]
pub struct Refusal {
    /// Stable code.
    pub code: Code,
    /// Node it is about: `name (Operator)`.
    pub node: Option<String>,
    /// What is wrong there.
    pub reason: String,
    /// What to try.
    pub next: String,
}

fn place(node: &Option<String>) -> String {
    node.as_ref().map(|n| format!("\n  node: {n}")).unwrap_or_default()
}

impl Refusal {
    /// A refusal without a place.
    pub fn new(code: Code, reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, node: None, reason: reason.into(), next: next.into() }
    }

    /// Names the node.
    #[must_use]
    pub fn at(mut self, graph: &ailurus_onnx::Graph, node: ailurus_onnx::NodeId) -> Self {
        self.node = Some(describe(graph, node));
        self
    }
}

/// `name (Operator)`, falling back to the first output for nameless nodes.
pub fn describe(graph: &ailurus_onnx::Graph, id: ailurus_onnx::NodeId) -> String {
    let n = graph.node(id);
    let name = if n.name.is_empty() {
        n.output(0).map(|v| graph.name_of(v).to_owned()).unwrap_or_default()
    } else {
        n.name.clone()
    };
    format!("{name} ({})", n.qualified_op())
}
