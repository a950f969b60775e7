//! A case: everything that is drawn.

use super::draw::{Draw, choices, records};
use proptest::prelude::*;

choices! {
    /// What is open in the graph's input.
    Open { Batch, One, Two, BatchAndGrid }
    Stream { Btc, Tbc, Tc, Flat, Bct }
    Constants { Initializers, Shared, Nodes }
    /// Where sizes come from: baked in where possible, read where they are used, read once in front of the blocks.
    Shapes { Constant, Local, Shared }
    /// How a size is picked from a shape.
    Sizes { Gather, GatherUnsqueeze, Slice }
    Embed { Conv, SpaceToDepth }
    Position { Table, PatchesOnly, RowsColumns, Nothing, PerBlock }
    /// Extra tokens that join in front of the position table, or behind it.
    Registers { Before, After }
    Norm { Layer, LayerSpelt, Rms, RmsSpelt, RmsSimplified }
    Order { Pre, Post, Sandwich }
    Mlp { Relu, GeluErf, GeluTanh, GeluOp, SwiGluPacked, SwiGlu }
    MlpWidth { Twice, Tokens, Channels }
    Qkv { Separate, Split, GatherFirst, SliceSqueeze, GatherInner, Interleaved }
    Core { Matmul, Einsum, EinsumTokenFirst, Folded, Standard, MicrosoftMha, MicrosoftAttention }
    Scale { Query, Key, Both, Scores, Computed, Nothing }
    Softmax { Op, Spelt, Cast, Guarded, TransposedTwice }
    Bias { Nothing, Constant, Table, TableReshaped, Alibi }
    /// Which patches may be seen, as second input of the graph.
    Mask { Nothing, Where, Added }
    Rope { Nothing, All, Patches, PerHead, Range }
    Half { SliceNegConcat, Interleaved }
    Keys { Heads, Grouped, Single }
    Repeat { Expand, Tile }
    Blocks { Serial, Parallel, TwoAttentions }
    Head { Sequence, Dense, DenseConv, Gap, Class, Taps, Readout, Decoder }
}

records! {
    Graph { open: Open, stream: Stream, constants: Constants, shapes: Shapes, sizes: Sizes, noops: bool }
    Tokens { embed: Embed, position: Position, registers: Registers }
    Block { norm: Norm, order: Order, blocks: Blocks, layer_scale: bool, skip_norm: bool }
    Feed { mlp: Mlp, width: MlpWidth, flat: bool, fused_bias: bool }
    Attention { qkv: Qkv, core: Core, keys: Keys, repeat: Repeat, qk_norm: bool, value_gate: bool, rope: Rope, half: Half }
    Scores { scale: Scale, softmax: Softmax, bias: Bias, mask: Mask, sink: bool, talking: bool }
    Case {
        opset: Opset, sizes: Dims, graph: Graph, tokens: Tokens, block: Block, feed: Feed, attention: Attention,
        scores: Scores, head: Head, latest: bool, copy: bool, proportional: bool,
    }
}

/// The operator set.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct Opset(pub i64);

impl Draw for Opset {
    fn draw() -> BoxedStrategy<Self> {
        proptest::sample::select(vec![17, 11, 13, 14, 18, 20, 23]).prop_map(Self).boxed()
    }
}

/// Numbers; small, so that many of them are equal by chance.
#[derive(Clone, Debug)]
pub struct Dims {
    pub grid: (i64, i64),
    pub prefix: i64,
    pub suffix: i64,
    pub heads: i64,
    pub head_dim: i64,
    pub blocks: usize,
}

impl Draw for Dims {
    fn draw() -> BoxedStrategy<Self> {
        let few = proptest::sample::select(vec![1, 0, 1, 2, 3, 5]);
        let rare = proptest::sample::select(vec![0, 0, 0, 1, 2, 3]);
        ((2..5i64, 2..6i64), few, rare, 1..5i64, proptest::sample::select(vec![4, 2, 6, 8, 3]), 2..4usize)
            .prop_map(|(grid, prefix, suffix, heads, head_dim, blocks)| Self {
                grid,
                prefix,
                suffix,
                heads,
                head_dim,
                blocks,
            })
            .boxed()
    }
}

impl Case {
    pub fn patches(&self) -> i64 {
        self.sizes.grid.0 * self.sizes.grid.1
    }

    pub fn tokens(&self) -> i64 {
        self.sizes.prefix + self.patches() + self.sizes.suffix
    }

    pub fn channels(&self) -> i64 {
        self.sizes.heads * self.sizes.head_dim
    }

    pub fn key_heads(&self) -> i64 {
        match self.attention.keys {
            Keys::Heads => self.sizes.heads,
            Keys::Grouped if self.sizes.heads % 2 == 0 => self.sizes.heads / 2,
            _ => 1,
        }
    }

    /// Images in the test's input.
    pub fn batch(&self) -> i64 {
        if self.graph.open == Open::One { 1 } else { 2 }
    }

    pub fn open_grid(&self) -> bool {
        self.graph.open == Open::BatchAndGrid
    }

    pub fn open_batch(&self) -> bool {
        matches!(self.graph.open, Open::Batch | Open::BatchAndGrid)
    }

    pub fn fused(&self) -> bool {
        matches!(self.attention.core, Core::Standard | Core::MicrosoftMha | Core::MicrosoftAttention)
    }

    /// Takes back what cannot be written down together.
    pub fn normal(mut self) -> Self {
        let o = self.opset.0;
        if self.graph.stream == Stream::Tc {
            self.graph.open = Open::One;
        }
        if self.open_grid() {
            // Refused, with a reason: batch and tokens in one axis, and neither number known.
            if self.graph.stream == Stream::Flat {
                self.graph.stream = Stream::Btc;
            }
            // Tables with a row per token cannot follow a grid that changes.
            if self.tokens.position != Position::Nothing {
                self.tokens.position = Position::Table;
            }
            if !matches!(self.scores.bias, Bias::Nothing | Bias::Alibi) {
                self.scores.bias = Bias::Nothing;
            }
            if self.attention.rope != Rope::Range {
                self.attention.rope = Rope::Nothing;
            }
        }
        if matches!(self.attention.core, Core::MicrosoftAttention | Core::MicrosoftMha) {
            (self.attention.keys, self.attention.qk_norm, self.attention.rope) = (Keys::Heads, false, Rope::Nothing);
        }
        if matches!(self.graph.stream, Stream::Flat | Stream::Tc) && self.tokens.position == Position::PerBlock {
            self.tokens.position = Position::Table;
        }
        if self.attention.core == Core::Standard && o < 23 {
            self.attention.core = Core::Matmul;
        }
        if matches!(self.attention.core, Core::Einsum | Core::EinsumTokenFirst) && o < 12 {
            self.attention.core = Core::Matmul;
        }
        if self.fused() {
            let Scores { mask, bias, .. } = self.scores;
            let (bias, mask) =
                if self.attention.core == Core::Standard { (bias, mask) } else { (Bias::Nothing, Mask::Nothing) };
            self.scores =
                Scores { scale: Scale::Scores, softmax: Softmax::Op, bias, mask, sink: false, talking: false };
            self.proportional = false;
        }
        if self.scores.softmax == Softmax::Spelt || self.scores.sink {
            self.proportional = false;
        }
        if self.attention.core == Core::Folded {
            self.scores.talking = false;
            if self.sizes.heads > 1 {
                // Refused, with a reason: each row of a table would be needed once per head.
                (self.scores.bias, self.scores.mask, self.scores.sink) = (Bias::Nothing, Mask::Nothing, false);
            }
        }
        if self.sizes.head_dim % 2 == 1 {
            self.attention.rope = Rope::Nothing;
        }
        if self.attention.keys != Keys::Heads {
            self.attention.qkv = Qkv::Separate;
            if self.attention.rope == Rope::PerHead {
                self.attention.rope = Rope::All;
            }
        }
        if self.block.norm == Norm::Rms && o < 23 {
            self.block.norm = Norm::RmsSpelt;
        }
        if self.block.norm == Norm::Layer && o < 17 {
            self.block.norm = Norm::LayerSpelt;
        }
        if self.feed.mlp == Mlp::GeluOp && o < 20 {
            self.feed.mlp = Mlp::GeluErf;
        }
        if self.block.order != Order::Pre && self.block.blocks == Blocks::Parallel {
            self.block.blocks = Blocks::Serial;
        }
        if matches!(self.head, Head::Readout | Head::Class) && self.sizes.prefix == 0 {
            self.head = Head::Dense;
        }
        // Between two blocks that add positions lies no stream: what is read there is copied.
        self.copy |= self.head == Head::Taps && self.tokens.position == Position::PerBlock;
        if self.head == Head::Decoder {
            self.copy = true;
        }
        self.latest &= matches!(self.head, Head::Decoder | Head::Dense | Head::Sequence);
        self.copy |= self.latest || self.proportional;
        self
    }
}
