//! The definition of `AilurusUnfold`.
//!
//! `y[b,t] = Σ_k weight[b,t,k] · z[b, index[b,t,k]]`, summed in f32 in ascending order of k, every operation rounded,
//! rounded to E once. Without weight, `y[b,t] = z[b, index[b,t]]`, a copy.

use super::{NAME, UnfoldDims, check};
use crate::{Element, Result};

/// Gives every token the row of its cluster: `[B, R, D]` to `[B, T, D]`.
pub fn unfold<E: Element>(z: &[E], index: &[i32], weight: Option<&[f32]>, dims: UnfoldDims) -> Result<Vec<E>> {
    check(NAME, z.len(), index, weight, dims)?;
    let UnfoldDims { batch, rows, tokens, choices, channels } = dims;
    let mut y = Vec::with_capacity(batch * tokens * channels);
    for token in 0..batch * tokens {
        let b = token / tokens;
        let row = |k: usize| (b * rows + index[token * choices + k] as usize) * channels;
        for c in 0..channels {
            y.push(match weight {
                None => z[row(0) + c],
                Some(weight) => {
                    let mut sum = 0.0f32;
                    for k in 0..choices {
                        sum += weight[token * choices + k] * z[row(k) + c].to_f32();
                    }
                    E::from_f32(sum)
                }
            });
        }
    }
    Ok(y)
}
