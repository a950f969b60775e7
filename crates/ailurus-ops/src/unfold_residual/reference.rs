//! The definition of `AilurusUnfoldResidual`.
//!
//! `y[b,t] = base[b,t] + Σ_k weight[b,t,k] · (z − start)[b, index[b,t,k]]`, in f32: the difference is rounded, the sum
//! runs in ascending order of k, every operation rounded; base is added last; rounded to E once. Without weight the sum
//! is `(z − start)[b, index[b,t]]`.

use super::check;
use crate::unfold::UnfoldDims;
use crate::{Element, Result};

/// Adds to every token of `base` the change of its row from `start` to `z`.
pub fn unfold_residual<E: Element>(
    z: &[E],
    start: &[E],
    base: &[E],
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
) -> Result<Vec<E>> {
    check(z.len(), start.len(), base.len(), index, weight, dims)?;
    let UnfoldDims { batch, rows, tokens, choices, channels } = dims;
    let mut y = Vec::with_capacity(batch * tokens * channels);
    for token in 0..batch * tokens {
        let b = token / tokens;
        for c in 0..channels {
            let update = |k: usize| {
                let at = (b * rows + index[token * choices + k] as usize) * channels + c;
                z[at].to_f32() - start[at].to_f32()
            };
            let sum = match weight {
                None => update(0),
                Some(weight) => (0..choices).fold(0.0, |sum, k| sum + weight[token * choices + k] * update(k)),
            };
            y.push(E::from_f32(base[token * channels + c].to_f32() + sum));
        }
    }
    Ok(y)
}
