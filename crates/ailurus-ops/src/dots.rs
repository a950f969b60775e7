//! Dot products of rows of small whole numbers, in registers as wide as there are: two or four times as many in an
//! instruction as of `f32`, and exact, so that they are the same however they are added.

use crate::lanes::LANES;

/// Rows of the right side that lie side by side in a panel, group of channels by group of channels.
pub(crate) const PANEL: usize = 2 * LANES;

/// Rows of the left side come in multiples of this.
pub(crate) const ROWS: usize = 8;

/// Groups of channels after which the next rows take their turn: this much of a panel stays in the fastest cache.
const RUN: usize = 128;

/// Whole numbers of some size, in groups of as many bits as a sum has: what one instruction multiplies and adds.
pub(crate) trait Digits: Sized {
    /// A number on the left, and a group of them.
    type Left: Copy + Default + Send + Sync;
    type Lefts: Copy + Default + Send + Sync;
    /// A number on the right, and a group of them.
    type Right: Copy + Default + Send + Sync;
    type Rights: Copy + Default + Send + Sync;
    /// Numbers of a group.
    const GROUP: usize = size_of::<i32>() / size_of::<Self::Right>();
    /// The numbers of groups on the left, and on the right.
    fn lefts(groups: &mut [Self::Lefts]) -> &mut [Self::Left];
    fn rights(groups: &mut [Self::Rights]) -> &mut [Self::Right];
    /// The sum of the products of a group.
    fn dot(a: Self::Lefts, b: Self::Rights) -> i32;
    /// Computes with the instructions that this processor has.
    fn run(dots: Dots<'_, Self>);
}

/// Numbers of sixteen bits.
pub(crate) struct Words;

impl Digits for Words {
    type Left = i16;
    type Lefts = [i16; 2];
    type Right = i16;
    type Rights = [i16; 2];

    fn lefts(groups: &mut [[i16; 2]]) -> &mut [i16] {
        groups.as_flattened_mut()
    }
    fn rights(groups: &mut [[i16; 2]]) -> &mut [i16] {
        groups.as_flattened_mut()
    }
    #[inline(always)]
    fn dot(a: [i16; 2], b: [i16; 2]) -> i32 {
        i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1])
    }
    fn run(dots: Dots<'_, Self>) {
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_vnni() {
                // SAFETY: the features were just detected.
                return unsafe { x86::vnni(dots) };
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was just detected.
                return unsafe { x86::avx2(dots) };
            }
        }
        dots.tiles::<Plain, 2>();
    }
}

/// Numbers of eight bits, without a sign on the left.
pub(crate) struct Bytes;

impl Bytes {
    /// Whether this processor has instructions for just these: it takes half the time of [`Words`] then.
    pub fn fast() -> bool {
        #[cfg(target_arch = "x86_64")]
        return x86::has_vnni();
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }
}

impl Digits for Bytes {
    type Left = u8;
    type Lefts = [u8; 4];
    type Right = i8;
    type Rights = [i8; 4];

    fn lefts(groups: &mut [[u8; 4]]) -> &mut [u8] {
        groups.as_flattened_mut()
    }
    fn rights(groups: &mut [[i8; 4]]) -> &mut [i8] {
        groups.as_flattened_mut()
    }
    #[inline(always)]
    fn dot(a: [u8; 4], b: [i8; 4]) -> i32 {
        a.iter().zip(b).map(|(&a, b)| i32::from(a) * i32::from(b)).sum()
    }
    fn run(dots: Dots<'_, Self>) {
        #[cfg(target_arch = "x86_64")]
        if x86::has_vnni() {
            // SAFETY: the features were just detected.
            return unsafe { x86::vnni(dots) };
        }
        dots.tiles::<Plain, 2>();
    }
}

/// Sixteen sums in registers.
trait Sums: Copy {
    fn zero() -> Self;
    fn load(sums: &[i32; LANES]) -> Self;
    fn store(self, sums: &mut [i32; LANES]);
}

/// Those of some numbers.
trait SumsOf<D: Digits>: Sums {
    /// Adds the products of a group on the left and sixteen on the right.
    fn add(self, a: D::Lefts, b: &[D::Rights; LANES]) -> Self;
}

/// Dot products of all rows on the left with all on the right. They must be below 2³¹.
pub(crate) struct Dots<'a, D: Digits> {
    /// `[_, groups]`
    pub left: &'a [D::Lefts],
    /// `[_, groups]`, each of 2 x 16 rows.
    pub right: &'a [[[D::Rights; LANES]; 2]],
    pub groups: usize,
    /// `[rows of left, panels]`
    pub out: &'a mut [[[i32; LANES]; 2]],
}

impl<D: Digits> Dots<'_, D> {
    /// Computes them.
    pub fn run(self) {
        D::run(self);
    }

    /// All products, R rows on the left by a panel at a time.
    #[inline(always)]
    fn tiles<S: SumsOf<D>, const R: usize>(self) {
        let Self { left, right, groups, out } = self;
        let (rows, panels) = (left.len() / groups, right.len() / groups);
        for (number, panel) in right.chunks_exact(groups).enumerate() {
            for (from, run) in (0..).step_by(RUN).zip(panel.chunks(RUN)) {
                for row in (0..rows).step_by(R) {
                    let a: [&[D::Lefts]; R] = std::array::from_fn(|r| &left[(row + r) * groups + from..][..run.len()]);
                    let mut sums = [[S::zero(); 2]; R];
                    if from > 0 {
                        for r in 0..R {
                            let [low, high] = &out[(row + r) * panels + number];
                            sums[r] = [S::load(low), S::load(high)];
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
struct Plain([i32; LANES]);

impl Sums for Plain {
    #[inline(always)]
    fn zero() -> Self {
        Self([0; LANES])
    }
    #[inline(always)]
    fn load(sums: &[i32; LANES]) -> Self {
        Self(*sums)
    }
    #[inline(always)]
    fn store(self, sums: &mut [i32; LANES]) {
        *sums = self.0;
    }
}

impl<D: Digits> SumsOf<D> for Plain {
    #[inline(always)]
    fn add(mut self, a: D::Lefts, b: &[D::Rights; LANES]) -> Self {
        self.0.iter_mut().zip(b).for_each(|(sum, b)| *sum += D::dot(a, *b));
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Bytes, Digits, Dots, LANES, ROWS, Sums, SumsOf, Words};
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

    /// Whether [`vnni`] may be called.
    pub(super) fn has_vnni() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
    }

    /// Made only inside of [`vnni`].
    #[derive(Clone, Copy)]
    pub(super) struct Vnni(__m512i);

    impl Sums for Vnni {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX-512, or nobody would be here.
            Self(unsafe { _mm512_setzero_si512() })
        }
        #[inline(always)]
        fn load(sums: &[i32; LANES]) -> Self {
            // SAFETY: as above; the array holds what is read.
            Self(unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) })
        }
        #[inline(always)]
        fn store(self, sums: &mut [i32; LANES]) {
            // SAFETY: as above; the array has room for what is written.
            unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), self.0) };
        }
    }

    impl SumsOf<Words> for Vnni {
        #[inline(always)]
        fn add(self, a: [i16; 2], b: &[[i16; 2]; LANES]) -> Self {
            // SAFETY: as above; the array holds what is read.
            unsafe {
                let (a, b) = (_mm512_set1_epi32(both(a)), _mm512_loadu_si512(b.as_ptr().cast()));
                Self(add_words(self.0, a, b))
            }
        }
    }

    impl SumsOf<Bytes> for Vnni {
        #[inline(always)]
        fn add(self, a: [u8; 4], b: &[[i8; 4]; LANES]) -> Self {
            // SAFETY: as above; the array holds what is read.
            unsafe {
                let (a, b) = (_mm512_set1_epi32(i32::from_le_bytes(a)), _mm512_loadu_si512(b.as_ptr().cast()));
                Self(add_bytes(self.0, a, b))
            }
        }
    }

    /// What `_mm512_dpwssd_epi32` stands for. Compilers take that apart into a product and a sum, for the sake of a latency
    /// that does not matter where sixteen sums run side by side.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn add_words(mut sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
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

    /// What `_mm512_dpbusd_epi32` stands for, likewise.
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn add_bytes(mut sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the instruction reads and writes these registers only.
        unsafe {
            std::arch::asm!(
                "vpdpbusd {sums}, {a}, {b}",
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

    impl Sums for Avx2 {
        #[inline(always)]
        fn zero() -> Self {
            // SAFETY: the processor has AVX2, or nobody would be here.
            Self(unsafe { [_mm256_setzero_si256(); 2] })
        }
        #[inline(always)]
        fn load(sums: &[i32; LANES]) -> Self {
            // SAFETY: the processor has AVX2, or nobody would be here; both halves of the array hold what is read.
            let half = |at: usize| unsafe { _mm256_loadu_si256(sums[at * 8..][..8].as_ptr().cast()) };
            Self([half(0), half(1)])
        }
        #[inline(always)]
        fn store(self, sums: &mut [i32; LANES]) {
            for (out, half) in sums.chunks_exact_mut(8).zip(self.0) {
                // SAFETY: as above; the chunk has room for what is written.
                unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), half) };
            }
        }
    }

    impl SumsOf<Words> for Avx2 {
        #[inline(always)]
        fn add(self, a: [i16; 2], b: &[[i16; 2]; LANES]) -> Self {
            let half = |at: usize| {
                let b = &b[at * 8..][..8];
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
    pub(super) fn vnni<D: Digits>(dots: Dots<'_, D>)
    where
        Vnni: SumsOf<D>,
    {
        dots.tiles::<Vnni, ROWS>();
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(dots: Dots<'_, Words>) {
        dots.tiles::<Avx2, 2>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the products of some numbers with those of plain loops, and those with `expected`.
    fn check<D: Digits>(
        numbers: &mut dyn FnMut() -> (D::Left, D::Right),
        product: fn(D::Left, D::Right) -> i32,
        others: &[fn(Dots<'_, D>)],
    ) {
        for (rows, panels, groups) in [(8, 1, 1), (16, 3, 5), (8, 2, RUN), (16, 2, 2 * RUN + 3)] {
            let channels = groups * D::GROUP;
            let left: Vec<D::Left> = (0..rows * channels).map(|_| numbers().0).collect();
            let right: Vec<D::Right> = (0..panels * PANEL * channels).map(|_| numbers().1).collect();
            let mut lefts = vec![D::Lefts::default(); rows * groups];
            D::lefts(&mut lefts).copy_from_slice(&left);
            let mut rights = vec![[[D::Rights::default(); LANES]; 2]; panels * groups];
            for (at, from) in right.chunks_exact(D::GROUP).enumerate() {
                let (row, group) = (at / groups, at % groups);
                let panel = &mut rights[row / PANEL * groups + group];
                D::rights(&mut panel[row % PANEL / LANES][row % LANES..][..1]).copy_from_slice(from);
            }
            let expected: Vec<i32> = (0..rows * panels * PANEL)
                .map(|at| {
                    let (a, b) = (at / (panels * PANEL) * channels, at % (panels * PANEL) * channels);
                    let pairs = left[a..][..channels].iter().zip(&right[b..][..channels]);
                    pairs.map(|(&a, &b)| product(a, b)).sum()
                })
                .collect();
            for compute in others.iter().chain(&[D::run as fn(Dots<'_, D>), |dots| dots.tiles::<Plain, 2>()]) {
                let mut out = vec![[[0i32; LANES]; 2]; rows * panels];
                compute(Dots { left: &lefts, right: &rights, groups, out: &mut out });
                assert_eq!(out.as_flattened().as_flattened(), expected, "{rows} x {panels} x {groups}");
            }
        }
    }

    fn generator() -> impl FnMut() -> u32 {
        let mut seed = 1u32;
        move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        }
    }

    #[test]
    fn every_width_gives_the_exact_products() {
        let mut seed = generator();
        let others: &[fn(Dots<'_, Words>)] = &[
            #[cfg(target_arch = "x86_64")]
            |dots| {
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature was just detected.
                    unsafe { x86::avx2(dots) }
                } else {
                    dots.run();
                }
            },
        ];
        check::<Words>(&mut || (seed() as i16 >> 5, seed() as i16 >> 5), |a, b| i32::from(a) * i32::from(b), others);
    }

    #[test]
    fn products_of_bytes_are_exact_too() {
        let mut seed = generator();
        check::<Bytes>(&mut || (seed() as u8, seed() as i8), |a, b| i32::from(a) * i32::from(b), &[]);
        // Sums of four products that do not fit 16 bits.
        check::<Bytes>(&mut || (u8::MAX, i8::MIN), |a, b| i32::from(a) * i32::from(b), &[]);
    }
}
