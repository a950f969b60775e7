//! `AilurusUnfold` at memory speed: row copies, or weighted sums of rows, in parallel over tokens.

use super::{NAME, UnfoldDims, check};
use crate::error::check_len;
use crate::parallel::{Parallel, for_rows};
use crate::{Element, Result};

/// Gives every token the row of its cluster: `[B, R, D]` to `[B, T, D]`.
pub fn unfold<E: Element>(
    z: &[E],
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
    pool: &dyn Parallel,
) -> Result<Vec<E>> {
    check(NAME, z.len(), index, weight, dims)?;
    let mut y = vec![E::default(); dims.batch * dims.tokens * dims.channels];
    unfold_into(z, index, weight, dims, pool, &mut y)?;
    Ok(y)
}

/// As [`unfold`], into memory that the caller brings (`[B, T, D]`).
pub fn unfold_into<E: Element>(
    z: &[E],
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
    pool: &dyn Parallel,
    y: &mut [E],
) -> Result<()> {
    check(NAME, z.len(), index, weight, dims)?;
    let UnfoldDims { batch, rows, tokens, choices, channels } = dims;
    check_len(NAME, "y", y.len(), &[batch, tokens, channels])?;
    let grain = (1 << 14) / channels.max(1) + 1;
    for_rows(pool, y, channels, grain, |first, out| {
        let (mut sum, mut wide) = (vec![0.0f32; channels], vec![0.0f32; channels]);
        for (token, out) in (first..).zip(out.chunks_exact_mut(channels)) {
            let row = |k: usize| {
                let at = (token / tokens * rows + index[token * choices + k] as usize) * channels;
                &z[at..at + channels]
            };
            let Some(weight) = weight else {
                out.copy_from_slice(row(0));
                continue;
            };
            sum.fill(0.0);
            for k in 0..choices {
                let w = weight[token * choices + k];
                for (sum, z) in sum.iter_mut().zip(E::widen(row(k), &mut wide)) {
                    *sum += w * z;
                }
            }
            E::narrow(&sum, out);
        }
    });
    Ok(())
}
