//! Squared mixed distances to the window, in exactly the reference's order of additions.

use super::Grid;
use crate::body::{BodyData, Builder};
use crate::density_peaks::{DensityPeaks, FAR};
use crate::lanes::LANES;

/// `[B, L, N]`: E(i, j) in rank order, from the patches `[B, N, d]` in f32.
///
/// Sixteen channels at a time are gathered, subtracted, squared and added to sixteen partial sums, which are then folded
/// in halves: only elementwise operators, whose rounding no runtime can choose. A single `ReduceSum` would be about a
/// millisecond faster on 1369 patches of 64 channels, but its order of additions differs between machines, and then
/// near-ties would be decided differently here and in the kernels.
pub(super) fn distances(b: &mut Builder, grid: &Grid, params: &DensityPeaks, x: &str, channels: usize) -> String {
    let lanes = LANES as i64;
    let groups = channels.div_ceil(LANES);
    let mut x = x.to_string();
    if groups * LANES != channels {
        // Zero channels add nothing, exactly.
        let pads = b.ints(&[0, 0, 0, 0, 0, (groups * LANES - channels) as i64]);
        x = b.op("Pad", &[&x, &pads]);
    }
    let mut sums: Option<String> = None;
    for group in b.split(&x, 2, &vec![lanes; groups]) {
        let neighbors = b.gather(&group, &grid.table, 1);
        let own = b.unsqueeze(&group, 1);
        let difference = b.op("Sub", &[&neighbors, &own]);
        let square = b.op("Mul", &[&difference, &difference]);
        sums = Some(match sums {
            None => square,
            Some(sums) => b.op("Add", &[&sums, &square]),
        });
    }
    // One partial sum per row, so that halves are contiguous.
    let sums = b.reshape(&sums.unwrap_or(x), &[-1, lanes]);
    let mut sums = b.transpose(&sums, &[1, 0]);
    let mut width = lanes / 2;
    while width > 0 {
        let halves = b.split(&sums, 0, &[width, width]);
        sums = b.op("Add", &[&halves[0], &halves[1]]);
        width /= 2;
    }
    let shape = grid.shape(b, &[None, Some(grid.neighbors as i64)], true);
    let q = b.op("Reshape", &[&sums, &shape]);

    let weights = params.rank_weights(grid.neighbors + 1, channels);
    let weights = b.constant(&[grid.neighbors as i64, 1], BodyData::F32(weights[1..].to_vec()));
    let e = b.op("Mul", &[&q, &weights]);
    let far = b.scalar_f32(FAR);
    // False for NaN too.
    let near = b.op("Less", &[&e, &far]);
    let e = b.op("Where", &[&near, &e, &far]);
    match &grid.on_grid {
        None => e,
        Some(on_grid) => {
            let huge = b.scalar_f32(f32::MAX);
            b.op("Where", &[on_grid, &e, &huge])
        }
    }
}
