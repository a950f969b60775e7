//! `AilurusMerge` at memory speed: members of each row are found by a counting sort, then every output row is written
//! once, in parallel over rows. Additions happen in the order of the reference.

use super::{MergeDims, NAME, check};
use crate::error::check_len;
use crate::parallel::{Parallel, for_rows};
use crate::{Element, Result};

/// Averages the members of every row of `x` (`[B, T, D]`).
pub fn merge<E: Element>(x: &[E], index: &[i32], size: &[f32], dims: MergeDims, pool: &dyn Parallel) -> Result<Vec<E>> {
    check(x.len(), index, size.len(), dims)?;
    let mut y = vec![E::default(); dims.batch * dims.rows * dims.channels];
    merge_into(x, index, size, dims, pool, &mut y)?;
    Ok(y)
}

/// As [`merge`], into memory that the caller brings (`[B, R, D]`).
pub fn merge_into<E: Element>(
    x: &[E],
    index: &[i32],
    size: &[f32],
    dims: MergeDims,
    pool: &dyn Parallel,
    y: &mut [E],
) -> Result<()> {
    check(x.len(), index, size.len(), dims)?;
    let MergeDims { batch, tokens, rows, channels } = dims;
    check_len(NAME, "y", y.len(), &[batch, rows, channels])?;
    let (start, members) = members(index, batch, tokens, rows);
    // About 64 KiB of output per task at least.
    let grain = (1 << 14) / channels.max(1) + 1;
    for_rows(pool, y, channels, grain, |first, out| {
        let (mut sum, mut wide) = (vec![0.0f32; channels], vec![0.0f32; channels]);
        for (row, out) in (first..).zip(out.chunks_exact_mut(channels)) {
            let token = |t: u32| &x[t as usize * channels..(t as usize + 1) * channels];
            let divisor = size[row].max(1.0);
            sum.fill(0.0);
            for &t in &members[start[row] as usize..start[row + 1] as usize] {
                for (sum, x) in sum.iter_mut().zip(E::widen(token(t), &mut wide)) {
                    *sum += x;
                }
            }
            // Dividing by one changes nothing, and most rows are of one member.
            if divisor != 1.0 {
                sum.iter_mut().for_each(|sum| *sum /= divisor);
            }
            E::narrow(&sum, out);
        }
    });
    Ok(())
}

/// Tokens (numbered over the batch) sorted by row (numbered over the batch), stable; and where each row starts.
fn members(index: &[i32], batch: usize, tokens: usize, rows: usize) -> (Vec<u32>, Vec<u32>) {
    let row_of = |t: usize| t / tokens.max(1) * rows + index[t] as usize;
    let mut start = vec![0u32; batch * rows + 1];
    for t in 0..index.len() {
        start[row_of(t) + 1] += 1;
    }
    for r in 0..batch * rows {
        start[r + 1] += start[r];
    }
    let mut next = start.clone();
    let mut members = vec![0u32; index.len()];
    for t in 0..index.len() {
        let slot = &mut next[row_of(t)];
        members[*slot as usize] = t as u32;
        *slot += 1;
    }
    (start, members)
}
