//! Head-mean keys: the metric of `--metric keys`, folded into one matrix when a model is rewritten.
//!
//! The next block computes `k = N(x)·W_k + b_k` with `N(x) = x̂ ⊙ γ + β`, x̂ the normalised stream (layer or RMS norm
//! without its affine part). The metric is the mean of k over the heads. Both the mean and the affine part are linear in
//! x̂, so they fold:
//!
//! ```text
//! metric = x̂ · W + b
//! W[c, j] = γ_c · mean_h W_k[c, (h, j)]
//! b[j]    = mean_h ( b_k[(h, j)] + Σ_c β_c · W_k[c, (h, j)] )
//! ```
//!
//! A constant shift does not change distances, so b could be left out; it is kept so that the metric *is* the mean key.
//! Where the graph has the affine norm as a value to take, leave the norm out here and multiply that value by W.

use crate::{Element, Error, Result};

/// Which columns of a projection are keys: element j of head h is column `first + h · head_stride + j · stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyColumns {
    /// Column of element 0 of head 0.
    pub first: usize,
    /// Number of (key-value) heads.
    pub heads: usize,
    /// Columns from one head to the next.
    pub head_stride: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Columns from one element to the next, 1 unless heads are interleaved.
    pub stride: usize,
}

impl KeyColumns {
    /// Heads side by side, from column `first`: 0 for a projection of its own, C for the usual fused `[Q | K | V]`.
    pub fn side_by_side(first: usize, heads: usize, head_dim: usize) -> Self {
        Self { first, heads, head_stride: head_dim, head_dim, stride: 1 }
    }

    /// Fused per head, `[q k v] [q k v] ..`, each of `head_dim` columns.
    pub fn fused_per_head(heads: usize, head_dim: usize) -> Self {
        Self { first: head_dim, heads, head_stride: 3 * head_dim, head_dim, stride: 1 }
    }

    fn column(&self, head: usize, element: usize) -> usize {
        self.first + head * self.head_stride + element * self.stride
    }

    /// The largest column, unless it overflows or there is none.
    fn last(&self) -> Option<usize> {
        let heads = self.heads.checked_sub(1)?.checked_mul(self.head_stride)?;
        let elements = self.head_dim.checked_sub(1)?.checked_mul(self.stride)?;
        self.first.checked_add(heads)?.checked_add(elements)
    }
}

/// A projection that makes keys, as stored in a model.
#[derive(Clone, Copy, Debug)]
pub struct KeyProjection<'a, E> {
    /// `[C, columns]` row-major as `MatMul` takes it, or `[columns, C]` if `transposed` (as `Gemm` with `transB`).
    pub weight: &'a [E],
    /// Bias of all `columns`, if there is one.
    pub bias: Option<&'a [E]>,
    /// C: channels of the stream.
    pub channels: usize,
    /// Columns of the whole stored matrix.
    pub columns: usize,
    /// The matrix is stored `[columns, C]`.
    pub transposed: bool,
    /// Which columns are keys.
    pub keys: KeyColumns,
}

/// Affine part of the norm before the projection.
#[derive(Clone, Copy, Debug)]
pub struct NormAffine<'a, E> {
    /// γ, `[C]`
    pub scale: &'a [E],
    /// β, `[C]`, if there is one (RMS norms have none).
    pub shift: Option<&'a [E]>,
}

/// A folded projection.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanKeys {
    /// `[C, head_dim]`, row-major.
    pub weight: Vec<f32>,
    /// `[head_dim]`; all zero when nothing contributes.
    pub bias: Vec<f32>,
}

/// Averages the key columns over heads and folds in bias and norm, accumulating in f64.
pub fn fold_mean_keys<E: Element>(
    projection: &KeyProjection<'_, E>,
    norm: Option<&NormAffine<'_, E>>,
) -> Result<MeanKeys> {
    check(projection, norm)?;
    let KeyProjection { weight, bias, channels, columns, transposed, keys } = *projection;
    let value = |v: &E| f64::from(v.to_f32());
    let at = |channel: usize, column: usize| {
        value(&weight[if transposed { column * channels + channel } else { channel * columns + column }])
    };
    let scale = |channel: usize| norm.map_or(1.0, |n| value(&n.scale[channel]));
    let shift = |channel: usize| norm.and_then(|n| n.shift).map_or(0.0, |s| value(&s[channel]));

    let heads = keys.heads as f64;
    let mut folded =
        MeanKeys { weight: Vec::with_capacity(channels * keys.head_dim), bias: Vec::with_capacity(keys.head_dim) };
    let mut sums = vec![0.0f64; keys.head_dim];
    for (j, sum) in sums.iter_mut().enumerate() {
        *sum = bias.map_or(0.0, |bias| (0..keys.heads).map(|h| value(&bias[keys.column(h, j)])).sum());
    }
    for channel in 0..channels {
        for (j, sum) in sums.iter_mut().enumerate() {
            let over_heads: f64 = (0..keys.heads).map(|h| at(channel, keys.column(h, j))).sum();
            folded.weight.push((scale(channel) * over_heads / heads) as f32);
            *sum += shift(channel) * over_heads;
        }
    }
    folded.bias.extend(sums.iter().map(|sum| (sum / heads) as f32));
    Ok(folded)
}

fn check<E>(projection: &KeyProjection<'_, E>, norm: Option<&NormAffine<'_, E>>) -> Result<()> {
    let fail = |what: String| Err(Error::Fold(what));
    let KeyProjection { weight, bias, channels, columns, keys, .. } = *projection;
    if channels.checked_mul(columns) != Some(weight.len()) {
        return fail(format!("{} weights, but {channels} channels times {columns} columns", weight.len()));
    }
    match keys.last() {
        Some(last) if last < columns => {}
        _ => return fail(format!("{keys:?} do not lie within {columns} columns")),
    }
    if bias.is_some_and(|bias| bias.len() != columns) {
        return fail(format!("the bias does not have {columns} elements"));
    }
    let wrong = |list: &[E]| list.len() != channels;
    if norm.is_some_and(|n| wrong(n.scale) || n.shift.is_some_and(wrong)) {
        return fail(format!("the norm's scale or shift does not have {channels} elements"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32).map(|i| ((i * 37 + seed * 101) % 64) as f32 / 32.0 - 1.0).collect()
    }

    /// Mean key of one token, the long way: norm, projection, mean over heads.
    fn mean_key(x: &[f32], p: &KeyProjection<'_, f32>, norm: Option<&NormAffine<'_, f32>>) -> Vec<f32> {
        let x: Vec<f32> =
            (0..p.channels).map(|c| norm.map_or(x[c], |n| x[c] * n.scale[c] + n.shift.map_or(0.0, |s| s[c]))).collect();
        let column = |col: usize| {
            let weight = |c: usize| {
                if p.transposed { p.weight[col * p.channels + c] } else { p.weight[c * p.columns + col] }
            };
            p.bias.map_or(0.0, |b| b[col]) + (0..p.channels).map(|c| x[c] * weight(c)).sum::<f32>()
        };
        (0..p.keys.head_dim)
            .map(|j| (0..p.keys.heads).map(|h| column(p.keys.column(h, j))).sum::<f32>() / p.keys.heads as f32)
            .collect()
    }

    #[test]
    fn folding_equals_norm_projection_and_mean() {
        let (channels, heads, head_dim) = (12, 3, 4);
        let (scale, shift) = (numbers(channels, 5), numbers(channels, 6));
        for (columns, keys) in [
            (12, KeyColumns::side_by_side(0, heads, head_dim)),
            (36, KeyColumns::side_by_side(12, heads, head_dim)),
            (36, KeyColumns::fused_per_head(heads, head_dim)),
            (12, KeyColumns { first: 0, heads, head_stride: 1, head_dim, stride: heads }),
        ] {
            for transposed in [false, true] {
                for (has_bias, has_norm) in [(false, false), (true, false), (false, true), (true, true)] {
                    let (weight, bias) = (numbers(channels * columns, 1), numbers(columns, 2));
                    let bias = has_bias.then_some(&bias[..]);
                    let p = KeyProjection { weight: &weight, bias, channels, columns, transposed, keys };
                    let norm = NormAffine { scale: &scale, shift: Some(&shift) };
                    let norm = has_norm.then_some(&norm);
                    let folded = fold_mean_keys(&p, norm).unwrap();
                    let x = numbers(channels, 9);
                    let expected = mean_key(&x, &p, norm);
                    for (j, expected) in expected.iter().enumerate() {
                        let dot: f32 = (0..channels).map(|c| x[c] * folded.weight[c * head_dim + j]).sum();
                        assert!((dot + folded.bias[j] - expected).abs() < 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let weight = [0.0f32; 12];
        let keys = KeyColumns::side_by_side(0, 1, 3);
        let good = KeyProjection { weight: &weight, bias: None, channels: 4, columns: 3, transposed: false, keys };
        assert!(fold_mean_keys(&good, None).is_ok());
        let outside = KeyColumns { first: 1, ..keys };
        let none = KeyColumns { heads: 0, ..keys };
        let huge = KeyColumns { heads: usize::MAX, ..keys };
        for keys in [outside, none, huge] {
            assert_eq!(fold_mean_keys(&KeyProjection { keys, ..good }, None).unwrap_err().code(), "AIL0311");
        }
        assert!(fold_mean_keys(&KeyProjection { channels: 5, ..good }, None).is_err());
        assert!(fold_mean_keys(&KeyProjection { bias: Some(&weight), ..good }, None).is_err());
        let norm = NormAffine { scale: &weight[..], shift: None };
        assert!(fold_mean_keys(&good, Some(&norm)).is_err());
    }
}
