//! The least of some numbers.

use crate::dots::PANEL;

/// The k-th in ascending order, k from 1 to [`PANEL`].
#[inline(always)]
pub(super) fn kth(values: &[f32; PANEL], k: usize) -> f32 {
    // All at once in registers: much faster than to sort so few.
    let mut less = [0u32; PANEL];
    for other in values {
        for l in 0..PANEL {
            less[l] += u32::from(*other < values[l]);
        }
    }
    let mut greatest = [f32::NEG_INFINITY; PANEL];
    for l in 0..PANEL {
        greatest[l] = if less[l] < k as u32 { values[l] } else { f32::NEG_INFINITY };
    }
    let mut width = PANEL / 2;
    while width > 0 {
        for l in 0..width {
            greatest[l] = if greatest[l + width] > greatest[l] { greatest[l + width] } else { greatest[l] };
        }
        width /= 2;
    }
    greatest[0]
}

/// At least the k-th in ascending order of any number of values, exact for up to [`PANEL`].
#[inline(always)]
pub(super) fn kth_at_most(values: &[f32], k: usize) -> f32 {
    if k > PANEL {
        return f32::INFINITY;
    }
    let mut places = [f32::INFINITY; PANEL];
    for some in values.chunks(PANEL) {
        places.iter_mut().zip(some).for_each(|(least, v)| *least = if v < least { *v } else { *least });
    }
    kth(&places, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_a_sorted_list() {
        let number = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 20;
        for kinds in [1, 2, 7, 5000] {
            for count in [1, 5, 31, 32] {
                let mut values = [f32::INFINITY; PANEL];
                values[..count]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, v)| *v = (number(i + kinds) % kinds as u32) as f32);
                let mut sorted = values;
                sorted.sort_unstable_by(f32::total_cmp);
                for k in 1..=PANEL {
                    assert_eq!(kth(&values, k), sorted[k - 1], "{k} of {values:?}");
                    assert_eq!(kth_at_most(&values[..count], k), sorted[k - 1]);
                }
            }
        }
        let many: Vec<f32> = (0..100).map(|i| number(i) as f32).collect();
        let mut sorted = many.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        assert!((1..=PANEL).all(|k| kth_at_most(&many, k) >= sorted[k - 1]));
        assert_eq!(kth_at_most(&many, PANEL + 1), f32::INFINITY);
    }
}
