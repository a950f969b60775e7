//! `AilurusUnfoldResidual` at memory speed, in parallel over tokens.

use super::{NAME, check};
use crate::error::check_len;
use crate::parallel::{Parallel, for_rows};
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
    pool: &dyn Parallel,
) -> Result<Vec<E>> {
    check(z.len(), start.len(), base.len(), index, weight, dims)?;
    let mut y = vec![E::default(); dims.batch * dims.tokens * dims.channels];
    unfold_residual_into(z, start, base, index, weight, dims, pool, &mut y)?;
    Ok(y)
}

/// As [`unfold_residual`], into memory that the caller brings (`[B, T, D]`).
#[allow(clippy::too_many_arguments, reason = "the operator has this many operands")]
pub fn unfold_residual_into<E: Element>(
    z: &[E],
    start: &[E],
    base: &[E],
    index: &[i32],
    weight: Option<&[f32]>,
    dims: UnfoldDims,
    pool: &dyn Parallel,
    y: &mut [E],
) -> Result<()> {
    check(z.len(), start.len(), base.len(), index, weight, dims)?;
    let UnfoldDims { batch, rows, tokens, choices, channels } = dims;
    check_len(NAME, "y", y.len(), &[batch, tokens, channels])?;
    let grain = (1 << 14) / channels.max(1) + 1;
    for_rows(pool, y, channels, grain, |first, out| {
        let mut wide = vec![0.0f32; 4 * channels];
        let (sum, wide) = wide.split_at_mut(channels);
        let (wide_z, wide) = wide.split_at_mut(channels);
        let (wide_start, wide_base) = wide.split_at_mut(channels);
        for (token, out) in (first..).zip(out.chunks_exact_mut(channels)) {
            let base = E::widen(&base[token * channels..(token + 1) * channels], wide_base);
            for k in 0..choices {
                let at = (token / tokens * rows + index[token * choices + k] as usize) * channels;
                let z = E::widen(&z[at..at + channels], wide_z);
                let start = E::widen(&start[at..at + channels], wide_start);
                let updates = sum.iter_mut().zip(z.iter().zip(start));
                match weight.map(|w| w[token * choices + k]) {
                    None => updates.for_each(|(sum, (z, start))| *sum = z - start),
                    Some(w) if k == 0 => updates.for_each(|(sum, (z, start))| *sum = 0.0 + w * (z - start)),
                    Some(w) => updates.for_each(|(sum, (z, start))| *sum += w * (z - start)),
                }
            }
            for (sum, base) in sum.iter_mut().zip(base) {
                *sum += base;
            }
            E::narrow(sum, out);
        }
    });
    Ok(())
}
