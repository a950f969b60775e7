//! The plugins at work: on the simulated device, against the scalar reference.

mod common;

use std::ffi::c_void;

use ailurus_cuda::shim;
use ailurus_ops::{
    Clusters, DensityPeaks, Element, ElementType, GridClusters, GridKMeans, Keep, MergeDims, Norm, TemperatureMode,
    UnfoldDims, reference,
};
use ailurus_trt::bridge::{Interface, Plugin, Tensor, Type};
use common::{MERGE, UNFOLD, UNFOLD_RESIDUAL, density_peaks, grid_kmeans, half, interfaces, newer, plain, sixth};
use half::f16;

/// Pseudo-random numbers in -1..1.
fn values<E: Element>(seed: u64, count: usize) -> Vec<E> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| E::from_f32(next())).collect()
}

fn type_of<E: Element>() -> Type {
    match E::TYPE {
        ElementType::F32 => Type::F32,
        ElementType::F16 => Type::F16,
    }
}

fn sizes(from: &[usize]) -> Vec<i64> {
    from.iter().map(|&n| i64::try_from(n).unwrap()).collect()
}

/// A tensor of these values. Plugins write to the outputs only, and the simulated device works on host memory.
fn tensor<T>(kind: Type, shape: &[usize], data: &[T]) -> Tensor {
    assert_eq!(data.len(), shape.iter().product::<usize>());
    Tensor::new(kind, &sizes(shape)).at(data.as_ptr().cast_mut())
}

/// An output and its memory.
fn output<T>(kind: Type, shape: &[usize], data: &mut [T]) -> Tensor {
    assert_eq!(data.len(), shape.iter().product::<usize>());
    Tensor::new(kind, &sizes(shape)).at(data.as_mut_ptr())
}

/// Runs a plugin that came through everything a plugin goes through before it runs: written, read and copied.
fn run(plugin: &Plugin<'_>, inputs: &[Tensor], outputs: &[Tensor]) -> bool {
    shim::load().expect("the driver without a device loads");
    let plugin = plugin.round_trip(0).and_then(|p| p.copy(true)).expect("a plugin can be written, read and copied");
    let mut workspace = vec![0xA5A5_A5A5_u128; plugin.workspace(inputs, outputs).div_ceil(16)];
    // SAFETY: the tensors are made by `tensor` and `output`, which check the sizes.
    unsafe { plugin.enqueue(inputs, outputs, workspace.as_mut_ptr().cast::<c_void>()) }
}

fn check_density_peaks<E: Element>(interface: &Interface, params: &DensityPeaks, grid: (usize, usize)) {
    let (batch, channels) = (2, 8);
    let tokens = params.prefix + grid.0 * grid.1 + params.suffix;
    let rows = params.rows(grid.0 * grid.1).unwrap();
    let metric: Vec<E> = values(7, batch * tokens * channels);
    let (mut index, mut anchor) = (vec![-1i32; batch * tokens], vec![-1i32; batch * rows]);
    let mut size = vec![-1f32; batch * rows];
    let mut outputs = vec![
        output(Type::I32, &[batch, tokens], &mut index),
        output(Type::I32, &[batch, rows], &mut anchor),
        output(Type::F32, &[batch, rows], &mut size),
    ];
    let nothing = vec![-1i32; grid.0 * grid.1];
    if params.grid.is_none() {
        outputs.push(tensor(Type::I32, &[grid.0, grid.1], &nothing));
    }
    let inputs = [tensor(type_of::<E>(), &[batch, tokens, channels], &metric)];
    let what = format!("{} {:?} {params:?} {grid:?}", interface.name, E::TYPE);
    assert!(run(&density_peaks(interface, params), &inputs, &outputs), "{what}: {}", interface.log());
    let expected = reference::density_peaks(params, &metric, batch, channels, grid).unwrap();
    assert_eq!(Clusters { rows, index, anchor, size }, expected, "{what}");
    assert!(nothing.iter().all(|&v| v == -1), "the output that carries the grid is not written");
}

#[test]
fn density_peaks_are_those_of_the_reference() {
    let cases = [
        half(),
        DensityPeaks { prefix: 0, suffix: 3, neighbors: 2, ..half() },
        DensityPeaks { keep: Keep::Tokens(7), spatial_mix: 0.9, window: 4, ..half() },
    ];
    for interface in interfaces() {
        for params in &cases {
            check_density_peaks::<f32>(interface, params, (4, 5));
            check_density_peaks::<f16>(interface, params, (4, 5));
        }
    }
}

#[test]
fn one_plugin_serves_every_grid() {
    let Some(interface) = newer() else { return };
    let open = DensityPeaks { grid: None, ..half() };
    for grid in [(4, 5), (5, 4), (1, 20), (2, 2), (1, 1)] {
        check_density_peaks::<f32>(interface, &open, grid);
    }
    check_density_peaks::<f16>(interface, &DensityPeaks { keep: Keep::Tokens(3), ..open }, (3, 4));
    let open = GridKMeans { grid: None, ..sixth() };
    for grid in [(4, 6), (6, 4), (2, 12), (8, 3), (2, 3)] {
        check_grid_kmeans::<f32>(interface, &open, grid);
    }
}

fn check_grid_kmeans<E: Element>(interface: &Interface, params: &GridKMeans, grid: (usize, usize)) {
    let (batch, channels) = (2, 9);
    let tokens = params.prefix + grid.0 * grid.1 + params.suffix;
    let (rows, choices) = (params.rows(), params.choices());
    let x: Vec<E> = values(9, batch * tokens * channels);
    let mut z = vec![E::default(); batch * rows * channels];
    let (mut index, mut weight) = (vec![-1i32; batch * tokens * choices], vec![-1f32; batch * tokens * choices]);
    let mut outputs = vec![
        output(type_of::<E>(), &[batch, rows, channels], &mut z),
        output(Type::I32, &[batch, tokens, choices], &mut index),
        output(Type::F32, &[batch, tokens, choices], &mut weight),
    ];
    let nothing = vec![-1i32; grid.0 * grid.1];
    if params.grid.is_none() {
        outputs.push(tensor(Type::I32, &[grid.0, grid.1], &nothing));
    }
    let inputs = [tensor(type_of::<E>(), &[batch, tokens, channels], &x)];
    let what = format!("{} {:?} {params:?} {grid:?}", interface.name, E::TYPE);
    assert!(run(&grid_kmeans(interface, params), &inputs, &outputs), "{what}: {}", interface.log());
    let expected = reference::grid_kmeans(params, &x, batch, channels, grid).unwrap();
    assert_eq!(GridClusters { rows, choices, z, index, weight }, expected, "{what}");
    assert!(nothing.iter().all(|&v| v == -1), "the output that carries the grid is not written");
}

#[test]
fn centres_are_those_of_the_reference() {
    let parity =
        GridKMeans { temperature: 0.3, temperature_mode: TemperatureMode::Absolute, norm: Norm::L2, ..sixth() };
    let cases =
        [sixth(), GridKMeans { suffix: 3, window: 1, iterations: 1, ..sixth() }, GridKMeans { ties: 6, ..parity }];
    for interface in interfaces() {
        for params in &cases {
            check_grid_kmeans::<f32>(interface, params, (4, 6));
            check_grid_kmeans::<f16>(interface, params, (4, 6));
        }
    }
}

/// Rows of 2 x 9 tokens, of which there are 4, all of them taken.
const INDEX: [i32; 18] = [0, 1, 2, 3, 2, 2, 1, 3, 0, 3, 2, 1, 0, 0, 0, 1, 3, 3];
const SIZE: [f32; 8] = [2.0, 2.0, 3.0, 2.0, 3.0, 2.0, 1.0, 3.0];
const BATCH: usize = 2;
const TOKENS: usize = 9;
const ROWS: usize = 4;
const CHANNELS: usize = 6;
const CHOICES: usize = 3;

fn check_merge<E: Element>(interface: &Interface) {
    let x: Vec<E> = values(1, BATCH * TOKENS * CHANNELS);
    let mut y = vec![E::default(); BATCH * ROWS * CHANNELS];
    let inputs = [
        tensor(type_of::<E>(), &[BATCH, TOKENS, CHANNELS], &x),
        tensor(Type::I32, &[BATCH, TOKENS], &INDEX),
        tensor(Type::F32, &[BATCH, ROWS], &SIZE),
    ];
    let outputs = [output(type_of::<E>(), &[BATCH, ROWS, CHANNELS], &mut y)];
    assert!(run(&plain(interface, MERGE), &inputs, &outputs), "{}", interface.log());
    let dims = MergeDims { batch: BATCH, tokens: TOKENS, rows: ROWS, channels: CHANNELS };
    assert_eq!(y, reference::merge(&x, &INDEX, &SIZE, dims).unwrap(), "{} {:?}", interface.name, E::TYPE);
}

fn check_unfolds<E: Element>(interface: &Interface, soft: bool) {
    let choices = if soft { CHOICES } else { 1 };
    let index: Vec<i32> = if soft { (0..54).map(|i| (i * i + i / 5) % 4).collect() } else { INDEX.to_vec() };
    let weight: Option<Vec<f32>> = soft.then(|| values(4, index.len()));
    let z: Vec<E> = values(1, BATCH * ROWS * CHANNELS);
    let start: Vec<E> = values(2, z.len());
    let base: Vec<E> = values(3, BATCH * TOKENS * CHANNELS);
    let mut y = vec![E::default(); base.len()];

    let kind = type_of::<E>();
    let (rows, full) = ([BATCH, ROWS, CHANNELS], [BATCH, TOKENS, CHANNELS]);
    let assigned = [BATCH, TOKENS, choices];
    let shape = if soft { &assigned[..] } else { &assigned[..2] };
    let mut assignment = vec![tensor(Type::I32, shape, &index)];
    assignment.extend(weight.iter().map(|weight| tensor(Type::F32, shape, weight)));
    let dims = UnfoldDims { batch: BATCH, rows: ROWS, tokens: TOKENS, choices, channels: CHANNELS };
    let what = format!("{} {:?} soft: {soft}", interface.name, E::TYPE);

    let inputs = [vec![tensor(kind, &rows, &z)], assignment.clone()].concat();
    assert!(run(&plain(interface, UNFOLD), &inputs, &[output(kind, &full, &mut y)]), "{what}: {}", interface.log());
    assert_eq!(y, reference::unfold(&z, &index, weight.as_deref(), dims).unwrap(), "{what}");

    let streams = vec![tensor(kind, &rows, &z), tensor(kind, &rows, &start), tensor(kind, &full, &base)];
    let inputs = [streams, assignment].concat();
    let plugin = plain(interface, UNFOLD_RESIDUAL);
    assert!(run(&plugin, &inputs, &[output(kind, &full, &mut y)]), "{what}: {}", interface.log());
    let expected = reference::unfold_residual(&z, &start, &base, &index, weight.as_deref(), dims).unwrap();
    assert_eq!(y, expected, "{what}");
}

#[test]
fn merging_is_that_of_the_reference() {
    for interface in interfaces() {
        check_merge::<f32>(interface);
        check_merge::<f16>(interface);
    }
}

#[test]
fn unfolding_is_that_of_the_reference() {
    for interface in interfaces() {
        for soft in [false, true] {
            check_unfolds::<f32>(interface, soft);
            check_unfolds::<f16>(interface, soft);
        }
    }
}

#[test]
fn sizes_that_contradict_each_other_do_not_run() {
    let x: Vec<f32> = vec![0.0; 1024];
    let index = vec![0i32; 1024];
    let t = |shape: &[usize]| tensor(Type::F32, shape, &x[..shape.iter().product()]);
    let i = |shape: &[usize]| tensor(Type::I32, shape, &index[..shape.iter().product()]);
    for interface in interfaces() {
        let refused = |plugin: &Plugin<'_>, inputs: &[Tensor], outputs: &[Tensor], message: &str| {
            assert!(!run(plugin, inputs, outputs), "{}: {message}", interface.name);
            let log = interface.log();
            assert!(log.contains(message), "{message}: {log}");
        };
        let merge = plain(interface, MERGE);
        let y = [t(&[2, 4, 6])];
        refused(&merge, &[t(&[2, 9, 6]), i(&[2, 8]), t(&[2, 4])], &y, "tokens of `x` and `index`: 9 and 8");
        refused(&merge, &[t(&[2, 9, 6]), i(&[2, 9]), t(&[2, 5])], &y, "rows of `size` and `y`: 5 and 4");
        refused(&merge, &[t(&[3, 9, 6]), i(&[2, 9]), t(&[2, 4])], &y, "batch of `x` and `index`: 3 and 2");
        let unfold = plain(interface, UNFOLD);
        let y = [t(&[2, 9, 6])];
        refused(&unfold, &[t(&[2, 4, 5]), i(&[2, 9])], &y, "channels of `z` and `y`: 5 and 6");
        refused(
            &unfold,
            &[t(&[2, 4, 6]), i(&[2, 9, 3]), t(&[2, 9, 2])],
            &y,
            "per token of `index` and `weight`: 3 and 2",
        );
        let residual = plain(interface, UNFOLD_RESIDUAL);
        let streams = [t(&[2, 4, 6]), t(&[2, 3, 6]), t(&[2, 9, 6]), i(&[2, 9])];
        refused(&residual, &streams, &y, "rows of `z` and `start`: 4 and 3");
        let means = grid_kmeans(interface, &sixth());
        let outputs = |tokens: usize, rows: usize, choices: usize| {
            [t(&[2, rows, 8]), i(&[2, tokens, choices]), t(&[2, tokens, choices])]
        };
        refused(&means, &[t(&[2, 26, 8])], &outputs(26, 7, 4), "grid, prefix and suffix make: 26 and 25");
        refused(
            &means,
            &[t(&[2, 25, 8])],
            &outputs(25, 8, 4),
            "rows of `z`, and those that the parameters make: 8 and 7",
        );
        refused(
            &means,
            &[t(&[2, 25, 8])],
            &outputs(25, 7, 5),
            "rows per token of `index`, and those that the parameters",
        );
        let outputs = |tokens: usize, rows: usize| [i(&[2, tokens]), i(&[2, rows]), t(&[2, rows])];
        let peaks = density_peaks(interface, &half());
        refused(&peaks, &[t(&[2, 22, 8])], &outputs(22, 11), "grid, prefix and suffix make: 22 and 21");
        refused(
            &peaks,
            &[t(&[2, 21, 8])],
            &outputs(21, 12),
            "rows of `anchor`, and those that the parameters make: 12",
        );
    }
}

#[test]
fn errors_of_the_driver_are_logged_with_their_code() {
    let driver = shim::load().expect("the driver without a device loads");
    let x: Vec<f32> = vec![0.0; 108];
    let mut y = x.clone();
    for interface in interfaces() {
        driver.fail("cuLaunchKernel", 719);
        let inputs = [tensor(Type::F32, &[2, 4, 6], &x[..48]), tensor(Type::I32, &[2, 9], &INDEX)];
        assert!(!run(&plain(interface, UNFOLD), &inputs, &[output(Type::F32, &[2, 9, 6], &mut y)]));
        let log = interface.log();
        assert!(log.starts_with("E AIL1010 AilurusUnfold: AIL0812, ") && log.contains("719"), "{log}");
    }
}
