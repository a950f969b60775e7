//! AilurusDensityPeaks on the host equals the scalar reference in every bit, whatever the schedule.

mod common;

use ailurus_ops::parallel::Serial;
use ailurus_ops::{DensityPeaks, Keep, Windows, kernel, reference};
use common::{How, Random, Value, density_peaks, narrow, to_reference, value};
use half::{bf16, f16};
use proptest::prelude::*;

/// A problem: parameters and a metric.
#[derive(Clone, Debug)]
struct Case {
    params: DensityPeaks,
    grid: (usize, usize),
    batch: usize,
    channels: usize,
    metric: Vec<f32>,
}

impl Case {
    fn new(grid: (usize, usize), keep: Keep, batch: usize, channels: usize) -> Self {
        let params = DensityPeaks::new(1, 0, Some(grid), keep);
        Self { params, grid, batch, channels, metric: vec![] }.random(7)
    }

    fn with(mut self, change: impl FnOnce(&mut DensityPeaks)) -> Self {
        change(&mut self.params);
        self.random(8)
    }

    fn len(&self) -> usize {
        self.batch * (self.params.prefix + self.grid.0 * self.grid.1 + self.params.suffix) * self.channels
    }

    fn random(mut self, seed: u64) -> Self {
        self.metric = Random(seed).values(self.len());
        self
    }

    fn filled(mut self, value: impl Fn(usize) -> f32) -> Self {
        self.metric = (0..self.len()).map(value).collect();
        self
    }

    fn check_as<E: Value>(&self, how: How) {
        let metric: Vec<E> = narrow(&self.metric);
        let (batch, channels, grid) = (self.batch, self.channels, self.grid);
        let expected =
            reference::density_peaks(&self.params, &to_reference(&metric), batch, channels, grid).expect("reference");
        let got = density_peaks(&self.params, grid, &metric, batch, channels, how).expect("kernels");
        assert_eq!(got, expected, "{:?}, {how:?}, {:?} of {grid:?}", E::ELEMENT, self.params);
    }

    fn check(&self, how: How) {
        self.check_as::<f32>(how);
        self.check_as::<f16>(how);
        self.check_as::<bf16>(how);
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1usize..=9, 1usize..=9, 0usize..3, 0usize..3, 1usize..=3, 1usize..=35, 0u8..4);
    let constants =
        (1usize..=5, 1usize..=40, prop_oneof![Just(0.0f32), Just(0.5), Just(1.0), 0.0f32..=1.0], any::<u16>());
    (shape, constants).prop_flat_map(
        |((h, w, prefix, suffix, batch, channels, kind), (neighbors, window, spatial_mix, keep))| {
            let clusters = usize::from(keep) % (h * w) + 1;
            let keep = if keep % 2 == 0 { Keep::Tokens(clusters) } else { Keep::Ratio { num: clusters, den: h * w } };
            let params = DensityPeaks { prefix, suffix, grid: Some((h, w)), keep, neighbors, window, spatial_mix };
            let tokens = prefix + h * w + suffix;
            proptest::collection::vec(value(kind), batch * tokens * channels).prop_map(move |metric| Case {
                params,
                grid: (h, w),
                batch,
                channels,
                metric,
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
    let half = Keep::Ratio { num: 1, den: 2 };
    for grid in [(1, 1), (1, 2), (1, 61), (61, 1), (2, 30), (30, 3), (13, 11), (7, 40)] {
        for window in [1, 2, 9, 24, 50, 1000] {
            for spatial_mix in [0.0, 0.5, 1.0] {
                Case::new(grid, half, 1, 8)
                    .with(|p| (p.window, p.spatial_mix, p.neighbors) = (window, spatial_mix, 3))
                    .check_as::<f32>(How::scheduled(window as u64));
            }
        }
    }
}

#[test]
fn schedules_do_not_show() {
    let case = Case::new((9, 14), Keep::Tokens(40), 2, 20).with(|p| (p.prefix, p.suffix, p.neighbors) = (5, 2, 4));
    for schedule in 0..24 {
        case.check_as::<f32>(How::scheduled(schedule));
    }
    // Ties are where an order of arrival would show first.
    let tied = case.filled(|i| (i * i % 7 / 3) as f32);
    for schedule in 0..24 {
        tied.check_as::<f16>(How::scheduled(schedule));
    }
}

#[test]
fn sequences_longer_than_a_block_equal_the_reference() {
    let case = Case::new((37, 61), Keep::Ratio { num: 1, den: 3 }, 1, 4);
    case.check(How::scheduled(2));
    case.filled(|i| (i * i % 11 / 4) as f32).check_as::<f32>(How::scheduled(3));
}

#[test]
fn the_largest_grid_that_is_promised_equals_the_kernel_for_processors() {
    // The reference would sort all pairs; the kernel for processors equals it in every bit.
    let case = Case::new((128, 128), Keep::Ratio { num: 1, den: 2 }, 1, 2);
    let windows = Windows::new(case.grid, case.params.window).expect("windows");
    let expected = kernel::density_peaks(&case.params, &case.metric, 1, 2, &windows, &Serial).expect("kernel");
    let got = density_peaks(&case.params, case.grid, &case.metric, 1, 2, How::scheduled(2)).expect("kernels");
    assert!(got == expected);
}

#[test]
fn many_channels_equal_the_reference() {
    for channels in [63, 64, 65, 128, 200, 384, 1024] {
        let case = Case::new((8, 9), Keep::Tokens(30), 1, channels).with(|p| p.window = 40);
        case.check(How::scheduled(channels as u64));
        case.check(How { schedule: 5, misaligned: 1 });
    }
}

#[test]
fn the_widest_metric_that_is_promised_equals_the_reference() {
    Case::new((4, 5), Keep::Tokens(7), 1, 4096).check(How::scheduled(3));
    Case::new((4, 5), Keep::Tokens(7), 1, 4093).check(How::scheduled(4));
}

#[test]
fn clusters_of_every_number_equal_the_reference() {
    for keep in [1, 2, 3, 60, 129, 130] {
        Case::new((10, 13), Keep::Tokens(keep), 2, 6).check(How::scheduled(keep as u64));
    }
    // One anchor for all, found by distance alone, from everywhere.
    Case::new((40, 40), Keep::Tokens(1), 1, 4).check_as::<f32>(How::default());
    Case::new((40, 40), Keep::Tokens(3), 1, 4).with(|p| p.window = 4).check_as::<f32>(How::default());
}

#[test]
fn degenerate_metrics_equal_the_reference() {
    let case = Case::new((9, 8), Keep::Tokens(31), 2, 9).with(|p| p.suffix = 3);
    case.clone().filled(|_| 0.25).check(How::scheduled(2));
    case.clone().filled(|_| f32::NAN).check(How::scheduled(3));
    case.clone().filled(|i| if i % 5 == 0 { f32::INFINITY } else { 1.0 }).check(How::scheduled(4));
    case.clone().filled(|i| if i % 2 == 0 { f32::MAX } else { f32::MIN }).check(How::scheduled(5));
    case.clone().filled(|i| (i % 3) as f32 * 1e-23).check(How::scheduled(6));
    case.filled(|i| if i < 300 { 0.0 } else { f32::NAN }).check(How::scheduled(7));
}

#[test]
fn more_neighbours_than_a_window_has_are_all_of_them() {
    for neighbors in [1, 2, 23, 24, 100] {
        Case::new((6, 7), Keep::Tokens(12), 1, 5).with(|p| p.neighbors = neighbors).check_as::<f32>(How::scheduled(9));
        let tied = Case::new((6, 7), Keep::Tokens(12), 1, 5).with(|p| (p.neighbors, p.window) = (neighbors, 77));
        tied.filled(|i| (i % 4) as f32).check_as::<f32>(How::scheduled(10));
    }
}
