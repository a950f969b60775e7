//! The sources, as texts: what is written out for users who build without Rust.

macro_rules! texts {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../", $path)))),*] };
}

/// The plugins: path within this crate, and text. Besides, they need `ailurus_cuda.h` and the launcher of `ailurus-cuda`.
pub const PLUGIN: &[(&str, &str)] = texts![
    "plugin/creators.h",
    "plugin/density_peaks.cpp",
    "plugin/exports.cpp",
    "plugin/fields.cpp",
    "plugin/fields.h",
    "plugin/grid.cpp",
    "plugin/grid.h",
    "plugin/grid_kmeans.cpp",
    "plugin/library.h",
    "plugin/log.cpp",
    "plugin/log.h",
    "plugin/logger_finder.cpp",
    "plugin/logger_finder.h",
    "plugin/merge.cpp",
    "plugin/operator.cpp",
    "plugin/operator.h",
    "plugin/plugin_v2.cpp",
    "plugin/plugin_v3.cpp",
    "plugin/tensorrt.h",
    "plugin/unfold.cpp",
    "plugin/unfold.h",
    "plugin/unfold_residual.cpp",
];
