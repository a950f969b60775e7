//! The sum of squared differences, in the one order that all implementations use, in registers as wide as there are.

/// Number of partial sums. Channel c is added to partial sum c mod 16, in ascending order of c; the 16 partial sums are
/// then folded in halves (l + 8, l + 4, l + 2, l + 1). This order fills one AVX-512 register, two AVX2 registers or half
/// a CUDA warp, and being fixed makes distances equal bit for bit, and symmetric: d(i, j) = d(j, i).
pub(crate) const LANES: usize = 16;

/// Pairs whose sums run side by side: an addition takes some four cycles, and each sum has to wait for its last one.
pub(crate) const PAIRS: usize = 4;

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

/// Σ_c (a_c − b_c)² in plain loops: the definition that references use.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for c in 0..a.len() {
        let difference = a[c] - b[c];
        sums[c % LANES] += difference * difference;
    }
    fold(sums)
}

/// The partial sums of one pair in registers. Compilers do not find them in plain loops over arrays.
pub(crate) trait Sums: Copy {
    /// All zero.
    fn zero() -> Self;
    /// Adds the squared differences of sixteen channels, every operation rounded to f32 (no fused multiply-add).
    fn add(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self;
    /// The partial sums.
    fn get(self) -> [f32; LANES];
}

/// Partial sums in an array.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; LANES]);

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
pub(crate) fn squared_distances<S: Sums, const K: usize>(a: &[f32], b: [&[f32]; K]) -> [f32; K] {
    squared_distances_below::<S, K>(a, b, f32::INFINITY)
}

/// Sixteens of channels between two looks at how far the sums have come.
const LOOK: usize = 8;

/// As [`squared_distances`], but may give up when all sums have grown beyond `bound`: what comes back is then beyond it,
/// too, and less than the distance. Exact, as partial sums only grow, rounded or not, and so does what they fold to.
#[inline(always)]
pub(crate) fn squared_distances_below<S: Sums, const K: usize>(a: &[f32], b: [&[f32]; K], bound: f32) -> [f32; K] {
    let (whole, rest) = a.as_chunks::<LANES>();
    let b = b.map(|b| b[..a.len()].as_chunks::<LANES>());
    let mut sums = [S::zero(); K];
    let bounded = bound < f32::INFINITY;
    for (run, part) in whole.chunks(LOOK).enumerate() {
        for (c, a) in (run * LOOK..).zip(part) {
            for k in 0..K {
                sums[k] = sums[k].add(a, &b[k].0[c]);
            }
        }
        if bounded {
            let so_far = sums.map(|sums| fold(sums.get()));
            if so_far.iter().all(|&q| q > bound) {
                return so_far;
            }
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

/// Work that is done with partial sums in registers of some width. Implementations mark `run` `#[inline(always)]`, so that
/// it is compiled anew for every width.
pub(crate) trait Wide {
    /// Does it.
    fn run<S: Sums>(self);
}

/// Does work in the widest registers of this processor. Results are equal: the operations and their order are the same.
pub(crate) fn widest(work: impl Wide) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { x86::avx512(work) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the feature was just detected.
            return unsafe { x86::avx2(work) };
        }
    }
    work.run::<Plain>();
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{LANES, Sums, Wide};
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
    pub(crate) fn avx512(work: impl Wide) {
        work.run::<Avx512>();
    }

    #[target_feature(enable = "avx2")]
    pub(crate) fn avx2(work: impl Wide) {
        work.run::<Avx2>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(i: usize) -> f32 {
        (i as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 * 8.0 - 4.0
    }

    struct Distances<'a> {
        x: &'a [f32],
        channels: usize,
        bound: f32,
        out: &'a mut Vec<f32>,
    }

    impl Wide for Distances<'_> {
        #[inline(always)]
        fn run<S: Sums>(self) {
            let token = |i: usize| &self.x[i * self.channels..(i + 1) * self.channels];
            let four = [token(1), token(2), token(3), token(4)];
            self.out.extend(squared_distances_below::<S, PAIRS>(token(0), four, self.bound));
        }
    }

    #[test]
    fn every_width_gives_the_same_bits_as_plain_loops() {
        for channels in [1, 7, 15, 16, 17, 64, 100, 300] {
            let x: Vec<f32> = (0..5 * channels).map(value).collect();
            let token = |i: usize| &x[i * channels..(i + 1) * channels];
            let expected: Vec<f32> = (1..5).map(|j| squared_distance(token(0), token(j))).collect();
            for bound in [f32::INFINITY, f32::MAX] {
                let mut out = Vec::new();
                widest(Distances { x: &x, channels, bound, out: &mut out });
                assert_eq!(out, expected);
                out.clear();
                Distances { x: &x, channels, bound, out: &mut out }.run::<Plain>();
                assert_eq!(out, expected);
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    out.clear();
                    // SAFETY: the feature was just detected.
                    unsafe { x86::avx2(Distances { x: &x, channels, bound, out: &mut out }) };
                    assert_eq!(out, expected);
                }
            }
        }
    }

    #[test]
    fn what_gives_up_is_beyond_the_bound_and_below_the_distance() {
        let channels = 700;
        let x: Vec<f32> = (0..5 * channels).map(value).collect();
        let exact: Vec<f32> =
            (1..5).map(|j| squared_distance(&x[..channels], &x[j * channels..][..channels])).collect();
        let bound = exact.iter().copied().fold(f32::INFINITY, f32::min) / 3.0;
        let mut out = Vec::new();
        widest(Distances { x: &x, channels, bound, out: &mut out });
        for (got, exact) in out.iter().zip(&exact) {
            assert!(*got > bound && got < exact, "{got} of {exact}, bound {bound}");
        }
    }
}
