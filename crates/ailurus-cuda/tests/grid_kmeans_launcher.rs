//! AilurusGridKMeans in the launcher: what it refuses and by which name, and the memory it asks for.

mod common;

use std::ptr;

use ailurus_cuda::launcher::{Element, GridKMeansCall, GridKMeansTensors, Stream};
use ailurus_cuda::{Error, Status, sys};
use ailurus_ops::GridKMeans;
use common::Memory;
use common::refusals::{Change, driver, last_error, refusal};

const GOOD: sys::GridKMeansParams = sys::GridKMeansParams {
    prefix: 1,
    suffix: 0,
    grid_h: 4,
    grid_w: 6,
    cluster_h: 2,
    cluster_w: 3,
    iterations: 5,
    window: 5,
    neighbors: 4,
    ties: 0,
    temperature: 5.0,
    temperature_mode: sys::RELATIVE,
    norm: sys::L1,
};

fn workspace(params: &sys::GridKMeansParams, batch: i64, channels: i64, element: i32) -> (Option<Status>, usize) {
    let mut bytes = 0;
    // SAFETY: pointers to values of the right types.
    let status = unsafe { sys::ailurus_cuda_grid_kmeans_workspace(params, batch, channels, element, &mut bytes) };
    (Status::from_raw(status), bytes)
}

#[test]
fn parameters_outside_their_range_are_refused_by_name() {
    let bad = Status::BadParameter;
    let cases: [(&str, Status, Change<sys::GridKMeansParams>); 19] = [
        ("prefix = -1", bad, |p| p.prefix = -1),
        ("grid_h = 0", bad, |p| p.grid_h = 0),
        ("cluster_h = 0", bad, |p| p.cluster_h = 0),
        ("cluster_w = -2", bad, |p| p.cluster_w = -2),
        ("cluster_h, cluster_w = 5, 3: finer than the grid of 4 x 6", bad, |p| p.cluster_h = 5),
        ("cluster_h, cluster_w = 2, 7: finer than", bad, |p| p.cluster_w = 7),
        ("iterations = -1", bad, |p| p.iterations = -1),
        ("window = 0", bad, |p| p.window = 0),
        ("neighbors = 0", bad, |p| p.neighbors = 0),
        ("ties = -1", bad, |p| p.ties = -1),
        ("temperature = -1", bad, |p| p.temperature = -1.0),
        ("temperature = nan", bad, |p| p.temperature = f32::NAN),
        ("temperature = inf", bad, |p| p.temperature = f32::INFINITY),
        ("temperature_mode = 2", bad, |p| p.temperature_mode = 2),
        ("norm = -1", bad, |p| p.norm = -1),
        ("patches = 1048577", Status::TooLarge, |p| (p.grid_h, p.grid_w, p.cluster_h) = (1, 1_048_577, 1)),
        ("tokens in all = ", Status::TooLarge, |p| p.prefix = i32::MAX),
        ("look at 1024 centres", Status::TooLarge, |p| {
            (p.grid_h, p.grid_w, p.cluster_h, p.cluster_w, p.window) = (1024, 1024, 32, 32, 1000);
        }),
        ("made of 400", Status::TooLarge, |p| {
            (p.grid_h, p.grid_w, p.cluster_h, p.cluster_w, p.neighbors, p.ties) = (1024, 1024, 32, 32, 300, 100);
        }),
    ];
    for (expected, status, change) in cases {
        let mut params = GOOD;
        change(&mut params);
        assert_eq!(workspace(&params, 1, 8, 0).0, Some(status), "{expected}: {}", last_error());
        assert!(last_error().contains(expected), "{expected}: {}", last_error());
    }
    assert_eq!(workspace(&GOOD, 1, 8, 0).0, None);
}

#[test]
fn sizes_types_and_null_are_refused_by_name() {
    assert_eq!(workspace(&GOOD, -1, 8, 0).0, Some(Status::BadShape));
    assert_eq!(last_error(), "batch = -1");
    assert_eq!(workspace(&GOOD, 1, 0, 1).0, Some(Status::BadShape));
    assert_eq!(last_error(), "channels = 0");
    assert_eq!(workspace(&GOOD, 1, 8, 7).0, Some(Status::BadType));
    assert_eq!(workspace(&GOOD, 1, 8, 2).0, Some(Status::BadType), "there are no kernels for bf16");
    assert_eq!(last_error(), "element type 2: f32 (0) or f16 (1)");
    let mut sizes = [0i64; 2];
    let [rows, choices] = &mut sizes;
    // SAFETY: null is what is tested.
    unsafe {
        let null = Some(Status::BadPointer);
        assert_eq!(Status::from_raw(sys::ailurus_cuda_grid_kmeans_workspace(ptr::null(), 1, 8, 0, &mut 0)), null);
        assert_eq!(Status::from_raw(sys::ailurus_cuda_grid_kmeans_workspace(&GOOD, 1, 8, 0, ptr::null_mut())), null);
        assert_eq!(Status::from_raw(sys::ailurus_cuda_grid_kmeans_sizes(&GOOD, ptr::null_mut(), choices)), null);
        assert_eq!(last_error(), "rows is null");
        assert_eq!(Status::from_raw(sys::ailurus_cuda_grid_kmeans_sizes(&GOOD, rows, ptr::null_mut())), null);
        assert_eq!(last_error(), "choices is null");
    }
}

#[test]
fn sizes_follow_the_operator() {
    for (neighbors, ties) in [(1, 0), (4, 2), (20, 0), (3, usize::MAX >> 33), (i32::MAX as usize, i32::MAX as usize)] {
        let params = GridKMeans { neighbors, ties, ..GridKMeans::new(2, 3, None, (3, 5)) };
        let call = GridKMeansCall { params: &params, grid: (9, 8), element: Element::F32, batch: 1, channels: 1 };
        assert_eq!(call.sizes().unwrap(), (params.rows(), params.choices()));
    }
}

#[test]
fn workspaces_hold_centres_and_windows_but_no_pairs() {
    let params = |h, w| sys::GridKMeansParams { grid_h: h, grid_w: w, cluster_h: 64, cluster_w: 64, ..GOOD };
    let (n, m, c) = (128 * 128, 64 * 64, 1024);
    let (_, one) = workspace(&params(128, 128), 1, c as i64, 1);
    // Centres in f32, 25 places for every patch, a double for every tile of 16 patches; all pairs would be 268 MB.
    let needed = 4 * m * c + 4 * n * 25 + 8 * n / 16;
    assert!((needed..needed + 1024).contains(&one), "{one}");
    assert_eq!(workspace(&params(128, 128), 8, c as i64, 0).1.div_ceil(one), 8);
    let none = sys::GridKMeansParams { iterations: 0, ..params(128, 128) };
    assert!(workspace(&none, 1, c as i64, 1).1 < one - 4 * n * 25 + 1024);
}

/// Memory for a small call, and the call.
struct Call {
    params: GridKMeans,
    _memory: [Memory; 5],
    tensors: GridKMeansTensors,
}

impl Call {
    fn new() -> Self {
        let params = GridKMeans::new(1, 0, Some((4, 6)), (2, 3));
        let bytes = [25 * 8 * 4, 7 * 8 * 4, 25 * 4 * 4, 25 * 4 * 4, 1 << 16];
        let mut memory = bytes.map(|bytes| Memory::holding(&vec![0u8; bytes], 0));
        let tensors = GridKMeansTensors {
            x: memory[0].pointer(),
            z: memory[1].pointer(),
            index: memory[2].pointer(),
            weight: memory[3].pointer(),
            workspace: memory[4].pointer(),
            workspace_bytes: 1 << 16,
        };
        Self { params, _memory: memory, tensors }
    }

    fn run(&self, batch: usize, change: impl FnOnce(&mut GridKMeansTensors)) -> Result<(), Error> {
        let mut tensors = self.tensors;
        change(&mut tensors);
        let call = GridKMeansCall { params: &self.params, grid: (4, 6), element: Element::F32, batch, channels: 8 };
        // SAFETY: the memory is large enough, and what is changed is refused before it is used.
        unsafe { call.enqueue(&tensors, Stream::DEFAULT) }
    }
}

#[test]
fn pointers_and_workspace_are_checked_before_anything_is_launched() {
    let driver = driver();
    let call = Call::new();
    let before = driver.launches();
    let cases: [(&str, Change<GridKMeansTensors>); 8] = [
        ("x is null", |t| t.x = ptr::null()),
        ("z is null", |t| t.z = ptr::null_mut()),
        ("index is null", |t| t.index = ptr::null_mut()),
        ("weight is null", |t| t.weight = ptr::null_mut()),
        ("workspace is null", |t| t.workspace = ptr::null_mut()),
        ("x is not aligned to 4 bytes", |t| t.x = t.x.wrapping_byte_add(2)),
        ("weight is not aligned to 4 bytes", |t| t.weight = t.weight.wrapping_byte_add(1)),
        ("workspace is not aligned to 16 bytes", |t| t.workspace = t.workspace.wrapping_byte_add(8)),
    ];
    for (expected, change) in cases {
        assert_eq!(refusal(call.run(1, change)), (Status::BadPointer, expected.to_owned()));
    }
    let needed = workspace(&GOOD, 1, 8, 0).1;
    let (status, detail) = refusal(call.run(1, |t| t.workspace_bytes = needed - 1));
    assert_eq!((status, detail), (Status::SmallWorkspace, format!("{} bytes, {needed} are needed", needed - 1)));
    call.run(0, |t| t.x = ptr::null()).expect("an empty batch is no work and no error");
    assert_eq!(driver.launches(), before);
    call.run(1, |t| t.workspace_bytes = needed).unwrap();
    assert_eq!(driver.launches(), before + 3 + 3 * 5);
}

#[test]
fn errors_of_the_driver_end_the_sequence() {
    let driver = driver();
    let call = Call::new();
    call.run(1, |_| {}).unwrap();
    let before = driver.launches();
    driver.fail("cuLaunchKernel", 1);
    let (status, detail) = refusal(call.run(1, |_| {}));
    assert_eq!(status, Status::Driver);
    assert!(detail.starts_with("launching a kernel: CUDA_ERROR_INVALID_VALUE (1)"), "{detail}");
    assert_eq!(driver.launches(), before);
}

#[test]
fn parameters_of_the_operator_are_checked_by_the_operator() {
    let params = GridKMeans::new(0, 0, Some((4, 5)), (2, 2));
    let call = GridKMeansCall { params: &params, grid: (5, 4), element: Element::F32, batch: 1, channels: 1 };
    assert_eq!(call.workspace().unwrap_err().code(), "AIL0306");
    let params = GridKMeans { grid: None, clusters: (5, 2), ..params };
    let call = GridKMeansCall { params: &params, grid: (4, 5), ..call };
    assert_eq!(call.sizes().unwrap_err().code(), "AIL0305");
}
