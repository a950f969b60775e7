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

/// Pairs whose sums run side by side: an addition takes some four cycles, and each sum has to wait for its last one.
const PAIRS: usize = 4;

/// The partial sums of one pair in registers. Compilers do not find them in plain loops over arrays.
trait Sums: Copy {
    /// All zero.
    fn zero() -> Self;
    /// Adds the squared differences of sixteen channels, every operation rounded to f32 (no fused multiply-add).
    fn add(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self;
    /// The partial sums.
    fn get(self) -> [f32; LANES];
}

#[derive(Clone, Copy)]
struct Plain([f32; LANES]);

impl Sums for Plain {
    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }
    #[inline(always)]
    fn add(mut self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
        for l in 0..LANES {
            let difference = a[l] - b[l];
            self.0[l] += difference * difference;
        }
        self
    }
    #[inline(always)]
    fn get(self) -> [f32; LANES] {
        self.0
    }
}

/// Σ_c (a_c − b_c)² for K tokens b.
#[inline(always)]
fn squared_distances<S: Sums, const K: usize>(a: &[f32], b: [&[f32]; K]) -> [f32; K] {
    let (whole, rest) = a.as_chunks::<LANES>();
    let b = b.map(|b| b[..a.len()].as_chunks::<LANES>());
    let mut sums = [S::zero(); K];
    for (c, a) in whole.iter().enumerate() {
        for k in 0..K {
            sums[k] = sums[k].add(a, &b[k].0[c]);
        }
    }
    let mut out = [0.0; K];
    for k in 0..K {
        let mut sums = sums[k].get();
        for (sum, (a, b)) in sums.iter_mut().zip(rest.iter().zip(b[k].1)) {
            let difference = a - b;
            *sum += difference * difference;
        }
        out[k] = fold(sums);
    }
    out
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
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { x86::avx512(patches, channels, windows, weights, first, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just detected.
            return unsafe { x86::avx2(patches, channels, windows, weights, first, out) };
        }
    }
    fill::<Plain>(patches, channels, windows, weights, first, out);
}

#[inline(always)]
fn fill<S: Sums>(patches: &[f32], channels: usize, windows: &Windows, weights: &[f32], first: usize, out: &mut [f32]) {
    let patch = |i: u32| &patches[i as usize * channels..(i as usize + 1) * channels];
    // False for NaN too.
    let mixed = |q: f32, w: f32| if q * w <= FAR { q * w } else { FAR };
    for (i, out) in (first..).zip(out.chunks_exact_mut(windows.ranks())) {
        let own = patch(i as u32);
        out[0] = 0.0;
        let (neighbors, weights, out) = (&windows.of(i)[1..], &weights[1..], &mut out[1..]);
        let (groups, rest) = neighbors.as_chunks::<PAIRS>();
        for (group, (weights, out)) in groups.iter().zip(weights.chunks(PAIRS).zip(out.chunks_mut(PAIRS))) {
            let sums = squared_distances::<S, PAIRS>(own, group.map(patch));
            for (out, (q, w)) in out.iter_mut().zip(sums.into_iter().zip(weights)) {
                *out = mixed(q, *w);
            }
        }
        let done = groups.len() * PAIRS;
        for (out, (&j, w)) in out[done..].iter_mut().zip(rest.iter().zip(&weights[done..])) {
            *out = mixed(squared_distances::<S, 1>(own, [patch(j)])[0], *w);
        }
    }
}

/// The same sums in wider registers. Results are equal: the operations and their order are the same.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Sums, Windows, fill};
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_setzero_ps, _mm256_storeu_ps,
        _mm256_sub_ps, _mm512_add_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_setzero_ps, _mm512_storeu_ps,
        _mm512_sub_ps,
    };

    /// Made only inside of [`avx512`].
    #[derive(Clone, Copy)]
    struct Avx512(__m512);

    impl Sums for Avx512 {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX-512, or nobody would be here.
            Self(unsafe { _mm512_setzero_ps() })
        }
        #[inline(always)]
        fn add(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
            // SAFETY: as above; both arrays hold the sixteen numbers that are read.
            unsafe {
                let difference = _mm512_sub_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()));
                Self(_mm512_add_ps(self.0, _mm512_mul_ps(difference, difference)))
            }
        }
        #[inline(always)]
        fn get(self) -> [f32; LANES] {
            let mut out = [0.0; LANES];
            // SAFETY: as above; the array has room for the sixteen numbers that are written.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
            out
        }
    }

    /// Made only inside of [`avx2`].
    #[derive(Clone, Copy)]
    struct Avx2([__m256; 2]);

    impl Sums for Avx2 {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX2, or nobody would be here.
            Self(unsafe { [_mm256_setzero_ps(); 2] })
        }
        #[inline(always)]
        fn add(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
            let half = |at: usize| {
                let (a, b) = (&a[at * 8..][..8], &b[at * 8..][..8]);
                // SAFETY: as above; both slices hold the eight numbers that are read.
                unsafe {
                    let difference = _mm256_sub_ps(_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr()));
                    _mm256_add_ps(self.0[at], _mm256_mul_ps(difference, difference))
                }
            };
            Self([half(0), half(1)])
        }
        #[inline(always)]
        fn get(self) -> [f32; LANES] {
            let mut out = [0.0; LANES];
            for (out, half) in out.chunks_exact_mut(8).zip(self.0) {
                // SAFETY: as above; the chunk has room for the eight numbers that are written.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr(), half) };
            }
            out
        }
    }

    #[target_feature(enable = "avx512f")]
    pub fn avx512(x: &[f32], channels: usize, windows: &Windows, weights: &[f32], first: usize, out: &mut [f32]) {
        fill::<Avx512>(x, channels, windows, weights, first, out);
    }

    #[target_feature(enable = "avx2")]
    pub fn avx2(x: &[f32], channels: usize, windows: &Windows, weights: &[f32], first: usize, out: &mut [f32]) {
        fill::<Avx2>(x, channels, windows, weights, first, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_gives_the_same_bits() {
        let value = |i: usize| (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 * 8.0 - 4.0;
        for channels in [1, 7, 15, 16, 17, 64, 100] {
            for (h, w, window) in [(5, 7, 24), (1, 9, 6), (6, 6, 1), (3, 2, 24)] {
                let windows = Windows::new((h, w), window).unwrap();
                let ranks = windows.ranks();
                let x: Vec<f32> = (0..h * w * channels).map(value).collect();
                let weights: Vec<f32> = (0..ranks).map(|r| 0.5 + value(r + 3).abs()).collect();
                let mut plain = vec![0.0; h * w * ranks];
                fill::<Plain>(&x, channels, &windows, &weights, 0, &mut plain);
                let mut out = vec![0.0; h * w * ranks];
                window_distances(&x, channels, &windows, &weights, 0, &mut out);
                assert_eq!(plain, out);
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    out.fill(0.0);
                    // SAFETY: the feature was just detected.
                    unsafe { x86::avx2(&x, channels, &windows, &weights, 0, &mut out) };
                    assert_eq!(plain, out);
                }
            }
        }
    }
}
