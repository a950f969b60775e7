//! What distances are measured on, computed from its definition.

use crate::canonical::Stream;
use ailurus_onnx::Model;
use ailurus_rewrite::plan::KeysPlan;
use anyhow::{Context, Result, ensure};

/// Head-mean keys: keys of every head from the stored weights, averaged over heads, in double precision.
pub fn keys(model: &Model, plan: &KeysPlan, input: &Stream) -> Result<Stream> {
    let constant = |name: &str| {
        let v = model.graph.find(name).with_context(|| format!("no value `{name}`"))?;
        let t = model.graph.constant(v).with_context(|| format!("`{name}` is no constant"))?;
        anyhow::Ok((t.dims.clone(), model.f32s(&t)?))
    };
    let (dims, weight) = constant(&plan.weight)?;
    let [first, second] = dims[..] else { anyhow::bail!("weights of shape {dims:?}") };
    let columns = if plan.transposed { first } else { second } as usize;
    ensure!(weight.len() == input.channels * columns, "weights do not fit {} channels", input.channels);
    let at = |c: usize, j: usize| {
        f64::from(if plan.transposed { weight[j * input.channels + c] } else { weight[c * columns + j] })
    };
    let bias = plan.bias.as_deref().map(constant).transpose()?.map(|(_, b)| b);
    let offset = |j: usize| match &bias {
        None => 0.0,
        Some(b) if b.len() == 1 => f64::from(b[0]),
        Some(b) => f64::from(b[j]),
    };
    let k = plan.columns;
    let column = |head: usize, d: usize| k.first + head * k.head_stride + d * k.stride;
    let width = k.head_dim;
    let mut data = Vec::with_capacity(input.batch * input.tokens * width);
    for token in input.data.chunks_exact(input.channels) {
        for d in 0..width {
            let key = |j: usize| offset(j) + dot(token, |c| at(c, j));
            let sum: f64 = (0..k.heads).map(|head| key(column(head, d))).sum();
            data.push((sum / k.heads as f64) as f32);
        }
    }
    Ok(Stream { channels: width, data, ..*input })
}

fn dot(token: &[f32], weight: impl Fn(usize) -> f64) -> f64 {
    token.iter().enumerate().map(|(c, &x)| f64::from(x) * weight(c)).sum()
}
