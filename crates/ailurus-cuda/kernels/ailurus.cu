// The kernels of ai.ailurus as the launcher calls them: one translation unit for nvcc, NVRTC and the host shim.
//
// _any: rows whose start or length is not a multiple of what one instruction loads.

#include "platform.cuh"

#include "assign.cuh"
#include "distances.cuh"
#include "grid_around.cuh"
#include "grid_pool.cuh"
#include "grid_search.cuh"
#include "grid_update.cuh"
#include "grid_weights.cuh"
#include "merge.cuh"
#include "select.cuh"
#include "unfold.cuh"
#include "windows.cuh"

using ailurus::BF16;
using ailurus::F16;
using ailurus::F32;

AILURUS_KERNEL(offsets, ailurus_density_peaks_arguments, 128, 1) {
    ailurus::offsets(a);
}
AILURUS_KERNEL(windows, ailurus_density_peaks_arguments, 256, 1) {
    ailurus::windows(a);
}
AILURUS_KERNEL(scores, ailurus_density_peaks_arguments, 256, 1) {
    ailurus::scores(a);
}
AILURUS_KERNEL(select, ailurus_density_peaks_arguments, 1024, 1) {
    ailurus::select(a);
}
AILURUS_KERNEL(assign, ailurus_density_peaks_arguments, 256, 1) {
    ailurus::assign(a);
}

// The kernels that depend on the element type.
#define AILURUS_ELEMENT_KERNELS(suffix, E)                                                                             \
    AILURUS_KERNEL(distances_##suffix, ailurus_density_peaks_arguments, 384, 2) {                                      \
        ailurus::distances<E, true>(a);                                                                                \
    }                                                                                                                  \
    AILURUS_KERNEL(distances_##suffix##_any, ailurus_density_peaks_arguments, 384, 2) {                                \
        ailurus::distances<E, false>(a);                                                                               \
    }                                                                                                                  \
    AILURUS_KERNEL(merge_##suffix, ailurus_merge_arguments, 256, 1) {                                                  \
        ailurus::merge<E, E::VECTOR>(a);                                                                               \
    }                                                                                                                  \
    AILURUS_KERNEL(merge_##suffix##_any, ailurus_merge_arguments, 256, 1) {                                            \
        ailurus::merge<E, 1>(a);                                                                                       \
    }                                                                                                                  \
    AILURUS_KERNEL(unfold_sum_##suffix, ailurus_unfold_arguments, 256, 1) {                                            \
        ailurus::unfold_sum<E, E::VECTOR>(a);                                                                          \
    }                                                                                                                  \
    AILURUS_KERNEL(unfold_sum_##suffix##_any, ailurus_unfold_arguments, 256, 1) {                                      \
        ailurus::unfold_sum<E, 1>(a);                                                                                  \
    }                                                                                                                  \
    AILURUS_KERNEL(unfold_residual_##suffix, ailurus_unfold_arguments, 256, 1) {                                       \
        ailurus::unfold_residual<E, E::VECTOR>(a);                                                                     \
    }                                                                                                                  \
    AILURUS_KERNEL(unfold_residual_##suffix##_any, ailurus_unfold_arguments, 256, 1) {                                 \
        ailurus::unfold_residual<E, 1>(a);                                                                             \
    }

AILURUS_ELEMENT_KERNELS(f32, F32)
AILURUS_ELEMENT_KERNELS(f16, F16)
AILURUS_ELEMENT_KERNELS(bf16, BF16)

AILURUS_KERNEL(grid_weights, ailurus_grid_kmeans_arguments, 256, 1) {
    ailurus::grid_weights(a);
}
AILURUS_KERNEL(grid_finish, ailurus_grid_kmeans_arguments, 256, 1) {
    ailurus::grid_finish(a);
}

// The kernels of AilurusGridKMeans that depend on the element type. Not for bf16: no runtime asks for it, and every kernel
// is time that the driver takes to compile the PTX.
#define AILURUS_GRID_KERNEL(name, suffix, E, threads, blocks)                                                          \
    AILURUS_KERNEL(grid_##name##_##suffix, ailurus_grid_kmeans_arguments, threads, blocks) {                           \
        ailurus::grid_##name<E, true>(a);                                                                              \
    }                                                                                                                  \
    AILURUS_KERNEL(grid_##name##_##suffix##_any, ailurus_grid_kmeans_arguments, threads, blocks) {                     \
        ailurus::grid_##name<E, false>(a);                                                                             \
    }
#define AILURUS_GRID_KERNELS(suffix, E)                                                                                \
    AILURUS_GRID_KERNEL(pool, suffix, E, 256, 1)                                                                       \
    AILURUS_GRID_KERNEL(around, suffix, E, 256, 2)                                                                     \
    AILURUS_GRID_KERNEL(update, suffix, E, AILURUS_GRID_LOOKERS, 1)                                                    \
    AILURUS_GRID_KERNEL(search, suffix, E, 256, 2)

AILURUS_GRID_KERNELS(f32, F32)
AILURUS_GRID_KERNELS(f16, F16)

AILURUS_KERNEL(unfold_copy16, ailurus_unfold_arguments, 256, 1) {
    ailurus::unfold_copy<uint4>(a);
}
AILURUS_KERNEL(unfold_copy4, ailurus_unfold_arguments, 256, 1) {
    ailurus::unfold_copy<unsigned>(a);
}
AILURUS_KERNEL(unfold_copy2, ailurus_unfold_arguments, 256, 1) {
    ailurus::unfold_copy<unsigned short>(a);
}
