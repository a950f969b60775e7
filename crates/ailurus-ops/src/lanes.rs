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
    /// Whether there are registers for some twenty of these.
    const MANY: bool;
    /// All zero.
    fn zero() -> Self;
    /// Adds the squared differences of sixteen channels, every operation rounded to f32 (no fused multiply-add).
    fn add(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self;
    /// Adds sixteen numbers times a weight, both operations rounded to f32.
    fn add_weighted(self, weight: f32, x: &[f32; LANES]) -> Self;
    /// Adds the products of sixteen channels, rounded once where the processor can: not for what must be the same
    /// everywhere.
    fn add_products(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self;
    /// As `add_weighted`, rounded once where the processor can.
    fn add_weighted_fused(self, weight: f32, x: &[f32; LANES]) -> Self;
    /// The partial sums.
    fn get(self) -> [f32; LANES];
    /// The partial sums folded in halves.
    #[inline(always)]
    fn folded(self) -> f32 {
        fold(self.get())
    }
}

/// Partial sums in an array.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; LANES]);

impl Sums for Plain {
    const MANY: bool = false;
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
    fn add_weighted(mut self, weight: f32, x: &[f32; LANES]) -> Self {
        self.0.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
        self
    }
    #[inline(always)]
    fn add_products(mut self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
        (0..LANES).for_each(|l| self.0[l] += a[l] * b[l]);
        self
    }
    #[inline(always)]
    fn add_weighted_fused(self, weight: f32, x: &[f32; LANES]) -> Self {
        self.add_weighted(weight, x)
    }
    #[inline(always)]
    fn get(self) -> [f32; LANES] {
        self.0
    }
}

/// Σ_c (a_c − b_c)² for A tokens a and K tokens b of as many channels. Every token is read once for several others: that,
/// more than arithmetic, is what a sum costs.
#[inline(always)]
pub(crate) fn squared_distances<S: Sums, const A: usize, const K: usize>(
    a: [&[f32]; A],
    b: [&[f32]; K],
) -> [[f32; K]; A] {
    let channels = a[0].len();
    let a = a.map(|a| a[..channels].as_chunks::<LANES>());
    let b = b.map(|b| b[..channels].as_chunks::<LANES>());
    let mut sums = [[S::zero(); K]; A];
    for c in 0..channels / LANES {
        for j in 0..A {
            for k in 0..K {
                sums[j][k] = sums[j][k].add(&a[j].0[c], &b[k].0[c]);
            }
        }
    }
    let mut out = [[0.0; K]; A];
    for j in 0..A {
        for k in 0..K {
            out[j][k] = finish(sums[j][k], a[j].1, b[k].1);
        }
    }
    out
}

/// Adds the channels behind the last whole sixteen, and folds.
#[inline(always)]
fn finish<S: Sums>(sums: S, a: &[f32], b: &[f32]) -> f32 {
    if a.is_empty() {
        return sums.folded();
    }
    // Differences of 0, and thus sums as they are, where there is no channel.
    let mut last = [[0.0; LANES]; 2];
    last[0][..a.len()].copy_from_slice(a);
    last[1][..b.len()].copy_from_slice(b);
    sums.add(&last[0], &last[1]).folded()
}

/// Sixteen channels where processors like to read them: across two lines of their cache it takes twice as long.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Sixteen(pub [f32; LANES]);

/// Sums over the channels of A tokens a and K tokens b, of as many sixteens.
#[inline(always)]
pub(crate) fn over_sixteens<S: Sums, const A: usize, const K: usize>(
    a: [&[Sixteen]; A],
    b: [&[Sixteen]; K],
    add: impl Fn(S, &[f32; LANES], &[f32; LANES]) -> S,
) -> [[f32; K]; A] {
    let sixteens = a[0].len();
    let (a, b) = (a.map(|a| &a[..sixteens]), b.map(|b| &b[..sixteens]));
    let mut sums = [[S::zero(); K]; A];
    for c in 0..sixteens {
        for j in 0..A {
            for k in 0..K {
                sums[j][k] = add(sums[j][k], &a[j][c].0, &b[k][c].0);
            }
        }
    }
    let mut out = [[0.0; K]; A];
    for j in 0..A {
        for k in 0..K {
            out[j][k] = sums[j][k].folded();
        }
    }
    out
}

/// Work that is done with partial sums in registers of some width. Implementations mark `run` `#[inline(always)]`, so that
/// it is compiled anew for every width.
pub(crate) trait Wide {
    /// Does it.
    fn run<S: Sums>(self);
}

/// Does work in the widest registers of this processor. Unless something is fused, results are equal for all widths: the
/// operations and their order are the same.
pub(crate) fn widest(work: impl Wide) {
    #[cfg(target_arch = "x86_64")]
    {
        if allowed(512) && is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was just detected.
            return unsafe { x86::avx512(work) };
        }
        if allowed(256) && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features were just detected.
            return unsafe { x86::avx2(work) };
        }
    }
    work.run::<Plain>();
}

/// Whether registers of so many bits are to be used: all, but in tests of narrower ones.
#[cfg(target_arch = "x86_64")]
fn allowed(bits: usize) -> bool {
    #[cfg(test)]
    return bits <= WIDEST.get();
    #[cfg(not(test))]
    return bits > 0;
}

#[cfg(test)]
thread_local! {
    /// Bits of the widest registers that this thread may use.
    pub(crate) static WIDEST: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{LANES, Sums, Wide};
    use std::arch::x86_64::{
        __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
        _mm256_castpd_ps, _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
        _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps,
        _mm512_castps_pd, _mm512_castps512_ps256, _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_sub_ps,
    };

    /// Made only inside of [`avx512`].
    #[derive(Clone, Copy)]
    struct Avx512(__m512);

    impl Sums for Avx512 {
        const MANY: bool = true;

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
        fn add_weighted(self, weight: f32, x: &[f32; LANES]) -> Self {
            // SAFETY: as above; the array holds the sixteen numbers that are read.
            unsafe { Self(_mm512_add_ps(self.0, _mm512_mul_ps(_mm512_set1_ps(weight), _mm512_loadu_ps(x.as_ptr())))) }
        }
        #[inline(always)]
        fn add_products(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
            // SAFETY: as above; both arrays hold the sixteen numbers that are read.
            unsafe { Self(_mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()), self.0)) }
        }
        #[inline(always)]
        fn add_weighted_fused(self, weight: f32, x: &[f32; LANES]) -> Self {
            // SAFETY: as above; the array holds the sixteen numbers that are read.
            unsafe { Self(_mm512_fmadd_ps(_mm512_set1_ps(weight), _mm512_loadu_ps(x.as_ptr()), self.0)) }
        }
        #[inline(always)]
        fn get(self) -> [f32; LANES] {
            let mut out = [0.0; LANES];
            // SAFETY: as above; the array has room for the sixteen numbers that are written.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
            out
        }
        #[inline(always)]
        fn folded(self) -> f32 {
            // SAFETY: as above.
            unsafe {
                let upper = _mm512_castps_pd(self.0);
                let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(upper));
                fold8(_mm256_add_ps(_mm512_castps512_ps256(self.0), upper))
            }
        }
    }

    /// Made only inside of [`avx2`].
    #[derive(Clone, Copy)]
    struct Avx2([__m256; 2]);

    impl Sums for Avx2 {
        const MANY: bool = false;

        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX2 and FMA, or nobody would be here.
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
        fn add_weighted(self, weight: f32, x: &[f32; LANES]) -> Self {
            let half = |at: usize| {
                let x = &x[at * 8..][..8];
                // SAFETY: as above; the slice holds the eight numbers that are read.
                unsafe { _mm256_add_ps(self.0[at], _mm256_mul_ps(_mm256_set1_ps(weight), _mm256_loadu_ps(x.as_ptr()))) }
            };
            Self([half(0), half(1)])
        }
        #[inline(always)]
        fn add_products(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
            let half = |at: usize| {
                let (a, b) = (&a[at * 8..][..8], &b[at * 8..][..8]);
                // SAFETY: as above; both slices hold the eight numbers that are read.
                unsafe { _mm256_fmadd_ps(_mm256_loadu_ps(a.as_ptr()), _mm256_loadu_ps(b.as_ptr()), self.0[at]) }
            };
            Self([half(0), half(1)])
        }
        #[inline(always)]
        fn add_weighted_fused(self, weight: f32, x: &[f32; LANES]) -> Self {
            let half = |at: usize| {
                let x = &x[at * 8..][..8];
                // SAFETY: as above; the slice holds the eight numbers that are read.
                unsafe { _mm256_fmadd_ps(_mm256_set1_ps(weight), _mm256_loadu_ps(x.as_ptr()), self.0[at]) }
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
        #[inline(always)]
        fn folded(self) -> f32 {
            // SAFETY: as above.
            unsafe { fold8(_mm256_add_ps(self.0[0], self.0[1])) }
        }
    }

    /// Folds eight partial sums in halves.
    ///
    /// # Safety
    /// The processor has AVX.
    #[inline(always)]
    unsafe fn fold8(sums: __m256) -> f32 {
        // SAFETY: the caller promises AVX.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[target_feature(enable = "avx512f")]
    pub(crate) fn avx512(work: impl Wide) {
        work.run::<Avx512>();
    }

    #[target_feature(enable = "avx2,fma")]
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

    /// Distances of the first token to four others, alone and beside another, and a weighted sum of its first channels.
    struct All<'a> {
        x: &'a [f32],
        channels: usize,
        out: &'a mut Vec<f32>,
    }

    impl Wide for All<'_> {
        #[inline(always)]
        fn run<S: Sums>(self) {
            let token = |i: usize| &self.x[i * self.channels..(i + 1) * self.channels];
            let others = [token(1), token(2), token(3), token(4)];
            let [alone] = squared_distances::<S, 1, PAIRS>([token(0)], others);
            let [_, beside] = squared_distances::<S, 2, PAIRS>([token(1), token(0)], others);
            assert_eq!(alone, beside);
            self.out.extend(alone);
            let (sixteens, _) = self.x.as_chunks::<LANES>();
            let sums = sixteens.iter().fold(S::zero(), |sums, x| sums.add_weighted(0.3, x));
            self.out.extend(sums.get());
        }
    }

    #[test]
    fn every_width_gives_the_same_bits_as_plain_loops() {
        for channels in [1, 7, 15, 16, 17, 64, 100, 300] {
            let x: Vec<f32> = (0..5 * channels).map(value).collect();
            let token = |i: usize| &x[i * channels..(i + 1) * channels];
            let mut expected: Vec<f32> = (1..5).map(|j| squared_distance(token(0), token(j))).collect();
            let mut sums = [0.0f32; LANES];
            x.as_chunks::<LANES>().0.iter().for_each(|x| (0..LANES).for_each(|l| sums[l] += 0.3 * x[l]));
            expected.extend(sums);
            let mut out = Vec::new();
            widest(All { x: &x, channels, out: &mut out });
            assert_eq!(out, expected);
            out.clear();
            All { x: &x, channels, out: &mut out }.run::<Plain>();
            assert_eq!(out, expected);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                out.clear();
                // SAFETY: the features were just detected.
                unsafe { x86::avx2(All { x: &x, channels, out: &mut out }) };
                assert_eq!(out, expected);
            }
        }
    }
}
