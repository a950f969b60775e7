//! The patches of an image in numbers that clustering can compute with.

use super::LARGEST;
use crate::lanes::{Sums, Wide, widest};
use crate::parallel::{Parallel, for_rows};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Patches that are added up on their own: always as many, so that the mean does not depend on the number of threads.
const BLOCK: usize = 64;

/// Patches with their mean.
pub(super) struct Patches<'a> {
    /// `[N, C]`
    pub values: Cow<'a, [f32]>,
    /// `[C]`: the mean patch, which most of what patches have in common is.
    pub mean: Vec<f32>,
}

impl<'a> Patches<'a> {
    /// Elements that are not numbers become 0, those beyond ±[`LARGEST`] become that: mostly there are none.
    pub fn new(values: &'a [f32], channels: usize, pool: &dyn Parallel) -> Self {
        match mean(values, channels, pool) {
            Some(mean) => Self { values: Cow::Borrowed(values), mean },
            None => {
                let tame = |&v: &f32| if v.is_nan() { 0.0 } else { v.clamp(-LARGEST, LARGEST) };
                let values: Vec<f32> = values.iter().map(tame).collect();
                let mean = mean(&values, channels, pool).unwrap_or_else(|| vec![0.0; channels]);
                Self { values: Cow::Owned(values), mean }
            }
        }
    }
}

/// `None` if there are elements to be tamed.
fn mean(values: &[f32], channels: usize, pool: &dyn Parallel) -> Option<Vec<f32>> {
    let patches = values.len() / channels;
    let fine = AtomicBool::new(true);
    let mut sums = vec![0.0f32; patches.div_ceil(BLOCK) * channels];
    for_rows(pool, &mut sums, channels, 1, |first, out| {
        let blocks = values.chunks(BLOCK * channels).skip(first);
        for (sums, block) in out.chunks_exact_mut(channels).zip(blocks) {
            let mut block_fine = true;
            widest(Add { block, sums, fine: &mut block_fine });
            fine.fetch_and(block_fine, Ordering::Relaxed);
        }
    });
    if !fine.into_inner() {
        return None;
    }
    let mut mean = vec![0.0f32; channels];
    sums.chunks_exact(channels).for_each(|sums| mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum));
    mean.iter_mut().for_each(|sum| *sum /= patches as f32);
    Some(mean)
}

/// Adds patches up, and looks whether they are fine.
struct Add<'a> {
    block: &'a [f32],
    sums: &'a mut [f32],
    fine: &'a mut bool,
}

impl Wide for Add<'_> {
    #[inline(always)]
    fn run<S: Sums>(self) {
        for row in self.block.chunks_exact(self.sums.len()) {
            // False for NaN too. No early end: this way it runs in registers.
            *self.fine &= row.iter().fold(true, |fine, v| fine & (v.abs() <= LARGEST));
            self.sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
    }
}
