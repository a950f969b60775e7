//! Small vision transformers with random weights, in many spellings. One file per concern.

mod attention;
pub mod case;
pub mod check;
pub mod draw;
mod embed;
mod heads;
mod layouts;
mod mlp;
mod net;
mod norms;
mod oracle;
mod positions;
mod scores;

use ailurus_onnx::{DataType, Dim, Model, TensorType};
use case::{Blocks, Case, Head, Mask, Order, Position};
use net::{Net, V};

pub const PATCH: i64 = 2;

/// A value from which the number of tokens an attention runs on can be read.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    /// its axis, counted from the back
    pub from_back: usize,
    /// keys that are no tokens
    pub extra: usize,
}

/// A model and where to look.
pub struct Built {
    pub model: Model,
    pub cores: Vec<Seen>,
    /// How many of them belong to the encoder's blocks.
    pub encoder: usize,
}

/// How the same network is evaluated on clusters.
#[derive(Clone, Copy, Debug)]
pub struct OnClusters {
    pub layer: usize,
    pub copy: bool,
    /// The decoder runs on clusters, too.
    pub late: bool,
}

/// Builds the model: inputs `image` and perhaps `visible`, output `out`.
pub fn build(case: &Case, seed: u32, clusters: Option<OnClusters>) -> Built {
    let mut net = Net::new(case, seed);
    if case.scores.mask != Mask::Nothing {
        let batch = if case.open_batch() { Dim::Param("batch".into()) } else { Dim::Value(case.batch()) };
        let tokens = if case.open_grid() { Dim::Param("tokens".into()) } else { Dim::Value(case.tokens()) };
        let ty = TensorType { dtype: DataType::Bool, shape: Some(vec![batch, tokens]) };
        net.mask = Some(net.edit.add_graph_input("visible", ty).expect("fresh name"));
    }
    if let Some(OnClusters { layer, copy, late }) = clusters {
        net.consult(layer, copy, late);
    }
    let x = net.embed();
    let mut x = net.enter(x);
    let mut taps = Vec::new();
    for done in 1..=case.sizes.blocks {
        x = net.block(x, done - 1);
        if case.head == Head::Taps {
            let tap = net.unfold(x);
            taps.push(tap);
        }
    }
    let encoder = net.cores.len();
    x = net.finish(x);
    if case.block.order != Order::Post {
        x = net.stream_norm(x);
    }
    x = net.leave(x);
    let (out, rank) = net.head(x, &taps);
    let out = net.op("Identity", &[out], &[]);
    net.edit.rename_value(out, "out").expect("fresh name");
    net.edit.add_graph_output(out).expect("a live value");
    let ty = TensorType { dtype: DataType::F32, shape: Some(vec![Dim::Unknown; rank]) };
    net.edit.set_type(out, ty).expect("a live value");
    net.edit.prune();
    Built { model: net.edit.finish().expect("a sound graph"), cores: net.cores, encoder }
}

impl Net<'_> {
    fn block(&mut self, x: V, done: usize) -> V {
        let block = &self.case.block;
        let x = if self.case.tokens.position == Position::PerBlock { self.block_position(x) } else { x };
        let x = self.compress(x, done);
        let order = block.order;
        let inner = if order == Order::Post { x } else { self.stream_norm(x) };
        let attended = self.branch(inner, Self::attention);
        if block.blocks == Blocks::Parallel {
            let beside = self.branch(inner, Self::mlp);
            let both = self.two("Add", attended, beside);
            return self.two("Add", x, both);
        }
        let attended = if block.blocks == Blocks::TwoAttentions {
            let second = if order == Order::Post { x } else { self.stream_norm(x) };
            let second = self.branch(second, Self::attention);
            self.two("Add", attended, second)
        } else {
            attended
        };
        let (sum, inner) = self.sum_and_norm(x, attended);
        let narrow = self.branch(inner, Self::mlp);
        match order {
            Order::Post => self.sum_and_norm(sum, narrow).1,
            _ => self.two("Add", narrow, sum),
        }
    }

    /// A branch beside the stream: what it does, its own norm, its scale.
    fn branch(&mut self, v: V, what: fn(&mut Self, V) -> V) -> V {
        let mut y = what(self, v);
        if self.case.block.order == Order::Sandwich {
            y = self.stream_norm(y);
        }
        if self.case.block.layer_scale {
            let scale = self.per_channel(1.0);
            y = self.two("Mul", y, scale);
        }
        self.noop(y)
    }

    /// The stream and its norm; behind a norm the norm is the stream.
    fn sum_and_norm(&mut self, x: V, y: V) -> (V, V) {
        let post = self.case.block.order == Order::Post;
        if self.case.block.skip_norm && self.is_plain_stream() {
            let c = self.case.channels();
            let (w, b) = (self.noise(&[c], 2.0), self.noise(&[c], 0.2));
            let ins = [x, y, w, b].map(Some);
            let outs: &[bool] = if post { &[true] } else { &[true, false, false, true] };
            let made = self.node("com.microsoft", "SkipLayerNormalization", &ins, outs, &[]);
            return (made[made.len() - 1], made[0]);
        }
        let sum = self.two("Add", x, y);
        let norm = self.stream_norm(sum);
        if post { (norm, norm) } else { (sum, norm) }
    }
}
