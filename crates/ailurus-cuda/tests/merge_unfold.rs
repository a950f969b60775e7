//! AilurusMerge, AilurusUnfold and AilurusUnfoldResidual on the host equal the scalar references in every bit.

mod common;

use ailurus_ops::{MergeDims, UnfoldDims, reference};
use common::{How, Random, Value, bits, from_reference, merge, narrow, to_reference, unfold, unfold_residual};
use half::{bf16, f16};
use proptest::prelude::*;

/// A problem: sizes, rows of tokens, and values.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    tokens: usize,
    rows: usize,
    channels: usize,
    choices: usize,
    /// 0: uniform, 1: a few large rows, 2: all but one token of each row in one row.
    shape: u8,
    /// One value in this many is not a number or infinite; 0 for none.
    odd: usize,
    seed: u64,
}

impl Case {
    fn index(&self) -> Vec<i32> {
        let mut random = Random(self.seed);
        let mut index = Vec::new();
        for _ in 0..self.batch {
            let mut image: Vec<i32> = (0..self.tokens)
                .map(|t| match self.shape {
                    _ if t < self.rows => t as i32,
                    1 => (random.below(3.min(self.rows)) * (self.rows - 1) / 2) as i32,
                    2 => (self.rows / 2) as i32,
                    _ => random.below(self.rows) as i32,
                })
                .collect();
            for t in (1..self.tokens).rev() {
                image.swap(t, random.below(t + 1));
            }
            index.extend(image);
        }
        index
    }

    fn sizes(&self, index: &[i32]) -> Vec<f32> {
        let mut sizes = vec![0.0; self.batch * self.rows];
        for (t, &row) in index.iter().enumerate() {
            sizes[t / self.tokens * self.rows + row as usize] += 1.0;
        }
        sizes
    }

    fn values<E: Value>(&self, count: usize, seed: u64) -> Vec<E> {
        let mut random = Random(self.seed ^ seed);
        let mut values = random.values(count);
        if self.odd > 0 {
            for value in values.iter_mut() {
                if random.below(self.odd) == 0 {
                    *value = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0][random.below(5)];
                }
            }
        }
        narrow(&values)
    }

    fn check<E: Value>(&self, how: How) {
        let Self { batch, tokens, rows, channels, choices, .. } = *self;
        let index = self.index();
        let sizes = self.sizes(&index);
        let x: Vec<E> = self.values(batch * tokens * channels, 1);
        let z: Vec<E> = self.values(batch * rows * channels, 2);
        let start: Vec<E> = self.values(batch * rows * channels, 3);
        let (rx, rz, rstart) = (to_reference(&x), to_reference(&z), to_reference(&start));
        let same = |got: &[E], expected: &[E::Reference], what: &str| {
            let expected: Vec<E> = from_reference(expected);
            assert!(bits(got) == bits(&expected), "{what}, {:?}, {how:?}, {self:?}", E::ELEMENT);
        };

        let dims = MergeDims { batch, tokens, rows, channels };
        let expected = reference::merge(&rx, &index, &sizes, dims).expect("reference");
        same(&merge(&x, &index, &sizes, dims, how).expect("kernel"), &expected, "merge");

        let dims = UnfoldDims { batch, rows, tokens, choices: 1, channels };
        let expected = reference::unfold(&rz, &index, None, dims).expect("reference");
        same(&unfold(&z, &index, None, dims, how).expect("kernel"), &expected, "unfold");
        let expected = reference::unfold_residual(&rz, &rstart, &rx, &index, None, dims).expect("reference");
        for in_place in [false, true] {
            let got = unfold_residual((&z, &start, &x), &index, None, dims, how, in_place).expect("kernel");
            same(&got, &expected, "unfold_residual");
        }

        let dims = UnfoldDims { choices, ..dims };
        let mut random = Random(self.seed ^ 4);
        let index: Vec<i32> = (0..batch * tokens * choices).map(|_| random.below(rows) as i32).collect();
        let weight = random.values(index.len());
        let expected = reference::unfold(&rz, &index, Some(&weight), dims).expect("reference");
        same(&unfold(&z, &index, Some(&weight), dims, how).expect("kernel"), &expected, "weighted unfold");
        let expected = reference::unfold_residual(&rz, &rstart, &rx, &index, Some(&weight), dims).expect("reference");
        let got = unfold_residual((&z, &start, &x), &index, Some(&weight), dims, how, false).expect("kernel");
        same(&got, &expected, "weighted unfold_residual");
    }

    fn check_all(&self, how: How) {
        self.check::<f32>(how);
        self.check::<f16>(how);
        self.check::<bf16>(how);
    }
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (1usize..=3, 1usize..=150, any::<u16>(), prop_oneof![1usize..=9, 1usize..=100], 1usize..=5);
    (sizes, 0u8..3, prop_oneof![Just(0usize), Just(9)], any::<u64>()).prop_map(
        |((batch, tokens, rows, channels, choices), shape, odd, seed)| {
            let rows = usize::from(rows) % tokens + 1;
            Case { batch, tokens, rows, channels, choices, shape, odd, seed }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_case_equals_the_reference(case in case(), schedule in 0u64..1000, misaligned in 0usize..9) {
        case.check_all(How { schedule, misaligned });
    }
}

#[test]
fn rows_of_every_width_equal_the_reference() {
    // Around the widths of packs and of warps of packs, aligned and not.
    for channels in [1, 2, 3, 4, 7, 8, 12, 16, 31, 32, 33, 64, 128, 136, 255, 256, 257, 520, 1024, 1028, 4093, 4096] {
        let case = Case { batch: 2, tokens: 37, rows: 11, channels, choices: 3, shape: 0, odd: 0, seed: 5 };
        case.check_all(How::scheduled(2));
        case.check_all(How { schedule: 3, misaligned: 1 });
    }
}

#[test]
fn rows_with_more_members_than_slots_add_in_order() {
    for tokens in [63, 64, 65, 66, 129, 700] {
        for rows in [1, 2, 3, 40] {
            for schedule in 0..4 {
                let case = Case {
                    batch: 1,
                    tokens,
                    rows: rows.min(tokens),
                    channels: 9,
                    choices: 1,
                    shape: 2,
                    odd: 0,
                    seed: 6,
                };
                case.check::<f32>(How::scheduled(schedule));
            }
        }
    }
}

#[test]
fn long_sequences_equal_the_reference() {
    // Beyond each bound where blocks of the merge take more rows.
    for (tokens, rows) in [(2049, 700), (8193, 1500), (8193, 8193)] {
        let case = Case { batch: 1, tokens, rows, channels: 8, choices: 2, shape: 0, odd: 0, seed: 7 };
        case.check::<f16>(How::scheduled(2));
        let case = Case { shape: 1, ..case };
        case.check::<f32>(How::scheduled(3));
    }
}

#[test]
fn rows_without_members_and_wrong_sizes_follow_the_reference() {
    let x: Vec<f32> = Random(8).values(6 * 4);
    let index = [4, 4, 0, 4, 1, 1];
    let sizes = [1.0, 0.0, f32::NAN, -3.0, 7.5];
    let dims = MergeDims { batch: 1, tokens: 6, rows: 5, channels: 4 };
    let expected = reference::merge(&x, &index, &sizes, dims).expect("reference");
    let got = merge(&x, &index, &sizes, dims, How::default()).expect("kernel");
    assert_eq!(bits(&got), bits(&expected));
}

#[test]
fn an_index_that_names_no_row_reads_and_writes_nothing_outside() {
    let (tokens, rows, channels) = (9, 4, 5);
    let index = [0, -1, 4, i32::MAX, i32::MIN, 3, 1000, -1000, 2];
    let inside: Vec<i32> = index.iter().map(|&i| i.clamp(0, rows as i32 - 1)).collect();
    let z: Vec<f32> = Random(9).values(rows * channels);
    let start: Vec<f32> = Random(10).values(rows * channels);
    let x: Vec<f32> = Random(11).values(tokens * channels);
    // Unfolding: the nearest row there is.
    let dims = UnfoldDims { batch: 1, rows, tokens, choices: 1, channels };
    let expected = reference::unfold(&z, &inside, None, dims).expect("reference");
    assert_eq!(unfold(&z, &index, None, dims, How::default()).expect("kernel"), expected);
    let weight = Random(12).values(tokens);
    let expected = reference::unfold(&z, &inside, Some(&weight), dims).expect("reference");
    assert_eq!(unfold(&z, &index, Some(&weight), dims, How::default()).expect("kernel"), expected);
    let expected = reference::unfold_residual(&z, &start, &x, &inside, None, dims).expect("reference");
    let got = unfold_residual((&z, &start, &x), &index, None, dims, How::default(), false).expect("kernel");
    assert_eq!(got, expected);
    // Merging: a member of no row.
    let dims = MergeDims { batch: 1, tokens, rows, channels };
    let known: Vec<usize> = (0..tokens).filter(|&t| (0..rows as i32).contains(&index[t])).collect();
    let kept: Vec<f32> = known.iter().flat_map(|&t| x[t * channels..(t + 1) * channels].to_vec()).collect();
    let kept_index: Vec<i32> = known.iter().map(|&t| index[t]).collect();
    let kept_dims = MergeDims { tokens: known.len(), ..dims };
    let expected = reference::merge(&kept, &kept_index, &[1.0; 4], kept_dims).expect("reference");
    assert_eq!(merge(&x, &index, &[1.0; 4], dims, How::default()).expect("kernel"), expected);
}

/// Weight times one, rounded: what becomes of any f32 in a 16-bit type.
fn rounded<E: Value>(values: &[f32]) -> Vec<E> {
    let index = vec![0; values.len()];
    let dims = UnfoldDims { batch: 1, rows: 1, tokens: values.len(), choices: 1, channels: 1 };
    unfold(&[E::from_f32(1.0)], &index, Some(values), dims, How::default()).expect("kernel")
}

#[test]
fn sixteen_bit_types_round_to_nearest_even() {
    let mut random = Random(13);
    let mut values: Vec<f32> = (0..60_000).map(|_| f32::from_bits(random.bits())).collect();
    // Every f16, what lies half way to the next, and the neighbours of that.
    for half in (0..=u16::MAX).step_by(3) {
        let (low, high) = (f16::from_bits(half).to_f32(), f16::from_bits(half.wrapping_add(1)).to_f32());
        let middle = low + (high - low) / 2.0;
        values.extend([low, middle, middle.next_up(), middle.next_down()]);
    }
    let plus_zero: Vec<f32> = values.iter().map(|v| v + 0.0).collect();
    assert!(bits(&rounded::<f16>(&values)) == bits(&narrow::<f16>(&plus_zero)));
    assert!(bits(&rounded::<bf16>(&values)) == bits(&narrow::<bf16>(&plus_zero)));
}

#[test]
fn sixteen_bit_types_widen_exactly() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let index = vec![0; 1];
    let dims = UnfoldDims { batch: 1, rows: 1, tokens: 1, choices: 1, channels: all.len() };
    let halves: Vec<f16> = all.iter().map(|&b| f16::from_bits(b)).collect();
    let got = unfold(&halves, &index, Some(&[1.0]), dims, How::default()).expect("kernel");
    assert!(bits(&got) == bits(&narrow::<f16>(&halves.iter().map(|v| v.to_f32() + 0.0).collect::<Vec<_>>())));
    let brains: Vec<bf16> = all.iter().map(|&b| bf16::from_bits(b)).collect();
    let got = unfold(&brains, &index, Some(&[1.0]), dims, How::default()).expect("kernel");
    assert!(bits(&got) == bits(&narrow::<bf16>(&brains.iter().map(|v| v.to_f32() + 0.0).collect::<Vec<_>>())));
}
