//! How the stream lies in memory.

use super::{
    case::Stream,
    net::{At, D, Ints, Net, V},
};

impl Net<'_> {
    /// From [B, T, C].
    pub fn enter(&mut self, v: V) -> V {
        let c = self.case.channels();
        match self.case.graph.stream {
            Stream::Btc => v,
            Stream::Tbc => self.transpose(v, &[1, 0, 2]),
            Stream::Tc => self.squeeze(v, &[0]),
            Stream::Flat => self.reshape(v, &[D::N(-1), D::N(c)], None),
            Stream::Bct => self.transpose(v, &[0, 2, 1]),
        }
    }

    /// To [B, T, C].
    pub fn leave(&mut self, v: V) -> V {
        let c = self.case.channels();
        match self.case.graph.stream {
            Stream::Btc => v,
            Stream::Tbc => self.transpose(v, &[1, 0, 2]),
            Stream::Tc => self.unsqueeze(v, &[0]),
            Stream::Flat => self.reshape(v, &[D::Batch, D::Tokens, D::N(c)], None),
            Stream::Bct => self.transpose(v, &[0, 2, 1]),
        }
    }

    /// Where a tensor in the stream's layout has batch and tokens.
    pub fn at(&self, v: V) -> Option<At> {
        match self.case.graph.stream {
            Stream::Btc => Some(At(v, Some(0), Some(1))),
            Stream::Tbc => Some(At(v, Some(1), Some(0))),
            Stream::Tc => Some(At(v, None, Some(0))),
            Stream::Flat => None,
            Stream::Bct => Some(At(v, Some(0), Some(2))),
        }
    }

    /// A projection of the channels, wherever they are.
    pub fn project(&mut self, v: V, from: i64, to: i64) -> V {
        match self.case.graph.stream {
            Stream::Bct => {
                let (w, b) = (self.noise(&[to, from, 1], 1.2), self.noise(&[to], 0.2));
                self.op("Conv", &[v, w, b], &[("kernel_shape", Ints(vec![1]))])
            }
            Stream::Flat | Stream::Tc if self.case.feed.flat => {
                let (w, b) = (self.noise(&[from, to], 1.2), self.noise(&[to], 0.2));
                self.op("Gemm", &[v, w, b], &[])
            }
            _ => self.linear(v, from, to),
        }
    }

    /// A projection of the last axis.
    pub fn linear(&mut self, v: V, from: i64, to: i64) -> V {
        let (w, b) = (self.noise(&[from, to], 1.2), self.noise(&[to], 0.2));
        let product = self.op("MatMul", &[v, w], &[]);
        self.two("Add", product, b)
    }

    /// A norm of the channels, wherever they are.
    pub fn stream_norm(&mut self, v: V) -> V {
        let c = self.case.channels();
        if self.case.graph.stream != Stream::Bct {
            return self.norm(v, c);
        }
        let last = self.transpose(v, &[0, 2, 1]);
        let normed = self.norm(last, c);
        self.transpose(normed, &[0, 2, 1])
    }

    /// A table with a number per channel, to be multiplied with the stream.
    pub fn per_channel(&mut self, scale: f32) -> V {
        let c = self.case.channels();
        let dims: &[i64] = if self.case.graph.stream == Stream::Bct { &[c, 1] } else { &[c] };
        self.noise(dims, scale)
    }

    pub fn channel_axis(&self) -> i64 {
        if self.case.graph.stream == Stream::Bct { 1 } else { -1 }
    }
}
