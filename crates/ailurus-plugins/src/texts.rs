//! The texts. They are those of the crates they belong to.

/// Path in the folder, and text.
macro_rules! texts {
    ($($crate_name:literal, $path:literal;)*) => {
        &[$(($path, include_str!(concat!("../../", $crate_name, "/", $path)))),*]
    };
}

/// The kernels as PTX: every driver from CUDA 12.0 on compiles it for its device.
pub(crate) const PTX: &str = include_str!("../../ailurus-cuda/kernels/ailurus.ptx");

/// The kernels.
pub(crate) const KERNELS: &[(&str, &str)] = texts![
    "ailurus-cuda", "kernels/ailurus.cu";
    "ailurus-cuda", "kernels/arguments.h";
    "ailurus-cuda", "kernels/assign.cuh";
    "ailurus-cuda", "kernels/distances.cuh";
    "ailurus-cuda", "kernels/element.cuh";
    "ailurus-cuda", "kernels/grid_around.cuh";
    "ailurus-cuda", "kernels/grid_cells.cuh";
    "ailurus-cuda", "kernels/grid_pool.cuh";
    "ailurus-cuda", "kernels/grid_rows.cuh";
    "ailurus-cuda", "kernels/grid_search.cuh";
    "ailurus-cuda", "kernels/grid_tile.cuh";
    "ailurus-cuda", "kernels/grid_update.cuh";
    "ailurus-cuda", "kernels/grid_weights.cuh";
    "ailurus-cuda", "kernels/lanes.cuh";
    "ailurus-cuda", "kernels/merge.cuh";
    "ailurus-cuda", "kernels/platform.cuh";
    "ailurus-cuda", "kernels/select.cuh";
    "ailurus-cuda", "kernels/unfold.cuh";
    "ailurus-cuda", "kernels/warp.cuh";
    "ailurus-cuda", "kernels/windows.cuh";
];

/// The launcher, but for the images, which are generated.
pub(crate) const LAUNCHER: &[(&str, &str)] = texts![
    "ailurus-cuda", "launcher/ailurus_cuda.h";
    "ailurus-cuda", "launcher/check.cpp";
    "ailurus-cuda", "launcher/check.h";
    "ailurus-cuda", "launcher/density_peaks.cpp";
    "ailurus-cuda", "launcher/driver.cpp";
    "ailurus-cuda", "launcher/driver.h";
    "ailurus-cuda", "launcher/driver_api.h";
    "ailurus-cuda", "launcher/grid.cpp";
    "ailurus-cuda", "launcher/grid.h";
    "ailurus-cuda", "launcher/grid_kmeans.cpp";
    "ailurus-cuda", "launcher/images.h";
    "ailurus-cuda", "launcher/merge_unfold.cpp";
    "ailurus-cuda", "launcher/module.cpp";
    "ailurus-cuda", "launcher/status.cpp";
    "ailurus-cuda", "launcher/status.h";
];

/// The plugins.
pub(crate) const PLUGIN: &[(&str, &str)] = texts![
    "ailurus-trt", "plugin/creators.h";
    "ailurus-trt", "plugin/density_peaks.cpp";
    "ailurus-trt", "plugin/exports.cpp";
    "ailurus-trt", "plugin/fields.cpp";
    "ailurus-trt", "plugin/fields.h";
    "ailurus-trt", "plugin/grid.cpp";
    "ailurus-trt", "plugin/grid.h";
    "ailurus-trt", "plugin/grid_kmeans.cpp";
    "ailurus-trt", "plugin/library.h";
    "ailurus-trt", "plugin/log.cpp";
    "ailurus-trt", "plugin/log.h";
    "ailurus-trt", "plugin/logger_finder.cpp";
    "ailurus-trt", "plugin/logger_finder.h";
    "ailurus-trt", "plugin/merge.cpp";
    "ailurus-trt", "plugin/operator.cpp";
    "ailurus-trt", "plugin/operator.h";
    "ailurus-trt", "plugin/plugin_v2.cpp";
    "ailurus-trt", "plugin/plugin_v3.cpp";
    "ailurus-trt", "plugin/tensorrt.h";
    "ailurus-trt", "plugin/unfold.cpp";
    "ailurus-trt", "plugin/unfold.h";
    "ailurus-trt", "plugin/unfold_residual.cpp";
];

/// The kernels' side towards ONNX Runtime.
pub(crate) const ONNXRUNTIME: &[(&str, &str)] = texts![
    "ailurus-plugins", "onnxruntime/clustering.cpp";
    "ailurus-plugins", "onnxruntime/launcher.h";
    "ailurus-plugins", "onnxruntime/operators.h";
    "ailurus-plugins", "onnxruntime/ort.cpp";
    "ailurus-plugins", "onnxruntime/ort.h";
    "ailurus-plugins", "onnxruntime/ort_api.h";
    "ailurus-plugins", "onnxruntime/register.cpp";
    "ailurus-plugins", "onnxruntime/rows.cpp";
    "ailurus-plugins", "onnxruntime/workspace.cpp";
    "ailurus-plugins", "onnxruntime/workspace.h";
];

/// What builds them.
pub(crate) const BUILD: &[(&str, &str)] = &[
    ("kernels/ailurus.ptx", PTX),
    ("CMakeLists.txt", include_str!("../emitted/CMakeLists.txt")),
    ("embed.cmake", include_str!("../emitted/embed.cmake")),
    ("README.md", include_str!("../emitted/README.md")),
    ("LICENSE-APACHE", include_str!("../../../LICENSE-APACHE")),
    ("LICENSE-MIT", include_str!("../../../LICENSE-MIT")),
];
