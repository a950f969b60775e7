//! AilurusGridKMeans on the host equals the scalar reference in every bit, whatever the schedule.
//!
//! Means of distances are added in another order than the reference adds them, in double precision: they could be rounded
//! otherwise about once in 10⁸ images, which is not what a test that fails will have found.

mod common;

use ailurus_ops::parallel::Serial;
use ailurus_ops::{GridClusters, GridKMeans, Norm, TemperatureMode, kernel, reference};
use common::{How, Random, Value, bits, from_reference, grid_kmeans, narrow, to_reference, value};
use half::f16;
use proptest::prelude::*;

/// A problem: parameters and a stream.
#[derive(Clone, Debug)]
struct Case {
    params: GridKMeans,
    grid: (usize, usize),
    batch: usize,
    channels: usize,
    x: Vec<f32>,
}

impl Case {
    fn new(grid: (usize, usize), clusters: (usize, usize), batch: usize, channels: usize) -> Self {
        let params = GridKMeans::new(1, 0, Some(grid), clusters);
        Self { params, grid, batch, channels, x: vec![] }.random(7)
    }

    fn with(mut self, change: impl FnOnce(&mut GridKMeans)) -> Self {
        change(&mut self.params);
        self.random(8)
    }

    /// What the released code does.
    fn parity(self) -> Self {
        self.with(|p| {
            (p.temperature, p.temperature_mode, p.norm, p.ties) =
                (0.3, TemperatureMode::Absolute, Norm::L2, p.tokens());
        })
    }

    fn len(&self) -> usize {
        self.batch * (self.params.prefix + self.grid.0 * self.grid.1 + self.params.suffix) * self.channels
    }

    fn random(mut self, seed: u64) -> Self {
        self.x = Random(seed).values(self.len());
        self
    }

    fn filled(mut self, value: impl Fn(usize) -> f32) -> Self {
        self.x = (0..self.len()).map(value).collect();
        self
    }

    /// Compares with what `expected` makes of the same stream.
    fn compare<E: Value>(&self, how: How, expected: impl FnOnce(&[E::Reference]) -> GridClusters<E::Reference>) {
        let x: Vec<E> = narrow(&self.x);
        let expected = expected(&to_reference(&x));
        let got = grid_kmeans(&self.params, self.grid, &x, self.batch, self.channels, how).expect("kernels");
        let about =
            format!("{:?}, {how:?}, {:?} of {:?}, {} channels", E::ELEMENT, self.params, self.grid, self.channels);
        assert_eq!((got.rows, got.choices), (expected.rows, expected.choices), "{about}");
        assert_eq!(got.index, expected.index, "{about}");
        assert_eq!(bits(&got.weight), bits(&expected.weight), "{about}");
        assert!(bits(&got.z) == bits(&from_reference::<E>(&expected.z)), "{about}");
    }

    fn check_as<E: Value>(&self, how: How) {
        self.compare::<E>(how, |x| {
            reference::grid_kmeans(&self.params, x, self.batch, self.channels, self.grid).expect("reference")
        });
    }

    fn check(&self, how: How) {
        self.check_as::<f32>(how);
        self.check_as::<f16>(how);
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1usize..=9, 1usize..=9, any::<(u8, u8)>(), 0usize..3, 0usize..3);
    let temperature = prop_oneof![Just(0.0f32), Just(0.02), Just(5.0), Just(1e9), 0.0f32..50.0];
    let constants = (0usize..=3, 1usize..=9, 1usize..=12, 0usize..=12, temperature, any::<(bool, bool)>());
    (shape, constants, 1usize..=3, 1usize..=35, 0u8..4).prop_flat_map(
        |(
            (h, w, cut, prefix, suffix),
            (iterations, window, neighbors, ties, temperature, modes),
            batch,
            channels,
            kind,
        )| {
            let clusters = (usize::from(cut.0) % h + 1, usize::from(cut.1) % w + 1);
            let params = GridKMeans {
                iterations,
                window,
                neighbors,
                ties,
                temperature,
                temperature_mode: if modes.0 { TemperatureMode::Absolute } else { TemperatureMode::Relative },
                norm: if modes.1 { Norm::L1 } else { Norm::L2 },
                ..GridKMeans::new(prefix, suffix, Some((h, w)), clusters)
            };
            let tokens = prefix + h * w + suffix;
            proptest::collection::vec(value(kind), batch * tokens * channels).prop_map(move |x| Case {
                params,
                grid: (h, w),
                batch,
                channels,
                x,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_case_equals_the_reference(case in case(), schedule in 0u64..1000, misaligned in 0usize..4) {
        case.check(How { schedule, misaligned });
    }
}

#[test]
fn grids_and_windows_of_every_shape_equal_the_reference() {
    for (grid, clusters) in [
        ((1, 1), (1, 1)),
        ((1, 61), (1, 20)),
        ((61, 1), (33, 1)),
        ((2, 30), (2, 7)),
        ((13, 11), (7, 11)),
        ((7, 40), (1, 40)),
    ] {
        for window in [1, 2, 3, 5, 8, 1000] {
            Case::new(grid, clusters, 1, 8).with(|p| p.window = window).check_as::<f32>(How::scheduled(window as u64));
        }
    }
}

#[test]
fn schedules_do_not_show() {
    let case = Case::new((9, 14), (5, 7), 2, 20).with(|p| (p.prefix, p.suffix, p.neighbors) = (5, 2, 6));
    for schedule in 0..6 {
        case.check_as::<f32>(How::scheduled(schedule));
    }
    // Ties are where an order of arrival would show first.
    let tied = case.parity().filled(|i| (i * i % 7 / 3) as f32);
    for schedule in 0..6 {
        tied.check_as::<f16>(How::scheduled(schedule));
    }
}

#[test]
fn many_channels_equal_the_reference() {
    // Around the widths of quads, of what is added between two looks, and of what a block of centres makes.
    for channels in [1, 3, 4, 15, 16, 17, 127, 128, 129, 384, 511, 512, 513, 1024] {
        let case = Case::new((6, 7), (4, 5), 1, channels).with(|p| p.iterations = 2);
        case.check(How::scheduled(channels as u64));
        case.check(How { schedule: 5, misaligned: 1 });
    }
}

#[test]
fn the_widest_stream_that_is_promised_equals_the_reference() {
    for channels in [4093, 4096] {
        Case::new((4, 5), (3, 3), 1, channels).with(|p| p.iterations = 2).check(How::scheduled(channels as u64));
    }
}

#[test]
fn as_many_nearest_centres_as_there_are_equal_the_reference() {
    // Lists of one centre, around the size of a warp, and of all centres.
    for neighbors in [1, 2, 31, 32, 33, 64, 65, 89, 90, 91, 1000] {
        let case = Case::new((11, 12), (9, 10), 1, 24).with(|p| (p.neighbors, p.iterations) = (neighbors, 1));
        case.check_as::<f32>(How::scheduled(neighbors as u64));
        case.filled(|i| (i * i % 11 / 4) as f32).check_as::<f16>(How::scheduled(3));
    }
}

#[test]
fn what_is_far_is_given_up_without_a_trace() {
    // Patches differ by a slope, so that distant centres are beyond the bound after a part of their channels. Some far
    // centre is near in the first channels only, and some in the last.
    let slope = |i: usize| (i / 300) as f32 * 0.01 + (i % 300 / 150) as f32 * ((i / 300) % 7) as f32;
    let case = Case::new((16, 17), (12, 13), 1, 300).with(|p| (p.prefix, p.iterations) = (0, 1)).filled(slope);
    case.check(How::scheduled(2));
    case.clone().with(|p| p.iterations = 0).filled(slope).check(How::scheduled(3));
    case.parity().filled(slope).check_as::<f32>(How::scheduled(4));
}

#[test]
fn a_grid_of_centres_like_that_of_patches_is_the_identity() {
    let case = Case::new((6, 9), (6, 9), 2, 33);
    case.check(How::scheduled(2));
    let got = grid_kmeans(&case.params, case.grid, &case.x, 2, 33, How::default()).expect("kernels");
    assert!(bits(&got.z) == bits(&case.x));
}

#[test]
fn degenerate_streams_equal_the_reference() {
    let case = Case::new((9, 8), (4, 5), 2, 9).with(|p| p.suffix = 3);
    for case in [case.clone(), case.parity()] {
        case.clone().filled(|_| 0.25).check(How::scheduled(2));
        case.clone().filled(|_| f32::NAN).check(How::scheduled(3));
        case.clone().filled(|i| if i % 5 == 0 { f32::INFINITY } else { 1.0 }).check(How::scheduled(4));
        case.clone().filled(|i| if i % 2 == 0 { f32::MAX } else { f32::MIN }).check(How::scheduled(5));
        case.clone().filled(|i| (i % 3) as f32 * 1e-23).check(How::scheduled(6));
        case.filled(|i| if i < 300 { 0.0 } else { f32::NAN }).check(How::scheduled(7));
    }
}

#[test]
fn the_published_placement_equals_the_reference() {
    // Segmenter on ADE20K: 28 x 28 of 40 x 40, 20 of the nearest; fewer channels than there.
    Case::new((40, 40), (28, 28), 1, 32).with(|p| p.neighbors = 20).check_as::<f16>(How::scheduled(2));
}

#[test]
fn the_largest_grid_that_is_promised_equals_the_kernel_for_processors() {
    // The reference would sort all pairs; the kernel for processors equals it in every bit.
    let case = Case::new((128, 128), (8, 8), 1, 4).with(|p| p.iterations = 1);
    case.compare::<f32>(How::scheduled(2), |x| {
        kernel::grid_kmeans_exact(&case.params, x, 1, 4, case.grid, &Serial).expect("kernel")
    });
}
