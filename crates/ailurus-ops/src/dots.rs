//! Dot products of rows of small whole numbers, in registers as wide as there are: twice as many in an instruction as of
//! `f32`, and exact, so that they are the same however they are added.

/// Rows of the right side that lie side by side in a panel, pair of channels by pair of channels.
pub(crate) const PANEL: usize = 32;

/// Rows of the left side come in multiples of this.
pub(crate) const ROWS: usize = 8;

/// Pairs of channels after which the next rows take their turn: this much of a panel stays in the fastest cache.
const RUN: usize = 128;

/// Sixteen sums in registers.
trait Pairs: Copy {
    fn zero() -> Self;
    fn load(sums: &[i32; 16]) -> Self;
    fn store(self, sums: &mut [i32; 16]);
    /// Adds a₀·b₀ + a₁·b₁ for sixteen pairs b.
    fn add(self, a: [i16; 2], b: &[i16; 32]) -> Self;
}

/// Dot products of all rows on the left with all on the right. They must be below 2³¹.
pub(crate) struct Dots<'a> {
    /// `[_, pairs]`
    pub left: &'a [[i16; 2]],
    /// `[_, pairs]`, each of 2 x 16 rows.
    pub right: &'a [[[i16; 32]; 2]],
    pub pairs: usize,
    /// `[rows of left, panels]`
    pub out: &'a mut [[[i32; 16]; 2]],
}

impl Dots<'_> {
    /// Computes them.
    pub fn run(self) {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                // SAFETY: the features were just detected.
                return unsafe { x86::vnni(self) };
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was just detected.
                return unsafe { x86::avx2(self) };
            }
        }
        self.tiles::<Plain, 2>();
    }

    /// All products, R rows on the left by a panel at a time.
    #[inline(always)]
    fn tiles<P: Pairs, const R: usize>(self) {
        let Self { left, right, pairs, out } = self;
        let (rows, panels) = (left.len() / pairs, right.len() / pairs);
        for (number, panel) in right.chunks_exact(pairs).enumerate() {
            for (from, run) in (0..).step_by(RUN).zip(panel.chunks(RUN)) {
                for row in (0..rows).step_by(R) {
                    let a: [&[[i16; 2]]; R] = std::array::from_fn(|r| &left[(row + r) * pairs + from..][..run.len()]);
                    let mut sums = [[P::zero(); 2]; R];
                    if from > 0 {
                        for r in 0..R {
                            let [low, high] = &out[(row + r) * panels + number];
                            sums[r] = [P::load(low), P::load(high)];
                        }
                    }
                    for (c, b) in run.iter().enumerate() {
                        for r in 0..R {
                            sums[r] = [sums[r][0].add(a[r][c], &b[0]), sums[r][1].add(a[r][c], &b[1])];
                        }
                    }
                    for r in 0..R {
                        let [low, high] = &mut out[(row + r) * panels + number];
                        sums[r][0].store(low);
                        sums[r][1].store(high);
                    }
                }
            }
        }
    }
}

/// Sums in an array.
#[derive(Clone, Copy)]
struct Plain([i32; 16]);

impl Pairs for Plain {
    #[inline(always)]
    fn zero() -> Self {
        Self([0; 16])
    }
    #[inline(always)]
    fn load(sums: &[i32; 16]) -> Self {
        Self(*sums)
    }
    #[inline(always)]
    fn store(self, sums: &mut [i32; 16]) {
        *sums = self.0;
    }
    #[inline(always)]
    fn add(mut self, a: [i16; 2], b: &[i16; 32]) -> Self {
        for l in 0..16 {
            self.0[l] += i32::from(a[0]) * i32::from(b[2 * l]) + i32::from(a[1]) * i32::from(b[2 * l + 1]);
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Dots, Pairs, ROWS};
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
        _mm256_setzero_si256, _mm256_storeu_si256, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_si512,
    };

    /// Two numbers as the processor broadcasts them.
    #[inline(always)]
    fn both(a: [i16; 2]) -> i32 {
        let [[a, b], [c, d]] = a.map(i16::to_le_bytes);
        i32::from_le_bytes([a, b, c, d])
    }

    /// Made only inside of [`vnni`].
    #[derive(Clone, Copy)]
    struct Vnni(__m512i);

    impl Pairs for Vnni {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX-512, or nobody would be here.
            Self(unsafe { _mm512_setzero_si512() })
        }
        #[inline(always)]
        fn load(sums: &[i32; 16]) -> Self {
            // SAFETY: the processor has AVX-512, or nobody would be here; the array holds what is read.
            Self(unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) })
        }
        #[inline(always)]
        fn store(self, sums: &mut [i32; 16]) {
            // SAFETY: as above; the array has room for what is written.
            unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), self.0) };
        }
        #[inline(always)]
        fn add(self, a: [i16; 2], b: &[i16; 32]) -> Self {
            // SAFETY: as above; the array holds what is read.
            unsafe {
                let (a, b) = (_mm512_set1_epi32(both(a)), _mm512_loadu_si512(b.as_ptr().cast()));
                Self(multiply_add(self.0, a, b))
            }
        }
    }

    /// What `_mm512_dpwssd_epi32` stands for. Compilers take that apart into a product and a sum, for the sake of a latency
    /// that does not matter where sixteen sums run side by side.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn multiply_add(mut sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the instruction reads and writes these registers only.
        unsafe {
            std::arch::asm!(
                "vpdpwssd {sums}, {b}, {a}",
                sums = inout(zmm_reg) sums,
                a = in(zmm_reg) a,
                b = in(zmm_reg) b,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }

    /// Made only inside of [`avx2`].
    #[derive(Clone, Copy)]
    struct Avx2([__m256i; 2]);

    impl Pairs for Avx2 {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX2, or nobody would be here.
            Self(unsafe { [_mm256_setzero_si256(); 2] })
        }
        #[inline(always)]
        fn load(sums: &[i32; 16]) -> Self {
            // SAFETY: the processor has AVX2, or nobody would be here; both halves of the array hold what is read.
            let half = |at: usize| unsafe { _mm256_loadu_si256(sums[at * 8..][..8].as_ptr().cast()) };
            Self([half(0), half(1)])
        }
        #[inline(always)]
        fn store(self, sums: &mut [i32; 16]) {
            for (out, half) in sums.chunks_exact_mut(8).zip(self.0) {
                // SAFETY: as above; the chunk has room for what is written.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), half) };
            }
        }
        #[inline(always)]
        fn add(self, a: [i16; 2], b: &[i16; 32]) -> Self {
            let half = |at: usize| {
                let b = &b[at * 16..][..16];
                // SAFETY: as above.
                unsafe {
                    let products = _mm256_madd_epi16(_mm256_loadu_si256(b.as_ptr().cast()), _mm256_set1_epi32(both(a)));
                    _mm256_add_epi32(self.0[at], products)
                }
            };
            Self([half(0), half(1)])
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn vnni(dots: Dots<'_>) {
        dots.tiles::<Vnni, ROWS>();
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(dots: Dots<'_>) {
        dots.tiles::<Avx2, 2>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_gives_the_exact_products() {
        for (rows, panels, pairs) in [(8, 1, 1), (16, 3, 5), (8, 2, RUN), (16, 2, 2 * RUN + 3)] {
            let mut seed = 1u32;
            let mut number = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((seed >> 16) as i16) >> 5
            };
            let left: Vec<[i16; 2]> = (0..rows * pairs).map(|_| [number(), number()]).collect();
            let right: Vec<[[i16; 32]; 2]> =
                (0..panels * pairs).map(|_| std::array::from_fn(|_| std::array::from_fn(|_| number()))).collect();
            let product = |row: usize, panel: usize, l: usize| -> i32 {
                let b = |c: usize, odd: usize| i32::from(right[panel * pairs + c][l / 16][l % 16 * 2 + odd]);
                (0..pairs)
                    .flat_map(|c| (0..2).map(move |odd| (c, odd)))
                    .fold(0, |sum, (c, odd)| sum + i32::from(left[row * pairs + c][odd]) * b(c, odd))
            };
            let expected: Vec<[[i32; 16]; 2]> = (0..rows * panels)
                .map(|at| {
                    std::array::from_fn(|h| std::array::from_fn(|l| product(at / panels, at % panels, h * 16 + l)))
                })
                .collect();
            let blank = || vec![[[0i32; 16]; 2]; rows * panels];
            let check = |compute: &dyn Fn(Dots<'_>)| {
                let mut out = blank();
                compute(Dots { left: &left, right: &right, pairs, out: &mut out });
                assert_eq!(out, expected, "{rows} x {panels} x {pairs}");
            };
            check(&|dots: Dots<'_>| dots.run());
            check(&|dots: Dots<'_>| dots.tiles::<Plain, 2>());
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was just detected.
                check(&|dots: Dots<'_>| unsafe { x86::avx2(dots) });
            }
        }
    }
}
