//! The launcher: what it refuses and by which name, when it loads kernels, and how it reports the driver's errors.

mod common;

use std::ffi::c_void;
use std::ptr;

use ailurus_cuda::launcher::{self, DensityPeaksCall, DensityPeaksTensors, Element, Stream};
use ailurus_cuda::{Error, Status, sys};
use ailurus_ops::{DensityPeaks, Keep, MergeDims, UnfoldDims};
use common::Memory;
use common::refusals::{Change, driver, last_error, refusal};

const GOOD: sys::DensityPeaksParams = sys::DensityPeaksParams {
    prefix: 1,
    suffix: 0,
    grid_h: 4,
    grid_w: 5,
    tokens: 6,
    keep_num: 0,
    keep_den: 0,
    neighbors: 1,
    window: 9,
    spatial_mix: 0.5,
};

fn workspace(params: &sys::DensityPeaksParams, batch: i64, channels: i64, element: i32) -> (i32, usize) {
    let mut bytes = 0;
    // SAFETY: pointers to values of the right types.
    let status = unsafe { sys::ailurus_cuda_density_peaks_workspace(params, batch, channels, element, &mut bytes) };
    (status, bytes)
}

#[test]
fn every_status_has_a_name_a_code_and_a_message() {
    let mut codes = vec![];
    for (at, status) in Status::ALL.into_iter().enumerate() {
        assert_eq!(Status::from_raw(at as i32 + 1), Some(status));
        assert_eq!(status.raw(), at as i32 + 1);
        assert_eq!(status.code(), format!("AIL{:04}", 801 + at));
        assert!(!status.message().is_empty());
        let name = status.name().replace('_', "").to_lowercase();
        assert_eq!(name, format!("{status:?}").to_lowercase());
        codes.push(status.code());
    }
    assert_eq!(Status::from_raw(0), None);
    for unknown in [-1, 13, i32::MAX] {
        let status = Status::from_raw(unknown).expect("not OK");
        assert_eq!((status.code(), status.name(), status.raw()), ("AIL0899", "UNKNOWN", unknown));
    }
    // SAFETY: no arguments.
    assert_eq!(unsafe { sys::ailurus_cuda_abi_version() }, sys::ABI_VERSION);
}

#[test]
fn parameters_outside_their_range_are_refused_by_name() {
    let bad = Status::BadParameter;
    let cases: [(&str, Status, Change<sys::DensityPeaksParams>); 16] = [
        ("prefix = -1", bad, |p| p.prefix = -1),
        ("suffix = -2", bad, |p| p.suffix = -2),
        ("grid_h = 0", bad, |p| p.grid_h = 0),
        ("grid_w = -3", bad, |p| p.grid_w = -3),
        ("tokens = -1", bad, |p| p.tokens = -1),
        ("tokens = 21: there are only 20 patches", bad, |p| p.tokens = 21),
        ("keep_num = 0", bad, |p| p.tokens = 0),
        ("keep_den = 1", bad, |p| (p.tokens, p.keep_num, p.keep_den) = (0, 2, 1)),
        ("neighbors = 0", bad, |p| p.neighbors = 0),
        ("window = 0", bad, |p| p.window = 0),
        ("spatial_mix = 1.5", bad, |p| p.spatial_mix = 1.5),
        ("spatial_mix = nan", bad, |p| p.spatial_mix = f32::NAN),
        ("patches = 1048577", Status::TooLarge, |p| (p.grid_h, p.grid_w) = (1, 1_048_577)),
        ("patches = 4611686014132420609", Status::TooLarge, |p| (p.grid_h, p.grid_w) = (i32::MAX, i32::MAX)),
        ("tokens in all = ", Status::TooLarge, |p| p.prefix = i32::MAX),
        ("with a window of 1048576", Status::TooLarge, |p| (p.grid_h, p.grid_w, p.window) = (1024, 1024, i32::MAX)),
    ];
    for (expected, status, change) in cases {
        let mut params = GOOD;
        change(&mut params);
        assert_eq!(Status::from_raw(workspace(&params, 1, 8, 0).0), Some(status), "{expected}: {}", last_error());
        assert!(last_error().contains(expected), "{expected}: {}", last_error());
    }
    assert_eq!(workspace(&GOOD, 1, 8, 0).0, 0);
    let large = sys::DensityPeaksParams { grid_h: 1024, grid_w: 1024, ..GOOD };
    assert_eq!(workspace(&large, 1, 4096, 0).0, 0);
    assert_eq!(Status::from_raw(workspace(&large, 1, 4097, 0).0), Some(Status::TooLarge));
    assert_eq!(last_error(), "1048576 patches of 4097 channels");
}

#[test]
fn sizes_types_and_null_are_refused_by_name() {
    let refused = |(status, _): (i32, usize)| Status::from_raw(status).expect("a refusal");
    assert_eq!(refused(workspace(&GOOD, -1, 8, 0)), Status::BadShape);
    assert_eq!(last_error(), "batch = -1");
    assert_eq!(refused(workspace(&GOOD, i64::MAX, 8, 0)), Status::TooLarge);
    assert_eq!(refused(workspace(&GOOD, 1, 0, 0)), Status::BadShape);
    assert_eq!(last_error(), "channels = 0");
    assert_eq!(refused(workspace(&GOOD, 1, 1 << 40, 0)), Status::TooLarge);
    for element in [-1, 3, 77] {
        assert_eq!(refused(workspace(&GOOD, 1, 8, element)), Status::BadType);
        assert_eq!(last_error(), format!("element type {element}"));
    }
    // SAFETY: null is what is tested.
    unsafe {
        let null = Some(Status::BadPointer);
        assert_eq!(Status::from_raw(sys::ailurus_cuda_density_peaks_workspace(ptr::null(), 1, 8, 0, &mut 0)), null);
        assert_eq!(last_error(), "params is null");
        assert_eq!(Status::from_raw(sys::ailurus_cuda_density_peaks_workspace(&GOOD, 1, 8, 0, ptr::null_mut())), null);
        assert_eq!(Status::from_raw(sys::ailurus_cuda_density_peaks_rows(&GOOD, ptr::null_mut())), null);
    }
}

#[test]
fn rows_follow_the_operator() {
    for (num, den) in [(1, 2), (1, 3), (1, 1), (1, 1000), (999, 1000), (1, i32::MAX as usize)] {
        for grid in [(1, 1), (3, 7), (20, 40)] {
            let params = DensityPeaks::new(2, 3, None, Keep::Ratio { num, den });
            let call = DensityPeaksCall { params: &params, grid, element: Element::F32, batch: 1, channels: 1 };
            assert_eq!(call.rows().unwrap(), params.rows(grid.0 * grid.1).unwrap());
        }
    }
}

#[test]
fn workspaces_are_linear_in_patches_window_and_batch() {
    let params = |h, w| sys::DensityPeaksParams { grid_h: h, grid_w: w, tokens: 8, window: 24, ..GOOD };
    let (_, one) = workspace(&params(128, 128), 1, 1024, 1);
    // Distances and windows, 4 bytes each; mean, score and row; little else.
    let n = 128 * 128;
    assert!((n * (2 * 4 * 24 + 12)..n * (2 * 4 * 24 + 12) + 8192).contains(&one), "{one}");
    let (_, eight) = workspace(&params(128, 128), 8, 1024, 1);
    assert!((n * (9 * 4 * 24 + 8 * 12)..n * (9 * 4 * 24 + 8 * 12) + 8192).contains(&eight), "{eight}");
    assert_eq!(workspace(&params(128, 128), 1, 16, 0).1, one, "channels and type do not matter");
}

/// Memory for a small call, and the call.
struct Call {
    params: DensityPeaks,
    memory: [Memory; 5],
    tensors: DensityPeaksTensors,
}

impl Call {
    fn new() -> Self {
        let params = DensityPeaks::new(1, 0, Some((4, 5)), Keep::Tokens(6));
        let mut memory = [21 * 8 * 4, 21 * 4, 7 * 4, 7 * 4, 1 << 16].map(|bytes| Memory::holding(&vec![0u8; bytes], 0));
        let tensors = DensityPeaksTensors {
            metric: memory[0].pointer(),
            index: memory[1].pointer(),
            anchor: memory[2].pointer(),
            size: memory[3].pointer(),
            workspace: memory[4].pointer(),
            workspace_bytes: 1 << 16,
        };
        Self { params, memory, tensors }
    }

    fn run(&self, change: impl FnOnce(&mut DensityPeaksTensors)) -> Result<(), Error> {
        let mut tensors = self.tensors;
        change(&mut tensors);
        let call =
            DensityPeaksCall { params: &self.params, grid: (4, 5), element: Element::F32, batch: 1, channels: 8 };
        // SAFETY: the memory is large enough, and what is changed is refused before it is used.
        unsafe { call.enqueue(&tensors, Stream::DEFAULT) }
    }
}

#[test]
fn pointers_and_workspace_are_checked_before_anything_is_launched() {
    let driver = driver();
    let call = Call::new();
    let before = driver.launches();
    let cases: [(&str, Change<DensityPeaksTensors>); 8] = [
        ("metric is null", |t| t.metric = ptr::null()),
        ("index is null", |t| t.index = ptr::null_mut()),
        ("anchor is null", |t| t.anchor = ptr::null_mut()),
        ("size is null", |t| t.size = ptr::null_mut()),
        ("workspace is null", |t| t.workspace = ptr::null_mut()),
        ("metric is not aligned to 4 bytes", |t| t.metric = t.metric.wrapping_byte_add(2)),
        ("index is not aligned to 4 bytes", |t| t.index = t.index.wrapping_byte_add(1)),
        ("workspace is not aligned to 16 bytes", |t| t.workspace = t.workspace.wrapping_byte_add(8)),
    ];
    for (expected, change) in cases {
        assert_eq!(refusal(call.run(change)), (Status::BadPointer, expected.to_owned()));
    }
    let needed = workspace(&sys::DensityPeaksParams { window: 24, ..GOOD }, 1, 8, 0).1;
    let (status, detail) = refusal(call.run(|t| t.workspace_bytes = needed - 1));
    assert_eq!((status, detail), (Status::SmallWorkspace, format!("{} bytes, {needed} are needed", needed - 1)));
    assert_eq!(driver.launches(), before);
    call.run(|t| t.workspace_bytes = needed).unwrap();
    assert_eq!(driver.launches(), before + 6);
    assert_eq!(call.memory[1].read::<i32>().len(), 21);
}

#[test]
fn an_empty_batch_is_no_work_and_no_error() {
    let driver = driver();
    let before = driver.launches();
    let none = ptr::null_mut::<c_void>();
    let dims = MergeDims { batch: 0, tokens: 4, rows: 2, channels: 8 };
    let unfold = UnfoldDims { batch: 0, tokens: 4, rows: 2, choices: 1, channels: 8 };
    // SAFETY: nothing is read or written.
    unsafe {
        launcher::merge(Element::F16, dims, none, ptr::null(), ptr::null(), none, Stream::DEFAULT).unwrap();
        launcher::unfold(Element::F16, unfold, none, ptr::null(), ptr::null(), none, Stream::DEFAULT).unwrap();
    }
    assert_eq!(driver.launches(), before);
}

#[test]
fn merge_and_unfold_check_their_sizes_and_pointers() {
    driver();
    let mut memory = Memory::holding(&[0u8; 4096], 0);
    let p = memory.pointer::<c_void>();
    let index = p.cast::<i32>();
    let merge = |dims: MergeDims, y: *mut c_void| {
        // SAFETY: refused before anything is read.
        refusal(unsafe { launcher::merge(Element::F16, dims, p, index, p.cast(), y, Stream::DEFAULT) })
    };
    let dims = MergeDims { batch: 1, tokens: 4, rows: 2, channels: 8 };
    assert_eq!(merge(MergeDims { tokens: 0, ..dims }, p), (Status::BadShape, "tokens = 0".into()));
    assert_eq!(merge(MergeDims { rows: 0, ..dims }, p), (Status::BadShape, "rows = 0".into()));
    assert_eq!(merge(MergeDims { channels: 0, ..dims }, p), (Status::BadShape, "channels = 0".into()));
    assert_eq!(merge(MergeDims { channels: usize::MAX, ..dims }, p).0, Status::TooLarge);
    assert_eq!(merge(MergeDims { batch: 1 << 29, rows: 1 << 29, ..dims }, p).0, Status::TooLarge);
    assert_eq!(merge(dims, ptr::null_mut()), (Status::BadPointer, "y is null".into()));
    assert_eq!(merge(dims, p.wrapping_byte_add(1)), (Status::BadPointer, "y is not aligned to 2 bytes".into()));
    let unfold = |dims: UnfoldDims, weight: *const f32| {
        // SAFETY: refused before anything is read.
        refusal(unsafe { launcher::unfold(Element::F32, dims, p, index, weight, p, Stream::DEFAULT) })
    };
    let dims = UnfoldDims { batch: 1, tokens: 4, rows: 2, choices: 2, channels: 8 };
    assert_eq!(unfold(dims, ptr::null()), (Status::BadShape, "choices = 2 without weight".into()));
    assert_eq!(unfold(UnfoldDims { choices: 0, ..dims }, p.cast()), (Status::BadShape, "choices = 0".into()));
    let odd = p.wrapping_byte_add(2).cast();
    assert_eq!(unfold(dims, odd), (Status::BadPointer, "weight is not aligned to 4 bytes".into()));
}

#[test]
fn kernels_are_loaded_once_per_context() {
    let driver = driver();
    let call = Call::new();
    driver.set_context(1001);
    let before = driver.modules_loaded();
    call.run(|_| {}).unwrap();
    call.run(|_| {}).unwrap();
    assert_eq!(driver.modules_loaded(), before + 1);
    // Another context that came to lie at the same address.
    driver.set_context(1002);
    launcher::prepare().unwrap();
    call.run(|_| {}).unwrap();
    assert_eq!(driver.modules_loaded(), before + 2);
    // SAFETY: the driver without a device runs kernels at once.
    unsafe { launcher::release() }.unwrap();
    call.run(|_| {}).unwrap();
    assert_eq!(driver.modules_loaded(), before + 3);
    driver.set_context(0);
    let (status, detail) = refusal(call.run(|_| {}));
    assert_eq!(status, Status::NoContext);
    assert_eq!((status.code(), detail.is_empty()), ("AIL0804", false));
}

#[test]
fn errors_of_the_driver_are_named() {
    let driver = driver();
    let call = Call::new();
    driver.set_context(2001);
    // A device for which no build embeds machine code.
    driver.set_compute_capability(61);
    driver.fail("cuModuleLoadDataEx", 209);
    let (status, detail) = refusal(call.run(|_| {}));
    assert_eq!(status, Status::NoKernels);
    assert!(
        detail.contains("compute capability 6.1, driver for CUDA 12.0: CUDA_ERROR_NO_BINARY_FOR_GPU (209)"),
        "{detail}"
    );
    driver.fail("cuModuleGetFunction", 500);
    let (status, detail) = refusal(call.run(|_| {}));
    assert_eq!(status, Status::NoKernels);
    assert!(detail.contains("ailurus_offsets: CUDA_ERROR_NOT_FOUND (500)"), "{detail}");
    driver.fail("cuLaunchKernel", 1);
    let (status, detail) = refusal(call.run(|_| {}));
    assert_eq!(status, Status::Driver);
    assert!(detail.starts_with("launching a kernel: CUDA_ERROR_INVALID_VALUE (1)"), "{detail}");
    driver.fail("cuLaunchKernel", 4242);
    let (_, detail) = refusal(call.run(|_| {}));
    assert!(detail.contains("an error without a name (4242)"), "{detail}");
    driver.fail("cuCtxGetCurrent", 1);
    assert_eq!(refusal(call.run(|_| {})).0, Status::Driver);
    // None of this sticks.
    call.run(|_| {}).unwrap();
}

#[test]
fn parameters_of_the_operator_are_checked_by_the_operator() {
    let params = DensityPeaks::new(0, 0, Some((4, 5)), Keep::Tokens(6));
    let call = DensityPeaksCall { params: &params, grid: (5, 4), element: Element::F32, batch: 1, channels: 1 };
    assert_eq!(call.workspace().unwrap_err().code(), "AIL0306");
    let params = DensityPeaks { window: 0, ..params };
    let call = DensityPeaksCall { params: &params, grid: (4, 5), ..call };
    assert_eq!(call.workspace().unwrap_err().code(), "AIL0301");
}

#[test]
fn threads_share_the_launcher() {
    driver();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let driver = driver();
                driver.set_context(3000 + thread);
                let call = Call::new();
                for _ in 0..3 {
                    call.run(|_| {}).unwrap();
                }
                assert_eq!((driver.launches(), driver.modules_loaded()), (18, 1));
                // A refusal is remembered for the thread that got it.
                let (_, detail) = refusal(call.run(|t| t.workspace_bytes = thread as usize));
                assert!(detail.starts_with(&format!("{thread} bytes")), "{detail}");
            });
        }
    });
}
