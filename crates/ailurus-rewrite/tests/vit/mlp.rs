//! What each token does by itself.

use super::{
    case::{Mlp, MlpWidth, Stream},
    net::{At, D, Net, V, text},
};

impl Net<'_> {
    pub fn mlp(&mut self, v: V) -> V {
        let (case, c) = (self.case, self.case.channels());
        let width = match case.feed.width {
            MlpWidth::Twice => 2 * c,
            MlpWidth::Tokens => case.tokens(),
            MlpWidth::Channels => c,
        };
        // The stream flattened around the MLP only.
        let flat = case.feed.flat && case.graph.stream == Stream::Btc;
        let mut y = if flat { self.reshape(v, &[D::N(-1), D::N(c)], None) } else { v };
        y = match case.feed.mlp {
            Mlp::SwiGluPacked => {
                let both = self.project(y, c, 2 * width);
                let parts = self.split(both, self.channel_axis(), &[width, width]);
                self.gate(parts[0], parts[1])
            }
            Mlp::SwiGlu => {
                let (a, b) = (self.project(y, c, width), self.project(y, c, width));
                self.gate(a, b)
            }
            Mlp::GeluErf if case.feed.fused_bias && case.graph.stream != Stream::Bct => {
                let (w, b) = (self.noise(&[c, width], 1.2), self.noise(&[width], 0.2));
                let product = self.op("MatMul", &[y, w], &[]);
                self.microsoft("BiasGelu", &[product, b], &[])
            }
            _ => {
                let hidden = self.project(y, c, width);
                self.bend(hidden)
            }
        };
        y = self.noop(y);
        y = self.project(y, width, c);
        if flat { self.reshape(y, &[D::Batch, D::Tokens, D::N(c)], Some(At(v, Some(0), Some(1)))) } else { y }
    }

    fn gate(&mut self, a: V, b: V) -> V {
        let open = self.op("Sigmoid", &[a], &[]);
        let silu = self.two("Mul", a, open);
        self.two("Mul", silu, b)
    }

    fn bend(&mut self, v: V) -> V {
        match self.case.feed.mlp {
            Mlp::Relu => self.op("Relu", &[v], &[]),
            Mlp::GeluOp => self.op("Gelu", &[v], &[("approximate", text("tanh"))]),
            Mlp::GeluTanh => {
                let (k, one, half) = (self.float(0.044715), self.float(1.0), self.float(0.5));
                let (cube, root) = (self.float(3.0), self.float(0.797_884_6));
                let power = self.two("Pow", v, cube);
                let scaled = self.two("Mul", power, k);
                let sum = self.two("Add", v, scaled);
                let inner = self.two("Mul", sum, root);
                let tanh = self.op("Tanh", &[inner], &[]);
                let factor = self.two("Add", tanh, one);
                let product = self.two("Mul", v, factor);
                self.two("Mul", product, half)
            }
            _ => {
                let (root, one, half) = (self.float(std::f32::consts::SQRT_2), self.float(1.0), self.float(0.5));
                let scaled = self.two("Div", v, root);
                let erf = self.op("Erf", &[scaled], &[]);
                let sum = self.two("Add", erf, one);
                let product = self.two("Mul", v, sum);
                self.two("Mul", product, half)
            }
        }
    }
}
