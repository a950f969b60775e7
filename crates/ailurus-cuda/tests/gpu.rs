//! The launcher on a real driver and a real device: results equal the scalar references, also from a captured graph.
//! Skipped, visibly, where there is no device.

mod common;

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use ailurus_cuda::launcher::{
    self, DensityPeaksCall, DensityPeaksTensors, GridKMeansCall, GridKMeansTensors, ResidualStreams, Stream,
};
use ailurus_ops::parallel::Rayon;
use ailurus_ops::{
    DensityPeaks, GridKMeans, Keep, MergeDims, Norm, TemperatureMode, UnfoldDims, Windows, kernel, reference,
};
use ailurus_runtime::testing::skip;
use common::{Random, Value, bits, from_reference, narrow, to_reference};
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, sys};
use half::{bf16, f16};

/// The first device and a stream on it, or a visible skip.
fn device() -> Option<(Arc<CudaContext>, Arc<CudaStream>)> {
    // SAFETY: looks for the library, no more; its absence must be asked for first, as cudarc panics without it.
    if !unsafe { sys::is_culib_present() } {
        skip("cuda", "no CUDA device: libcuda is not there");
        return None;
    }
    match CudaContext::new(0) {
        Ok(context) => {
            let stream = context.new_stream().expect("a stream");
            launcher::prepare().expect("the kernels load");
            Some((context, stream))
        }
        Err(error) => {
            skip("cuda", &format!("no CUDA device: {error}"));
            None
        }
    }
}

fn raw(stream: &CudaStream) -> Stream {
    Stream(stream.cu_stream().cast())
}

fn upload<T: Copy>(stream: &Arc<CudaStream>, values: &[T]) -> CudaSlice<u8> {
    // SAFETY: any value can be read as bytes.
    let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
    stream.clone_htod(bytes).expect("copy to the device")
}

fn download<T: Copy + Default>(stream: &Arc<CudaStream>, slice: &CudaSlice<u8>) -> Vec<T> {
    let bytes = stream.clone_dtoh(slice).expect("copy from the device");
    let mut values = vec![T::default(); bytes.len() / size_of::<T>()];
    // SAFETY: as many bytes as the values have, and every pattern of bits is a value of the types used here.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), values.as_mut_ptr().cast(), bytes.len()) };
    values
}

fn pointer(stream: &Arc<CudaStream>, slice: &CudaSlice<u8>) -> *mut c_void {
    slice.device_ptr(stream).0 as *mut c_void
}

fn pointer_mut(stream: &Arc<CudaStream>, slice: &mut CudaSlice<u8>) -> *mut c_void {
    slice.device_ptr_mut(stream).0 as *mut c_void
}

fn density_peaks<E: Value>(
    stream: &Arc<CudaStream>,
    params: &DensityPeaks,
    batch: usize,
    channels: usize,
    metric: &[E],
) {
    let grid = params.grid.expect("a static grid");
    let call = DensityPeaksCall { params, grid, element: E::ELEMENT, batch, channels };
    let (rows, tokens) = (call.rows().expect("rows"), params.prefix + grid.0 * grid.1 + params.suffix);
    let input = upload(stream, metric);
    let mut outputs = [tokens, rows, rows].map(|n| upload(stream, &vec![0x55u32; batch * n]));
    let bytes = call.workspace().expect("workspace");
    let mut workspace = upload(stream, &vec![0xa5u8; bytes]);
    let [index, anchor, size] = &mut outputs;
    let tensors = DensityPeaksTensors {
        metric: pointer(stream, &input),
        index: pointer_mut(stream, index).cast(),
        anchor: pointer_mut(stream, anchor).cast(),
        size: pointer_mut(stream, size).cast(),
        workspace: pointer_mut(stream, &mut workspace),
        workspace_bytes: bytes,
    };
    // Equal to the reference in every bit, which would take minutes.
    let windows = Windows::new(grid, params.window).expect("windows");
    let expected = kernel::density_peaks(params, &to_reference(metric), batch, channels, &windows, &Rayon);
    let expected = expected.expect("kernel for processors");
    let check = |what: &str| {
        assert_eq!(download::<i32>(stream, &outputs[0]), expected.index, "{what}, {params:?}");
        assert_eq!(download::<i32>(stream, &outputs[1]), expected.anchor, "{what}, {params:?}");
        assert_eq!(download::<f32>(stream, &outputs[2]), expected.size, "{what}, {params:?}");
    };
    // SAFETY: the tensors have these sizes and live until the stream was waited for.
    run_and_replay(stream, || unsafe { call.enqueue(&tensors, raw(stream)) }, check);
}

/// Enqueues a call and looks at what it has done; then the same from a graph, twice, into a workspace that holds the
/// leftovers of the last call.
fn run_and_replay(stream: &Arc<CudaStream>, enqueue: impl Fn() -> ailurus_cuda::Result<()>, check: impl Fn(&str)) {
    enqueue().expect("enqueued");
    check("enqueued");
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).expect("capture begins");
    enqueue().expect("captured");
    let flags = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let graph = stream.end_capture(flags).expect("capture ends").expect("a graph");
    for _ in 0..2 {
        graph.launch().expect("the graph runs");
        check("from a graph");
    }
}

#[test]
fn density_peaks_equals_the_reference() {
    let Some((_context, stream)) = device() else { return };
    for (grid, keep, channels) in [
        ((14, 14), Keep::Ratio { num: 1, den: 2 }, 64),
        ((40, 40), Keep::Ratio { num: 1, den: 4 }, 64),
        ((37, 37), Keep::Tokens(1), 65),
        ((128, 128), Keep::Ratio { num: 1, den: 2 }, 33),
        ((1, 300), Keep::Tokens(150), 128),
        ((9, 7), Keep::Tokens(63), 1024),
    ] {
        let params = DensityPeaks { neighbors: 2, ..DensityPeaks::new(1, 2, Some(grid), keep) };
        let batch = 2;
        let count = batch * (grid.0 * grid.1 + 3) * channels;
        let values = Random(channels as u64).values(count);
        density_peaks::<f32>(&stream, &params, batch, channels, &values);
        density_peaks::<f16>(&stream, &params, batch, channels, &narrow(&values));
        density_peaks::<bf16>(&stream, &params, batch, channels, &narrow(&values));
        let tied: Vec<f32> = values.iter().map(|v| (v * 2.0).round()).collect();
        density_peaks::<f32>(&stream, &params, batch, channels, &tied);
        density_peaks::<f32>(&stream, &params, batch, channels, &vec![f32::NAN; count]);
    }
}

fn grid_kmeans<E: Value>(stream: &Arc<CudaStream>, params: &GridKMeans, batch: usize, channels: usize, x: &[E]) {
    let grid = params.grid.expect("a static grid");
    let call = GridKMeansCall { params, grid, element: E::ELEMENT, batch, channels };
    let ((rows, choices), tokens) = (call.sizes().expect("sizes"), params.prefix + grid.0 * grid.1 + params.suffix);
    let input = upload(stream, x);
    let mut z = upload(stream, &vec![E::default(); batch * rows * channels]);
    let [mut index, mut weight] = [(); 2].map(|()| upload(stream, &vec![0x55u32; batch * tokens * choices]));
    let bytes = call.workspace().expect("workspace");
    let mut workspace = upload(stream, &vec![0xa5u8; bytes]);
    let tensors = GridKMeansTensors {
        x: pointer(stream, &input),
        z: pointer_mut(stream, &mut z),
        index: pointer_mut(stream, &mut index).cast(),
        weight: pointer_mut(stream, &mut weight).cast(),
        workspace: pointer_mut(stream, &mut workspace),
        workspace_bytes: bytes,
    };
    // Equal to the reference in every bit, which would take minutes.
    let expected = kernel::grid_kmeans_exact(params, &to_reference(x), batch, channels, grid, &Rayon);
    let expected = expected.expect("kernel for processors");
    // The device's exponential may be rounded otherwise in the last bit of a double: rarely, and then by one bit of f32.
    let near = |a: f32, b: f32| a == b || (a - b).abs() <= 1e-5 * b.abs().max(1.0) || (a.is_nan() && b.is_nan());
    let check = |what: &str| {
        let index = download::<i32>(stream, &index);
        let differ = index.iter().zip(&expected.index).filter(|(a, b)| a != b).count();
        assert!(differ * 1000 <= index.len(), "{what}, {params:?}: {differ} of {}", index.len());
        let weight = download::<f32>(stream, &weight);
        let differ = weight.iter().zip(&expected.weight).filter(|(a, b)| !near(**a, **b)).count();
        assert!(differ * 1000 <= weight.len(), "{what}, {params:?}: {differ} of {}", weight.len());
        let got = download::<E>(stream, &z);
        let wide: Vec<E> = from_reference(&expected.z);
        let step = if size_of::<E>() == 2 { 1e-3 } else { 1e-5 };
        let off = |a: E, b: E| !near(a.wide(), b.wide()) && (a.wide() - b.wide()).abs() > step * b.wide().abs();
        assert!(!got.iter().zip(&wide).any(|(a, b)| off(*a, *b)), "{what}, {params:?}: centres");
    };
    // SAFETY: the tensors have these sizes and live until the stream was waited for.
    run_and_replay(stream, || unsafe { call.enqueue(&tensors, raw(stream)) }, check);
}

#[test]
fn grid_kmeans_equals_the_reference() {
    let Some((_context, stream)) = device() else { return };
    for (grid, clusters, neighbors, channels) in [
        ((14, 14), (10, 10), 4, 64),
        ((40, 40), (28, 28), 20, 1024),
        ((37, 37), (9, 20), 70, 65),
        ((128, 128), (32, 32), 4, 36),
        ((1, 300), (1, 77), 4, 128),
        ((9, 7), (9, 7), 4, 384),
    ] {
        let params = GridKMeans { neighbors, ..GridKMeans::new(1, 2, Some(grid), clusters) };
        let parity = GridKMeans {
            temperature: 0.02,
            temperature_mode: TemperatureMode::Absolute,
            norm: Norm::L2,
            ties: 8,
            ..params
        };
        let batch = 2;
        let count = batch * (grid.0 * grid.1 + 3) * channels;
        let values = Random(channels as u64).values(count);
        for params in [params, parity] {
            grid_kmeans::<f32>(&stream, &params, batch, channels, &values);
            grid_kmeans::<f16>(&stream, &params, batch, channels, &narrow(&values));
            let tied: Vec<f32> = values.iter().map(|v| (v * 2.0).round()).collect();
            grid_kmeans::<f32>(&stream, &params, batch, channels, &tied);
            grid_kmeans::<f32>(&stream, &params, batch, channels, &vec![f32::NAN; count]);
        }
    }
}

fn merge_and_unfold<E: Value>(stream: &Arc<CudaStream>, dims: MergeDims, choices: usize) {
    let MergeDims { batch, tokens, rows, channels } = dims;
    let mut random = Random(tokens as u64);
    let index: Vec<i32> = (0..batch * tokens)
        .map(|t| if t % tokens < rows { (t % tokens) as i32 } else { random.below(rows) as i32 })
        .collect();
    let mut sizes = vec![0f32; batch * rows];
    index.iter().enumerate().for_each(|(t, &row)| sizes[t / tokens * rows + row as usize] += 1.0);
    let x: Vec<E> = narrow(&random.values(batch * tokens * channels));
    let z: Vec<E> = narrow(&random.values(batch * rows * channels));
    let start: Vec<E> = narrow(&random.values(batch * rows * channels));
    let many: Vec<i32> = (0..batch * tokens * choices).map(|_| random.below(rows) as i32).collect();
    let weight = random.values(many.len());
    let element = E::ELEMENT;
    let device = [upload(stream, &x), upload(stream, &z), upload(stream, &start)];
    let [dx, dz, dstart] = [0, 1, 2].map(|i| pointer(stream, &device[i]));
    let numbers = [upload(stream, &index), upload(stream, &many), upload(stream, &sizes), upload(stream, &weight)];
    let [dindex, dmany, dsizes, dweight] = [0, 1, 2, 3].map(|i| pointer(stream, &numbers[i]));
    let same = |y: &CudaSlice<u8>, expected: Vec<E::Reference>, what: &str| {
        let expected: Vec<E> = from_reference(&expected);
        assert!(bits(&download::<E>(stream, y)) == bits(&expected), "{what} {element:?} {dims:?}");
    };
    let (rx, rz, rstart) = (to_reference(&x), to_reference(&z), to_reference(&start));

    let mut y = upload(stream, &vec![E::default(); batch * rows * channels]);
    let to = pointer_mut(stream, &mut y);
    // SAFETY: the tensors have these sizes and live until the stream was waited for; so below.
    unsafe { launcher::merge(element, dims, dx, dindex.cast(), dsizes.cast(), to, raw(stream)) }.expect("enqueued");
    same(&y, reference::merge(&rx, &index, &sizes, dims).expect("reference"), "merge");

    let mut y = upload(stream, &vec![E::default(); batch * tokens * channels]);
    let to = pointer_mut(stream, &mut y);
    let streams = ResidualStreams { z: dz, start: dstart, base: dx };
    for (dindex, index, choices, weighted) in [(dindex, &index, 1, false), (dmany, &many, choices, true)] {
        let dims = UnfoldDims { batch, rows, tokens, choices, channels };
        let dweight = if weighted { dweight.cast() } else { ptr::null_mut() };
        let weight = weighted.then_some(&weight[..]);
        // SAFETY: see above.
        unsafe { launcher::unfold(element, dims, dz, dindex.cast(), dweight, to, raw(stream)) }.expect("enqueued");
        same(&y, reference::unfold(&rz, index, weight, dims).expect("reference"), "unfold");
        // SAFETY: see above.
        unsafe { launcher::unfold_residual(element, dims, streams, dindex.cast(), dweight, to, raw(stream)) }
            .expect("enqueued");
        let expected = reference::unfold_residual(&rz, &rstart, &rx, index, weight, dims).expect("reference");
        same(&y, expected, "unfold_residual");
    }
}

#[test]
fn merge_and_unfold_equal_the_reference() {
    let Some((_context, stream)) = device() else { return };
    for (tokens, rows, channels) in [(197, 99, 768), (1601, 801, 1024), (1370, 3, 65), (16384, 8192, 48), (300, 300, 8)]
    {
        let dims = MergeDims { batch: 2, tokens, rows, channels };
        merge_and_unfold::<f32>(&stream, dims, 3);
        merge_and_unfold::<f16>(&stream, dims, 3);
        merge_and_unfold::<bf16>(&stream, dims, 3);
    }
}

#[test]
fn the_driver_compiles_the_source_too() {
    let Some((_context, _stream)) = device() else { return };
    // SAFETY: looks for the library, no more.
    if !unsafe { cudarc::nvrtc::sys::is_culib_present() } {
        skip("nvrtc", "it is not installed");
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels");
    let options = cudarc::nvrtc::CompileOptions {
        include_paths: vec![folder.into()],
        options: vec!["--std=c++14".into(), "--fmad=false".into()],
        ..Default::default()
    };
    let source =
        ailurus_cuda::sources::KERNELS.iter().find(|(name, _)| name.ends_with("ailurus.cu")).expect("listed").1;
    let ptx = cudarc::nvrtc::compile_ptx_with_opts(source, options).expect("NVRTC compiles the kernels");
    assert!(ptx.to_src().contains(".visible .entry ailurus_select("));
}
