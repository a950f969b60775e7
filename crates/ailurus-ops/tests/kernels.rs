//! Kernels equal references bit for bit, and references keep the promises of the definition.

use ailurus_ops::parallel::{Parallel, Rayon, Serial};
use ailurus_ops::{Clusters, DensityPeaks, Element, Keep, MergeDims, UnfoldDims, Windows, kernel, reference};
use half::f16;
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

/// Values of every kind: numbers, few distinct numbers (ties), and what arithmetic can go wrong with.
fn value(kind: u8) -> BoxedStrategy<f32> {
    match kind {
        0 => (-2.0f32..2.0).boxed(),
        1 => prop_oneof![Just(0.0f32), Just(1.0), Just(2.0)].boxed(),
        2 => prop_oneof![
            8 => -1.0f32..1.0,
            1 => Just(f32::NAN),
            1 => Just(f32::INFINITY),
            1 => Just(f32::NEG_INFINITY),
            1 => Just(f32::MAX),
            1 => Just(1e-30f32),
        ]
        .boxed(),
        _ => Just(0.5f32).boxed(),
    }
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1usize..=9, 1usize..=9, 0usize..3, 0usize..3, 1usize..=3, 1usize..=35, 0u8..4);
    let constants =
        (1usize..=5, 1usize..=40, prop_oneof![Just(0.0f32), Just(0.5), Just(1.0), 0.0f32..=1.0], any::<u16>());
    (shape, constants).prop_flat_map(
        |((h, w, prefix, suffix, batch, channels, kind), (neighbors, window, mix, keep))| {
            let clusters = usize::from(keep) % (h * w) + 1;
            let keep = if keep % 2 == 0 { Keep::Tokens(clusters) } else { Keep::Ratio { num: clusters, den: h * w } };
            let params = DensityPeaks { prefix, suffix, grid: Some((h, w)), keep, neighbors, window, spatial_mix: mix };
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

fn both<E: Element>(case: &Case, metric: &[E], pool: &dyn Parallel) -> (Clusters, Clusters) {
    let windows = Windows::new(case.grid, case.params.window).unwrap();
    let expected = reference::density_peaks(&case.params, metric, case.batch, case.channels, case.grid).unwrap();
    let got = kernel::density_peaks(&case.params, metric, case.batch, case.channels, &windows, pool).unwrap();
    (expected, got)
}

fn check_partition(case: &Case, clusters: &Clusters) {
    let p = case.params.prefix;
    let n = case.grid.0 * case.grid.1;
    let (total, m) = (p + n + case.params.suffix, case.params.tokens(n).unwrap());
    assert_eq!(clusters.rows, p + m + case.params.suffix);
    let images = clusters.index.chunks(total).zip(clusters.anchor.chunks(clusters.rows));
    for ((index, anchor), size) in images.zip(clusters.size.chunks(clusters.rows)) {
        let outside = (0..p).map(|t| (t, t)).chain((0..case.params.suffix).map(|s| (p + n + s, p + m + s)));
        for (token, row) in outside {
            assert_eq!((index[token] as usize, anchor[row] as usize, size[row]), (row, token, 1.0));
        }
        assert!(anchor.windows(2).all(|pair| pair[0] < pair[1]), "anchors in patch order");
        for (row, (&anchor, &size)) in anchor.iter().zip(size).enumerate() {
            assert_eq!(index[anchor as usize] as usize, row, "an anchor joins itself");
            assert_eq!(index.iter().filter(|&&r| r as usize == row).count() as f32, size);
            assert!(size >= 1.0);
        }
        assert!(index[p..p + n].iter().all(|&r| (p..p + m).contains(&(r as usize))));
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    // Every NaN is the same NaN: which one comes out of an addition of two is not defined.
    values.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

fn wide<E: Element>(values: &[E]) -> Vec<f32> {
    values.iter().map(|v| v.to_f32()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn clusters_are_a_partition_and_the_kernel_agrees(case in case()) {
        let (expected, got) = both(&case, &case.metric, &Serial);
        check_partition(&case, &expected);
        prop_assert_eq!(&expected, &got);
        let half: Vec<f16> = case.metric.iter().map(|&v| f16::from_f32(v)).collect();
        let (expected, got) = both(&case, &half, &Rayon);
        check_partition(&case, &expected);
        prop_assert_eq!(&expected, &got);
    }

    #[test]
    fn images_of_a_batch_do_not_see_each_other(case in case()) {
        let (all, _) = both(&case, &case.metric, &Serial);
        let image = case.metric.len() / case.batch;
        for b in 0..case.batch {
            let alone = Case { batch: 1, metric: case.metric[b * image..(b + 1) * image].to_vec(), ..case.clone() };
            let (one, _) = both(&alone, &alone.metric, &Serial);
            let (total, rows) = (all.index.len() / case.batch, all.rows);
            prop_assert_eq!(&one.index[..], &all.index[b * total..(b + 1) * total]);
            prop_assert_eq!(&one.anchor[..], &all.anchor[b * rows..(b + 1) * rows]);
            prop_assert_eq!(&one.size[..], &all.size[b * rows..(b + 1) * rows]);
        }
    }

    #[test]
    fn keeping_everything_is_the_identity(case in case()) {
        let n = case.grid.0 * case.grid.1;
        for keep in [Keep::Tokens(n), Keep::Ratio { num: 1, den: 1 }] {
            let case = Case { params: DensityPeaks { keep, ..case.params }, ..case.clone() };
            let (clusters, _) = both(&case, &case.metric, &Serial);
            let total = clusters.rows;
            let identity: Vec<i32> = (0..case.batch).flat_map(|_| 0..total as i32).collect();
            prop_assert_eq!(&clusters.index, &identity);
            prop_assert_eq!(&clusters.anchor, &identity);
            prop_assert!(clusters.size.iter().all(|&s| s == 1.0));
            let dims = MergeDims { batch: case.batch, tokens: total, rows: total, channels: case.channels };
            let merged = reference::merge(&case.metric, &clusters.index, &clusters.size, dims).unwrap();
            // Equal as numbers: the sum starts at +0, so -0 becomes +0.
            prop_assert!(merged.iter().zip(&case.metric).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
        }
    }

    #[test]
    fn merge_and_unfold_kernels_agree(case in case(), choices in 1usize..4, threads in any::<bool>()) {
        let pool: &dyn Parallel = if threads { &Rayon } else { &Serial };
        merge_and_unfold(&case, &case.metric, choices, pool);
        let half: Vec<f16> = case.metric.iter().map(|&v| f16::from_f32(v)).collect();
        merge_and_unfold(&case, &half, choices, pool);
    }
}

/// Small problems stay on one thread; this one is large enough for every phase to be spread.
#[test]
fn a_problem_worth_several_threads_agrees() {
    let (grid, window, channels) = ((27, 27), 200, 5);
    let keep = Keep::Ratio { num: 1, den: 3 };
    let params = DensityPeaks { window, neighbors: 3, ..DensityPeaks::new(1, 0, Some(grid), keep) };
    let count = 2 * (grid.0 * grid.1 + 1) * channels;
    let metric = (0..count as u32).map(|i| i.wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5).collect();
    let case = Case { params, grid, batch: 2, channels, metric };
    let (expected, got) = both(&case, &case.metric, &Rayon);
    assert_eq!(expected, got);
    let half: Vec<f16> = case.metric.iter().map(|&v| f16::from_f32(v)).collect();
    let (expected, got) = both(&case, &half, &Rayon);
    assert_eq!(expected, got);
}

fn merge_and_unfold<E: Element>(case: &Case, x: &[E], choices: usize, pool: &dyn Parallel) {
    let clusters = both(case, x, pool).0;
    let (batch, channels, rows) = (case.batch, case.channels, clusters.rows);
    let tokens = clusters.index.len() / batch;
    let dims = MergeDims { batch, tokens, rows, channels };
    let start = reference::merge(x, &clusters.index, &clusters.size, dims).unwrap();
    let merged = kernel::merge(x, &clusters.index, &clusters.size, dims, pool).unwrap();
    assert_eq!(bits(&wide(&start)), bits(&wide(&merged)));

    let z: Vec<E> = start.iter().map(|v| E::from_f32(v.to_f32() * 0.75 + 0.5)).collect();
    let dims = UnfoldDims { batch, rows, tokens, choices: 1, channels };
    let expected = reference::unfold(&z, &clusters.index, None, dims).unwrap();
    let got = kernel::unfold(&z, &clusters.index, None, dims, pool).unwrap();
    assert_eq!(bits(&wide(&expected)), bits(&wide(&got)));
    let expected = reference::unfold_residual(&z, &start, x, &clusters.index, None, dims).unwrap();
    let got = kernel::unfold_residual(&z, &start, x, &clusters.index, None, dims, pool).unwrap();
    assert_eq!(bits(&wide(&expected)), bits(&wide(&got)));

    let dims = UnfoldDims { choices, ..dims };
    let index: Vec<i32> = (0..batch * tokens * choices).map(|i| ((i * 7 + i / 3) % rows) as i32).collect();
    let weight: Vec<f32> = (0..index.len()).map(|i| (i % 5) as f32 * 0.3 - 0.2).collect();
    let expected = reference::unfold(&z, &index, Some(&weight), dims).unwrap();
    let got = kernel::unfold(&z, &index, Some(&weight), dims, pool).unwrap();
    assert_eq!(bits(&wide(&expected)), bits(&wide(&got)));
    let expected = reference::unfold_residual(&z, &start, x, &index, Some(&weight), dims).unwrap();
    let got = kernel::unfold_residual(&z, &start, x, &index, Some(&weight), dims, pool).unwrap();
    assert_eq!(bits(&wide(&expected)), bits(&wide(&got)));
}
