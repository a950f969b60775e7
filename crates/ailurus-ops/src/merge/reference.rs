//! The definition of `AilurusMerge`.
//!
//! `y[b,r] = (Σ_{t : index[b,t] = r} x[b,t]) / size[b,r]`, summed in f32 in ascending order of t, divided in f32, rounded
//! to E once. `size[b,r]` is the number of members of row r, and every row has one, as `AilurusDensityPeaks` writes them;
//! for other inputs a divisor below 1 counts as 1 here, and a body of standard operators may give anything.

use super::{MergeDims, check};
use crate::{Element, Result};

/// Averages the members of every row of `x` (`[B, T, D]`).
pub fn merge<E: Element>(x: &[E], index: &[i32], size: &[f32], dims: MergeDims) -> Result<Vec<E>> {
    check(x.len(), index, size.len(), dims)?;
    let MergeDims { batch, tokens, rows, channels } = dims;
    let mut y = Vec::with_capacity(batch * rows * channels);
    for b in 0..batch {
        let mut sum = vec![0.0f32; rows * channels];
        for t in 0..tokens {
            let row = index[b * tokens + t] as usize;
            for c in 0..channels {
                sum[row * channels + c] += x[(b * tokens + t) * channels + c].to_f32();
            }
        }
        for row in 0..rows {
            let divisor = size[b * rows + row].max(1.0);
            y.extend(sum[row * channels..(row + 1) * channels].iter().map(|s| E::from_f32(s / divisor)));
        }
    }
    Ok(y)
}
