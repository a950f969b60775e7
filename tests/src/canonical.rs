//! Streams in the order `[B, T, C]`, whatever order the model keeps them in.

use ailurus_rewrite::layout::Layout;
use ailurus_runtime::{DataType, Tensor};
use anyhow::{Result, bail, ensure};
use half::f16;

/// A stream `[B, T, C]`.
#[derive(Clone, Debug)]
pub struct Stream {
    /// B
    pub batch: usize,
    /// T
    pub tokens: usize,
    /// C
    pub channels: usize,
    /// Elements, row-major; those of 16-bit streams are exact here.
    pub data: Vec<f32>,
}

impl Stream {
    /// Reads a tensor in this layout.
    pub fn read(t: &Tensor, layout: Layout, batch: usize) -> Result<Self> {
        let data: Vec<f32> = t.to_f64().into_iter().map(|v| v as f32).collect();
        let (tokens, channels) = match (layout, t.dims()) {
            (Layout::BatchTokenChannel, &[b, t, c]) if b == batch => (t, c),
            (Layout::TokenBatchChannel, &[t, b, c]) if b == batch => (t, c),
            (Layout::TokenChannel, &[t, c]) if batch == 1 => (t, c),
            (Layout::BatchChannelToken, &[b, c, t]) if b == batch => (t, c),
            (Layout::Map, &[b, h, w, c]) | (Layout::ChannelMap, &[b, c, h, w]) if b == batch => (h * w, c),
            (Layout::Flat, &[bt, c]) if bt % batch == 0 => (bt / batch, c),
            (layout, dims) => bail!("{dims:?} is not {layout:?} with a batch of {batch}"),
        };
        let data = match layout {
            Layout::TokenBatchChannel => swap(&data, tokens, batch, channels),
            Layout::BatchChannelToken | Layout::ChannelMap => flip(&data, channels, tokens),
            _ => data,
        };
        Ok(Self { batch, tokens, channels, data })
    }

    /// The tensor in this layout.
    pub fn write(&self, layout: Layout, dtype: DataType) -> Result<Tensor> {
        let (b, t, c) = (self.batch, self.tokens, self.channels);
        let (dims, data) = match layout {
            Layout::BatchTokenChannel => (vec![b, t, c], self.data.clone()),
            Layout::TokenBatchChannel => (vec![t, b, c], swap(&self.data, b, t, c)),
            Layout::BatchChannelToken => (vec![b, c, t], flip(&self.data, t, c)),
            Layout::TokenChannel => {
                ensure!(b == 1, "a batch of {b} in a layout without batch");
                (vec![t, c], self.data.clone())
            }
            Layout::Flat => (vec![b * t, c], self.data.clone()),
            Layout::Map | Layout::ChannelMap => bail!("a map has rows and columns"),
        };
        Ok(Tensor::new(dims, data)?.cast(dtype))
    }

    /// Rows picked per image: `rows` is `[B, R]`.
    pub fn pick(&self, rows: &[i32]) -> Self {
        let each = rows.len() / self.batch;
        let mut data = Vec::with_capacity(rows.len() * self.channels);
        for (i, &row) in rows.iter().enumerate() {
            let at = (i / each * self.tokens + row as usize) * self.channels;
            data.extend_from_slice(&self.data[at..at + self.channels]);
        }
        Self { tokens: each, data, ..*self }
    }

    /// The elements as 16-bit floats.
    pub fn halves(&self) -> Vec<f16> {
        self.data.iter().map(|&v| f16::from_f32(v)).collect()
    }

    /// The same sizes with other elements.
    pub fn with<E: ailurus_ops::Element>(&self, tokens: usize, data: &[E]) -> Self {
        Self { tokens, data: data.iter().map(|v| v.to_f32()).collect(), ..*self }
    }
}

/// `[A, B, C]` to `[B, A, C]`.
fn swap(data: &[f32], a: usize, b: usize, c: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(data.len());
    for j in 0..b {
        for i in 0..a {
            let at = (i * b + j) * c;
            out.extend_from_slice(&data[at..at + c]);
        }
    }
    out
}

/// `[.., A, B]` to `[.., B, A]`.
fn flip(data: &[f32], a: usize, b: usize) -> Vec<f32> {
    let each = |m: &[f32]| (0..b).flat_map(|j| (0..a).map(move |i| i * b + j)).map(|at| m[at]).collect::<Vec<_>>();
    data.chunks_exact((a * b).max(1)).flat_map(each).collect()
}
