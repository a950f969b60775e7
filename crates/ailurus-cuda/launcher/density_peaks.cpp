// AilurusDensityPeaks: checks, workspace, and the sequence of launches.

#include <algorithm>

#include "check.h"
#include "driver.h"
#include "grid.h"
#include "status.h"

namespace ailurus_cuda {

namespace {

// The nearest anchor is found by a number that orders by squared distance and index, in 64 bits.
static_assert(MOST_PATCHES <= int64_t(1) << 20, "squared distance times patches");
// Threads that list the places of windows: more than a device runs at a time, far below what counts in 32 bits.
constexpr unsigned long long MOST_OFFSET_THREADS = 1ull << 20;
using Params = ailurus_cuda_density_peaks_params;
using Arguments = ailurus_density_peaks_arguments;

ailurus_cuda_status check_params(const Params& p) {
    const ailurus_cuda_status status = grid_of(p).check();
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    if (p.tokens < 0) {
        return bad_parameter("tokens", p.tokens, "at least one cluster");
    }
    if (p.tokens == 0 && p.keep_num < 1) {
        return bad_parameter("keep_num", p.keep_num, "without tokens it must be at least 1");
    }
    if (p.tokens == 0 && p.keep_den < p.keep_num) {
        return bad_parameter("keep_den", p.keep_den, "it must not be smaller than keep_num");
    }
    if (p.neighbors < 1) {
        return bad_parameter("neighbors", p.neighbors, "at least one neighbour makes a density");
    }
    if (p.window < 1) {
        return bad_parameter("window", p.window, "a window holds at least the patch itself");
    }
    // False for NaN too.
    if (!(p.spatial_mix >= 0.0f && p.spatial_mix <= 1.0f)) {
        return fail(AILURUS_CUDA_BAD_PARAMETER, "spatial_mix = %g: it must lie in 0..1",
                    static_cast<double>(p.spatial_mix));
    }
    return AILURUS_CUDA_OK;
}

// Places that windows can reach: offsets with (|dy| + 1)(|dx| + 1) <= window on the grid.
int64_t count_offsets(const Params& p) {
    int64_t count = 0;
    const int rows = std::min(p.grid_h, p.window);
    for (int dy = 0; dy < rows; ++dy) {
        const int64_t columns = 2 * int64_t(std::min(p.grid_w, p.window / (dy + 1))) - 1;
        count += dy == 0 ? columns : 2 * columns;
    }
    return count;
}

// Checks the parameters and fills in the sizes that follow from them.
ailurus_cuda_status resolve(const Params* params, int64_t batch, int64_t channels, Arguments* a) {
    if (params == nullptr) {
        return fail(AILURUS_CUDA_BAD_POINTER, "params is null");
    }
    const Params& p = *params;
    ailurus_cuda_status status = check_params(p);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    status = grid_of(p).check_sizes(batch, channels);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const int64_t patches = grid_of(p).patches();
    int64_t clusters = p.tokens;
    if (clusters == 0) {
        clusters = std::max<int64_t>(1, (patches * p.keep_num + p.keep_den - 1) / p.keep_den);
    }
    if (clusters > patches) {
        return fail(AILURUS_CUDA_BAD_PARAMETER, "tokens = %lld: there are only %lld patches",
                    static_cast<long long>(clusters), static_cast<long long>(patches));
    }
    const int64_t ranks = std::min<int64_t>(p.window, patches);
    if (patches * ranks > MOST_ENTRIES) {
        return fail(AILURUS_CUDA_TOO_LARGE, "%lld patches with a window of %lld", static_cast<long long>(patches),
                    static_cast<long long>(ranks));
    }
    *a = Arguments();
    a->batch = static_cast<int>(batch);
    a->prefix = p.prefix;
    a->suffix = p.suffix;
    a->height = p.grid_h;
    a->width = p.grid_w;
    a->channels = static_cast<int>(channels);
    a->clusters = static_cast<int>(clusters);
    a->neighbors = p.neighbors;
    a->window = p.window;
    a->ranks = static_cast<int>(ranks);
    a->offset_count = static_cast<int>(count_offsets(p));
    a->spatial_mix = p.spatial_mix;
    return AILURUS_CUDA_OK;
}

// Lays the parts of the workspace out from `start` and returns the bytes they take.
size_t lay_out(Arguments* a, void* start) {
    const size_t patches = static_cast<size_t>(a->height) * a->width;
    const size_t all = patches * a->batch;
    Layout layout(start);
    a->offsets = layout.part<int>(2 * static_cast<size_t>(a->offset_count));
    a->windows = layout.part<unsigned>(patches * a->ranks);
    a->weights = layout.part<float>(a->ranks);
    a->distance = layout.part<float>(all * a->ranks);
    a->mean = layout.part<float>(all);
    a->largest = layout.part<unsigned>(a->batch);
    a->score = layout.part<unsigned>(all);
    a->row = layout.part<int>(all);
    return layout.bytes();
}

Kernel distances_kernel(ailurus_cuda_type type, bool aligned) {
    switch (type) {
        case AILURUS_CUDA_F32:
            return aligned ? KERNEL_distances_f32 : KERNEL_distances_f32_any;
        case AILURUS_CUDA_F16:
            return aligned ? KERNEL_distances_f16 : KERNEL_distances_f16_any;
        default:
            return aligned ? KERNEL_distances_bf16 : KERNEL_distances_bf16_any;
    }
}

ailurus_cuda_status launch_all(Arguments a, ailurus_cuda_type type, void* stream) {
    const unsigned long long patches = static_cast<unsigned long long>(a.height) * a.width;
    const Tiles tile = choose_tiles(a.height, a.width, AILURUS_TILE, 8);
    a.tile_shift = tile.shift;
    const unsigned long long tiles = tile.count * a.batch;
    const unsigned warps = 8;
    const unsigned long long per_patch = divide_up(patches * a.batch, warps);
    ailurus_cuda_status status = check_blocks(std::max(tiles, per_patch));
    Launcher launcher(stream);
    if (status == AILURUS_CUDA_OK) {
        status = launcher.open();
    }
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const unsigned long long box = (2ull * std::min(a.height, a.window) - 1) * (2ull * std::min(a.width, a.window) - 1);
    // A warp per place, a thread per rank and per image; should it be fewer, they take turns.
    const unsigned long long enough = std::min(std::max<unsigned long long>(32 * box, a.ranks), MOST_OFFSET_THREADS);
    const unsigned groups = std::min<unsigned>(
        AILURUS_RANK_GROUPS, std::max(1u, static_cast<unsigned>(divide_up(a.ranks - 1, AILURUS_RANK_BATCH))));
    const unsigned warps_of_tile = AILURUS_TILE / AILURUS_WARP_PATCHES;
    const size_t four = 4 * element_bytes(type);
    const bool aligned = a.channels % 4 == 0 && reinterpret_cast<uintptr_t>(a.metric) % four == 0;
    const struct {
        Kernel kernel;
        unsigned long long blocks;
        unsigned threads;
    } launches[] = {
        {KERNEL_offsets, divide_up(enough, 128), 128},
        {KERNEL_windows, divide_up(patches, warps), warps * 32},
        {distances_kernel(type, aligned), tiles, groups * warps_of_tile * 32},
        {KERNEL_scores, per_patch, warps * 32},
        {KERNEL_select, static_cast<unsigned long long>(a.batch), 1024},
        {KERNEL_assign, per_patch, warps * 32},
    };
    for (const auto& launch : launches) {
        status = launcher.launch(launch.kernel, launch.blocks, launch.threads, a);
        if (status != AILURUS_CUDA_OK) {
            return status;
        }
    }
    return AILURUS_CUDA_OK;
}

}  // namespace

}  // namespace ailurus_cuda

using namespace ailurus_cuda;

ailurus_cuda_status ailurus_cuda_density_peaks_rows(const ailurus_cuda_density_peaks_params* params, int64_t* rows) {
    Arguments a = {};
    const ailurus_cuda_status status = resolve(params, 1, 1, &a);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    if (rows == nullptr) {
        return fail(AILURUS_CUDA_BAD_POINTER, "rows is null");
    }
    *rows = int64_t(a.prefix) + a.clusters + a.suffix;
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status ailurus_cuda_density_peaks_workspace(const ailurus_cuda_density_peaks_params* params, int64_t batch,
                                                         int64_t channels, ailurus_cuda_type type, size_t* bytes) {
    Arguments a = {};
    ailurus_cuda_status status = check_type(type);
    if (status == AILURUS_CUDA_OK) {
        status = resolve(params, batch, channels, &a);
    }
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    if (bytes == nullptr) {
        return fail(AILURUS_CUDA_BAD_POINTER, "bytes is null");
    }
    *bytes = lay_out(&a, nullptr);
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status ailurus_cuda_density_peaks(const ailurus_cuda_density_peaks_params* params, ailurus_cuda_type type,
                                               int64_t batch, int64_t channels, const void* metric, int32_t* index,
                                               int32_t* anchor, float* size, void* workspace, size_t workspace_bytes,
                                               void* stream) {
    Arguments a = {};
    ailurus_cuda_status status = check_type(type);
    if (status == AILURUS_CUDA_OK) {
        status = resolve(params, batch, channels, &a);
    }
    if (status != AILURUS_CUDA_OK || batch == 0) {
        return status;
    }
    const Tensor tensors[] = {{"metric", metric, element_bytes(type)},
                              {"index", index, 4},
                              {"anchor", anchor, 4},
                              {"size", size, 4},
                              {"workspace", workspace, 16}};
    status = check_tensors(tensors, 5);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const size_t needed = lay_out(&a, workspace);
    if (workspace_bytes < needed) {
        return fail(AILURUS_CUDA_SMALL_WORKSPACE, "%zu bytes, %zu are needed", workspace_bytes, needed);
    }
    a.metric = metric;
    a.index = index;
    a.anchor = anchor;
    a.size = size;
    return launch_all(a, type, stream);
}
