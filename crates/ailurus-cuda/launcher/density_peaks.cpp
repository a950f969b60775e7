// AilurusDensityPeaks: checks, workspace, and the sequence of launches.

#include <algorithm>

#include "check.h"
#include "driver.h"
#include "status.h"

namespace ailurus_cuda {

namespace {

// The nearest anchor is found by a number that orders by squared distance and index: 64 bits for this many patches.
constexpr int64_t MOST_PATCHES = int64_t(1) << 20;
// Entries of the table of windows; beyond it the parameters are a mistake, not a model.
constexpr int64_t MOST_ENTRIES = int64_t(1) << 28;
// Threads that list the places of windows: more than a device runs at a time, far below what counts in 32 bits.
constexpr unsigned long long MOST_OFFSET_THREADS = 1ull << 20;
// Elements of an image's patches: kernels count them in 32 bits.
constexpr int64_t MOST_ELEMENTS = int64_t(1) << 32;
// Parts of the workspace start at multiples of this.
constexpr size_t PART_ALIGNMENT = 256;

using Params = ailurus_cuda_density_peaks_params;
using Arguments = ailurus_density_peaks_arguments;

ailurus_cuda_status bad(const char* name, int value, const char* reason) {
    return fail(AILURUS_CUDA_BAD_PARAMETER, "%s = %d: %s", name, value, reason);
}

ailurus_cuda_status check_params(const Params& p) {
    if (p.prefix < 0 || p.suffix < 0) {
        return bad(p.prefix < 0 ? "prefix" : "suffix", std::min(p.prefix, p.suffix), "it must not be negative");
    }
    if (p.grid_h <= 0 || p.grid_w <= 0) {
        return bad(p.grid_h <= 0 ? "grid_h" : "grid_w", std::min(p.grid_h, p.grid_w),
                   "a grid has at least one row and one column");
    }
    if (p.tokens < 0) {
        return bad("tokens", p.tokens, "at least one cluster");
    }
    if (p.tokens == 0 && p.keep_num < 1) {
        return bad("keep_num", p.keep_num, "without tokens it must be at least 1");
    }
    if (p.tokens == 0 && p.keep_den < p.keep_num) {
        return bad("keep_den", p.keep_den, "it must not be smaller than keep_num");
    }
    if (p.neighbors < 1) {
        return bad("neighbors", p.neighbors, "at least one neighbour makes a density");
    }
    if (p.window < 1) {
        return bad("window", p.window, "a window holds at least the patch itself");
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
    const int64_t patches = int64_t(p.grid_h) * p.grid_w;
    const int64_t total = patches + p.prefix + p.suffix;
    const Size sizes[] = {{"patches", patches, MOST_PATCHES},
                          {"tokens in all", total, MOST_TOKENS},
                          {"channels", channels, MOST_CHANNELS},
                          {"batch", batch == 0 ? 1 : batch, MOST_TOKENS}};
    status = check_sizes(sizes, 4);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
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
    if (patches * channels > MOST_ELEMENTS) {
        return fail(AILURUS_CUDA_TOO_LARGE, "%lld patches of %lld channels", static_cast<long long>(patches),
                    static_cast<long long>(channels));
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
size_t lay_out(Arguments* a, char* start) {
    const size_t patches = static_cast<size_t>(a->height) * a->width;
    const size_t all = patches * a->batch;
    size_t used = 0;
    const auto part = [&](size_t elements) {
        char* const at = start == nullptr ? nullptr : start + used;
        // Every element has four bytes.
        used += (elements * 4 + PART_ALIGNMENT - 1) / PART_ALIGNMENT * PART_ALIGNMENT;
        return static_cast<void*>(at);
    };
    a->offsets = static_cast<int*>(part(2 * static_cast<size_t>(a->offset_count)));
    a->windows = static_cast<unsigned*>(part(patches * a->ranks));
    a->weights = static_cast<float*>(part(a->ranks));
    a->distance = static_cast<float*>(part(all * a->ranks));
    a->mean = static_cast<float*>(part(all));
    a->largest = static_cast<unsigned*>(part(a->batch));
    a->score = static_cast<unsigned*>(part(all));
    a->row = static_cast<int*>(part(all));
    return used;
}

unsigned long long divide_up(unsigned long long value, unsigned long long by) {
    return (value + by - 1) / by;
}

// Picks the shape of a tile, as near to 4 x 8 as the grid allows, and returns the tiles of an image.
unsigned long long choose_tiles(Arguments* a) {
    int columns = 1;
    while (columns < 8 && columns < a->width) {
        columns *= 2;
    }
    int shift = 0;
    while ((1 << shift) < AILURUS_TILE / columns && (1 << shift) < a->height) {
        ++shift;
    }
    a->tile_shift = shift;
    const unsigned rows = 1u << shift;
    return divide_up(a->height, rows) * divide_up(a->width, AILURUS_TILE / rows);
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
    const unsigned long long tiles = choose_tiles(&a) * a.batch;
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
    Arguments a;
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
    Arguments a;
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
    Arguments a;
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
    const size_t needed = lay_out(&a, static_cast<char*>(workspace));
    if (workspace_bytes < needed) {
        return fail(AILURUS_CUDA_SMALL_WORKSPACE, "%zu bytes, %zu are needed", workspace_bytes, needed);
    }
    a.metric = metric;
    a.index = index;
    a.anchor = anchor;
    a.size = size;
    return launch_all(a, type, stream);
}
