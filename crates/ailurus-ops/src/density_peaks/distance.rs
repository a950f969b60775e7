//! The sum of squared differences, in the one order that all implementations use.

use super::{FAR, Windows};

/// Number of partial sums. Channel c is added to partial sum c mod 16, in ascending order of c; the 16 partial sums are
/// then folded in halves (l + 8, l + 4, l + 2, l + 1). This order fills one AVX-512 register, two AVX2 registers or half
/// a CUDA warp, and being fixed makes distances equal bit for bit, and symmetric: d(i, j) = d(j, i).
pub(crate) const LANES: usize = 16;

/// Folds the partial sums in halves.
#[inline(always)]
pub(crate) fn fold(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            sums[l] += sums[l + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Σ_c (a_c − b_c)², every operation rounded to f32 (no fused multiply-add).
#[inline(always)]
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let mut a_chunks = a.chunks_exact(LANES);
    let mut b_chunks = b.chunks_exact(LANES);
    for (a, b) in a_chunks.by_ref().zip(b_chunks.by_ref()) {
        for l in 0..LANES {
            let difference = a[l] - b[l];
            sums[l] += difference * difference;
        }
    }
    for (l, (a, b)) in a_chunks.remainder().iter().zip(b_chunks.remainder()).enumerate() {
        let difference = a - b;
        sums[l] += difference * difference;
    }
    fold(sums)
}

/// Fills `out` (`[_, ranks]`, patches from `first` on) with E(i, j) in rank order, saturated at [`FAR`]; rank 0 is 0.
pub(super) fn window_distances(
    patches: &[f32],
    channels: usize,
    windows: &Windows,
    weights: &[f32],
    first: usize,
    out: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    {
        // The same code compiled for wider registers: Rust never contracts to fused operations, so results are equal.
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { avx512(patches, channels, windows, weights, first, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just detected.
            return unsafe { avx2(patches, channels, windows, weights, first, out) };
        }
    }
    portable(patches, channels, windows, weights, first, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(patches: &[f32], channels: usize, windows: &Windows, weights: &[f32], first: usize, out: &mut [f32]) {
    portable(patches, channels, windows, weights, first, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(patches: &[f32], channels: usize, windows: &Windows, weights: &[f32], first: usize, out: &mut [f32]) {
    portable(patches, channels, windows, weights, first, out);
}

#[inline(always)]
fn portable(patches: &[f32], channels: usize, windows: &Windows, weights: &[f32], first: usize, out: &mut [f32]) {
    let patch = |i: usize| &patches[i * channels..(i + 1) * channels];
    for (i, out) in (first..).zip(out.chunks_exact_mut(windows.ranks())) {
        let own = patch(i);
        out[0] = 0.0;
        for ((&j, w), out) in windows.of(i).iter().zip(weights).zip(out).skip(1) {
            let e = squared_distance(own, patch(j as usize)) * w;
            // False for NaN too.
            *out = if e <= FAR { e } else { FAR };
        }
    }
}
