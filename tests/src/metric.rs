//! What distances are measured on, computed from its definition.

use crate::{canonical::Stream, quantized, run};
use ailurus_onnx::Model;
use ailurus_rewrite::plan::{KeysPlan, Scales};
use ailurus_runtime::Outputs;
use anyhow::{Context, Result, ensure};

/// The constants of a projection to keys.
#[derive(Debug)]
pub struct Projection {
    /// Sizes of the weights.
    pub dims: Vec<usize>,
    /// Weights.
    pub weight: Vec<f32>,
    /// Bias.
    pub bias: Option<Vec<f32>>,
}

impl Projection {
    /// Those of the constants that the model computes (dequantised, cast, transposed): the runtime has to say what they are.
    pub fn computed<'a>(model: &Model, plan: &'a KeysPlan) -> Vec<&'a str> {
        let computed = |name: &&str| model.graph.find(name).is_none_or(|v| model.graph.constant(v).is_none());
        [Some(plan.weight.as_str()), plan.bias.as_deref()].into_iter().flatten().filter(computed).collect()
    }

    /// Reads them from the model, or from what a run gave.
    pub fn read(model: &Model, plan: &KeysPlan, outputs: &Outputs) -> Result<Self> {
        let one = |name: &str, scales: Option<&Scales>| -> Result<(Vec<usize>, Vec<f32>)> {
            let v = model.graph.find(name).with_context(|| format!("no value `{name}`"))?;
            match model.graph.constant(v) {
                Some(t) => {
                    let dims: Vec<usize> = t.dims.iter().map(|&d| d as usize).collect();
                    let data = model.f32s(&t)?;
                    let data = match scales {
                        Some(s) => quantized::dequantized(model, &dims, &data, s)?,
                        None => data,
                    };
                    Ok((dims, data))
                }
                None => {
                    let t = run::output(outputs, name)?;
                    Ok((t.dims().to_vec(), t.to_f64().into_iter().map(|v| v as f32).collect()))
                }
            }
        };
        let (dims, weight) = one(&plan.weight, plan.weight_scales.as_ref())?;
        let bias = plan.bias.as_deref().map(|b| one(b, plan.bias_scales.as_ref())).transpose()?.map(|(_, b)| b);
        Ok(Self { dims, weight, bias })
    }
}

/// Head-mean keys: keys of every head from the stored weights, averaged over heads, in double precision.
pub fn keys(plan: &KeysPlan, projection: &Projection, input: &Stream) -> Result<Stream> {
    let Projection { dims, weight, bias } = projection;
    let [first, second] = dims[..] else { anyhow::bail!("weights of shape {dims:?}") };
    let columns = if plan.transposed { first } else { second };
    ensure!(weight.len() == input.channels * columns, "weights do not fit {} channels", input.channels);
    let at = |c: usize, j: usize| {
        f64::from(if plan.transposed { weight[j * input.channels + c] } else { weight[c * columns + j] })
    };
    let offset = |j: usize| match bias {
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
