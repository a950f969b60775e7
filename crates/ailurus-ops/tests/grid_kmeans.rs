//! The exact kernel of `AilurusGridKMeans` equals the reference bit for bit, the fast one within rounding, and all keep the
//! promises of the definition.

mod common;

use ailurus_ops::parallel::{Parallel, Rayon, Serial};
use ailurus_ops::{Element, GridClusters, GridKMeans, Norm, TemperatureMode, UnfoldDims, kernel, reference};
use common::data::Random;
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
        3 => (-1e4f32..1e4).boxed(),
        _ => Just(0.5f32).boxed(),
    }
}

fn params() -> impl Strategy<Value = (GridKMeans, (usize, usize))> {
    let shape = (1usize..=9, 1usize..=9, any::<(u8, u8)>(), 0usize..3, 0usize..3);
    let temperature = prop_oneof![Just(0.0f32), Just(0.02), Just(1.0), Just(5.0), Just(1e9), 0.0f32..50.0];
    let constants = (0usize..=4, 1usize..=9, 1usize..=12, 0usize..=12, temperature, any::<(bool, bool)>());
    (shape, constants).prop_map(
        |((h, w, cut, prefix, suffix), (iterations, window, neighbors, ties, temperature, modes))| {
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
            (params, (h, w))
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    (params(), 1usize..=2, 1usize..=35, 0u8..5).prop_flat_map(|((params, grid), batch, channels, kind)| {
        let tokens = params.prefix + grid.0 * grid.1 + params.suffix;
        let x = proptest::collection::vec(value(kind), batch * tokens * channels);
        x.prop_map(move |x| Case { params, grid, batch, channels, x })
    })
}

fn both<E: Element>(case: &Case, x: &[E], pool: &dyn Parallel) -> [GridClusters<E>; 2] {
    let expected = reference::grid_kmeans(&case.params, x, case.batch, case.channels, case.grid).unwrap();
    let got = kernel::grid_kmeans_exact(&case.params, x, case.batch, case.channels, case.grid, pool).unwrap();
    [expected, got]
}

/// Bits of every number, where one NaN is like another.
fn bits<E: Element>(values: &[E]) -> Vec<u32> {
    values.iter().map(|v| v.to_f32()).map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

fn assert_equal<E: Element>(a: &GridClusters<E>, b: &GridClusters<E>) {
    assert_eq!((a.rows, a.choices), (b.rows, b.choices));
    assert_eq!(a.index, b.index);
    assert_eq!(bits(&a.weight), bits(&b.weight));
    assert_eq!(bits(&a.z), bits(&b.z));
}

fn fast<E: Element>(case: &Case, x: &[E], pool: &dyn Parallel) -> GridClusters<E> {
    kernel::grid_kmeans(&case.params, x, case.batch, case.channels, case.grid, pool).unwrap()
}

/// The fast kernel comes to the same centres and weights within rounding, and nearly always to the same rows: some centres
/// are as near as others but for rounding.
fn assert_near(case: &Case, expected: &GridClusters<f32>, got: &GridClusters<f32>) {
    let scale = case.x.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let near = |a: &[f32], b: &[f32], tolerance: f32| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance);
    assert!(near(&expected.z, &got.z, 1e-4 * scale), "{:?}", case.params);
    assert!(near(&expected.weight, &got.weight, 1e-3), "{:?}", case.params);
    let same = expected.index.iter().zip(&got.index).filter(|(a, b)| a == b).count();
    assert!(same * 200 >= expected.index.len() * 199, "{same} of {}: {:?}", expected.index.len(), case.params);
}

/// What holds whatever the input.
fn check_promises(case: &Case, out: &GridClusters<f32>) {
    let p = &case.params;
    let (n, m, k) = (case.grid.0 * case.grid.1, p.tokens(), out.choices);
    let total = p.prefix + n + p.suffix;
    assert_eq!((out.rows, k), (p.prefix + m + p.suffix, (p.neighbors + p.ties).min(m)));
    let images = out.index.chunks(total * k).zip(out.weight.chunks(total * k));
    for ((index, weight), (x, z)) in
        images.zip(case.x.chunks(total * case.channels).zip(out.z.chunks(out.rows * case.channels)))
    {
        for t in 0..total {
            let (index, weight) = (&index[t * k..(t + 1) * k], &weight[t * k..(t + 1) * k]);
            let outside = if t < p.prefix { Some(t) } else { (t >= p.prefix + n).then(|| t - n + m) };
            if let Some(row) = outside {
                assert!(index.iter().all(|&i| i as usize == row));
                assert!(weight[0] == 1.0 && weight[1..].iter().all(|&w| w == 0.0));
                let token = &x[t * case.channels..(t + 1) * case.channels];
                assert_eq!(bits(token), bits(&z[row * case.channels..(row + 1) * case.channels]));
                continue;
            }
            let mut rows = index.to_vec();
            rows.sort_unstable();
            rows.dedup();
            assert_eq!(rows.len(), k, "every centre once");
            assert!(rows.iter().all(|&r| (p.prefix..p.prefix + m).contains(&(r as usize))));
            assert!(weight.iter().all(|w| (0.0..=1.0).contains(w)), "{weight:?}");
            assert!(weight[0] > 0.0 && weight.is_sorted_by(|a, b| a >= b), "the nearest weighs most: {weight:?}");
            let sum: f32 = match p.norm {
                Norm::L1 => weight.iter().sum(),
                Norm::L2 => weight.iter().map(|w| w * w).sum(),
            };
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        }
        assert!(z[p.prefix * case.channels..(p.prefix + m) * case.channels].iter().all(|v| v.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn weights_are_defined_for_every_input_and_the_kernel_agrees(case in case()) {
        let [expected, got] = both(&case, &case.x, &Serial);
        check_promises(&case, &expected);
        assert_equal(&expected, &got);
        let got = fast(&case, &case.x, &Serial);
        check_promises(&case, &got);
        assert_equal(&got, &fast(&case, &case.x, &Rayon));
        let half: Vec<f16> = case.x.iter().map(|&v| f16::from_f32(v)).collect();
        let [expected, got] = both(&case, &half, &Rayon);
        assert_equal(&expected, &got);
    }

    #[test]
    fn images_of_a_batch_do_not_see_each_other(case in case()) {
        let [all, _] = both(&case, &case.x, &Serial);
        let image = case.x.len() / case.batch;
        let (z, table) = (all.z.len() / case.batch, all.index.len() / case.batch);
        for b in 0..case.batch {
            let alone = Case { batch: 1, x: case.x[b * image..(b + 1) * image].to_vec(), ..case.clone() };
            let [one, _] = both(&alone, &alone.x, &Serial);
            prop_assert_eq!(bits(&one.z), bits(&all.z[b * z..(b + 1) * z]));
            prop_assert_eq!(&one.index[..], &all.index[b * table..(b + 1) * table]);
            prop_assert_eq!(bits(&one.weight), bits(&all.weight[b * table..(b + 1) * table]));
        }
    }

    /// With as many centres as patches, every patch is a centre, and the way back is the identity.
    #[test]
    fn keeping_everything_is_the_identity((params, grid) in params(), seed: u64) {
        let params = GridKMeans {
            clusters: grid,
            temperature: params.temperature.max(0.02),
            temperature_mode: TemperatureMode::Relative,
            norm: Norm::L1,
            ..params
        };
        let channels = 5;
        let tokens = params.prefix + grid.0 * grid.1 + params.suffix;
        let x = Random(seed).list(tokens * channels);
        let case = Case { params, grid, batch: 1, channels, x };
        let [out, _] = both(&case, &case.x, &Serial);
        prop_assert_eq!(&out.z, &case.x);
        let dims = UnfoldDims { batch: 1, rows: out.rows, tokens, choices: out.choices, channels };
        let back = reference::unfold(&out.z, &out.index, Some(&out.weight), dims).unwrap();
        prop_assert_eq!(&back, &case.x);
    }
}

#[test]
fn kernels_agree_at_model_size() {
    for (grid, clusters, channels, neighbors) in [((23, 31), (12, 16), 96, 20), ((16, 40), (7, 13), 200, 3)] {
        let params = GridKMeans { neighbors, ..GridKMeans::new(1, 2, Some(grid), clusters) };
        let x = Random(5).list((grid.0 * grid.1 + 3) * channels);
        let case = Case { params, grid, batch: 1, channels, x };
        let [expected, got] = both(&case, &case.x, &Rayon);
        check_promises(&case, &expected);
        assert_equal(&expected, &got);
    }
}

/// A pool that does not know how many threads it has.
struct NoIdea;

impl Parallel for NoIdea {
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..tasks).rev().for_each(task);
    }
    fn width(&self) -> usize {
        0
    }
}

/// At sizes at which distances between patches come first.
#[test]
fn the_fast_kernel_agrees_at_model_size() {
    let sizes = [((20, 20), (14, 14), 400, 4), ((16, 22), (8, 11), 520, 20), ((14, 14), (14, 14), 384, 9)];
    for (grid, clusters, channels, neighbors) in sizes {
        for (kind, temperature_mode) in [(0, TemperatureMode::Relative), (1, TemperatureMode::Relative)] {
            let params = GridKMeans { neighbors, temperature_mode, ..GridKMeans::new(1, 2, Some(grid), clusters) };
            let noise = Random(5 + kind).list((grid.0 * grid.1 + 3) * channels);
            let value = |at: usize| {
                let (t, c) = ((at / channels) as f32, (at % channels) as f32);
                let smooth = (0.05 * t + c).sin() + (0.21 * t - c).cos();
                if kind == 0 { noise[at] } else { 3.0 + smooth + 0.2 * noise[at] }
            };
            let x = (0..noise.len()).map(value).collect();
            let case = Case { params, grid, batch: 1, channels, x };
            let expected = reference::grid_kmeans(&params, &case.x, 1, channels, grid).unwrap();
            for pool in [&Serial as &dyn Parallel, &Rayon, &NoIdea] {
                let got = fast(&case, &case.x, pool);
                check_promises(&case, &got);
                assert_near(&case, &expected, &got);
                assert!(bits(&got.z) != bits(&expected.z) || grid == clusters, "this would not test anything");
            }
        }
    }
}

/// Inputs that leave nothing to cluster by, or that arithmetic can go wrong with, at sizes at which distances between patches
/// come first.
#[test]
fn the_fast_kernel_keeps_its_promises_on_degenerate_streams() {
    let (grid, clusters, channels) = ((12, 12), (8, 8), 400);
    let kinds: [fn(usize, usize) -> f32; 7] = [
        |_, _| 0.25,
        |_, _| f32::NAN,
        |t, _| if t.is_multiple_of(5) { f32::INFINITY } else { 1.0 },
        |t, _| if t.is_multiple_of(2) { f32::MAX } else { f32::MIN },
        |t, c| ((t * 31 + c * 7) % 3) as f32 * 1e-23,
        |t, _| if t > 70 { 1.0 } else { -1.0 },
        |t, c| if t == 60 { 100.0 + c as f32 } else { 1.0 },
    ];
    for (kind, value) in kinds.into_iter().enumerate() {
        for (temperature, mode) in [
            (5.0, TemperatureMode::Relative),
            (0.0, TemperatureMode::Relative),
            (1e30, TemperatureMode::Relative),
            (1e9, TemperatureMode::Absolute),
            (0.02, TemperatureMode::Absolute),
        ] {
            let params =
                GridKMeans { temperature, temperature_mode: mode, ..GridKMeans::new(0, 0, Some(grid), clusters) };
            let x: Vec<f32> = (0..144 * channels).map(|at| value(at / channels, at % channels)).collect();
            let case = Case { params, grid, batch: 1, channels, x };
            let (got, exact) = (fast(&case, &case.x, &Rayon), both(&case, &case.x, &Rayon)[1].clone());
            check_promises(&case, &got);
            // With two values, centres lie between those; all others here are what the patches are.
            if matches!(kind, 0 | 1) {
                assert_equal(&exact, &got);
            }
            if kind == 5 && mode == TemperatureMode::Relative {
                assert_near(&case, &exact, &got);
            }
        }
    }
}

/// What streams of models look like: smooth over the grid, with a few channels and a few tokens far beyond the others, all
/// of it far from 0; and every second patch the exact duplicate of its neighbour, so that many distances are equal.
#[test]
fn kernels_agree_on_structured_streams() {
    let (grid, clusters, channels) = ((20, 24), (11, 13), 130);
    for neighbors in [1, 4, 20] {
        let params = GridKMeans { neighbors, ..GridKMeans::new(1, 0, Some(grid), clusters) };
        let noise = Random(9).list((grid.0 * grid.1 + 1) * channels);
        let value = |t: usize, c: usize| {
            let i = t.saturating_sub(1) & !1;
            let (y, x) = ((i / grid.1) as f32, (i % grid.1) as f32);
            let size = if c % 40 == 7 { 50.0 } else { 1.0 } * if i.is_multiple_of(58) { 20.0 } else { 1.0 };
            let smooth = (0.2 * y + c as f32).sin() + (0.15 * x - c as f32).cos();
            size * (smooth + 0.1 * noise[i * channels + c]) + 3.0
        };
        let x = (0..noise.len()).map(|at| value(at / channels, at % channels)).collect();
        let case = Case { params, grid, batch: 1, channels, x };
        let [expected, got] = both(&case, &case.x, &Rayon);
        check_promises(&case, &expected);
        assert_equal(&expected, &got);
    }
}

/// Nothing distinguishes the centres: all weigh the same, the lower numbers come first, and all are what the patches are.
#[test]
fn equal_patches_have_equal_weights() {
    for ties in [0, 100] {
        let params = GridKMeans { ties, neighbors: 3, ..GridKMeans::new(1, 0, Some((6, 6)), (3, 4)) };
        let case = Case { params, grid: (6, 6), batch: 1, channels: 3, x: vec![0.25; 37 * 3] };
        let [out, got] = both(&case, &case.x, &Serial);
        assert_equal(&out, &got);
        let k = if ties == 0 { 3 } else { 12 };
        assert_eq!(out.choices, k);
        for (index, weight) in out.index.chunks(k).zip(out.weight.chunks(k)).skip(1) {
            assert_eq!(index, (1..=k as i32).collect::<Vec<_>>());
            assert!(weight.iter().all(|&w| w == 1.0 / k as f32));
        }
        assert!(out.z.iter().all(|&v| v == 0.25));
    }
}
