//! The sources, as texts: what is written out for users who build without Rust, and what generated files are made from.

/// The kernels as PTX, made by `cargo xtask cuda` with a compiler of CUDA 12.0 for compute capability 7.5: drivers from
/// CUDA 12.0 on take it, for that and all later devices.
pub const PTX: &str = include_str!("../kernels/ailurus.ptx");

/// Fingerprints of [`KERNELS`] and [`PTX`] when `PTX` was made.
pub const PTX_STAMP: &str = include_str!("../kernels/ailurus.ptx.stamp");

macro_rules! texts {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../", $path)))),*] };
}

/// The kernels: path within this crate, and text.
pub const KERNELS: &[(&str, &str)] = texts![
    "kernels/ailurus.cu",
    "kernels/arguments.h",
    "kernels/assign.cuh",
    "kernels/distances.cuh",
    "kernels/element.cuh",
    "kernels/grid_around.cuh",
    "kernels/grid_cells.cuh",
    "kernels/grid_pool.cuh",
    "kernels/grid_rows.cuh",
    "kernels/grid_search.cuh",
    "kernels/grid_tile.cuh",
    "kernels/grid_update.cuh",
    "kernels/grid_weights.cuh",
    "kernels/lanes.cuh",
    "kernels/merge.cuh",
    "kernels/platform.cuh",
    "kernels/select.cuh",
    "kernels/unfold.cuh",
    "kernels/warp.cuh",
    "kernels/windows.cuh",
];

/// The launcher: path within this crate, and text. Besides, it needs `kernels/arguments.h` and what
/// [`crate::images::definitions`] makes.
pub const LAUNCHER: &[(&str, &str)] = texts![
    "launcher/ailurus_cuda.h",
    "launcher/check.cpp",
    "launcher/check.h",
    "launcher/density_peaks.cpp",
    "launcher/driver.cpp",
    "launcher/driver.h",
    "launcher/driver_api.h",
    "launcher/grid.cpp",
    "launcher/grid.h",
    "launcher/grid_kmeans.cpp",
    "launcher/images.h",
    "launcher/merge_unfold.cpp",
    "launcher/module.cpp",
    "launcher/status.cpp",
    "launcher/status.h",
];

/// What [`PTX_STAMP`] must be for [`KERNELS`] and [`PTX`].
pub fn stamp() -> String {
    let kernels = crate::fingerprint::fingerprint(KERNELS.iter().copied());
    let ptx = crate::fingerprint::fingerprint([("kernels/ailurus.ptx", PTX)]);
    format!("sources {kernels}\nptx {ptx}\n")
}
