// AilurusGridKMeans: checks, workspace, and the sequence of launches.

#include <algorithm>
#include <cmath>

#include "check.h"
#include "driver.h"
#include "grid.h"
#include "status.h"

namespace ailurus_cuda {

namespace {

using Params = ailurus_cuda_grid_kmeans_params;
using Arguments = ailurus_grid_kmeans_arguments;

// Channels that a thread works on.
constexpr int64_t QUAD = 4;

ailurus_cuda_status check_params(const Params& p) {
    const ailurus_cuda_status status = grid_of(p).check();
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    if (p.cluster_h <= 0 || p.cluster_w <= 0) {
        return bad_parameter(p.cluster_h <= 0 ? "cluster_h" : "cluster_w", std::min(p.cluster_h, p.cluster_w),
                             "a grid has at least one row and one column");
    }
    if (p.cluster_h > p.grid_h || p.cluster_w > p.grid_w) {
        return fail(AILURUS_CUDA_BAD_PARAMETER, "cluster_h, cluster_w = %d, %d: finer than the grid of %d x %d patches",
                    p.cluster_h, p.cluster_w, p.grid_h, p.grid_w);
    }
    if (p.iterations < 0) {
        return bad_parameter("iterations", p.iterations, "it must not be negative");
    }
    if (p.window < 1) {
        return bad_parameter("window", p.window, "a window holds at least the patch's own cell");
    }
    if (p.neighbors < 1) {
        return bad_parameter("neighbors", p.neighbors, "a patch is made of at least one centre");
    }
    if (p.ties < 0) {
        return bad_parameter("ties", p.ties, "it must not be negative");
    }
    // False for NaN too.
    if (!(p.temperature >= 0.0f && std::isfinite(p.temperature))) {
        return fail(AILURUS_CUDA_BAD_PARAMETER, "temperature = %g: it must be a number and not negative",
                    static_cast<double>(p.temperature));
    }
    if (p.temperature_mode != AILURUS_CUDA_ABSOLUTE && p.temperature_mode != AILURUS_CUDA_RELATIVE) {
        return bad_parameter("temperature_mode", p.temperature_mode, "absolute (0) or relative (1)");
    }
    if (p.norm != AILURUS_CUDA_L1 && p.norm != AILURUS_CUDA_L2) {
        return bad_parameter("norm", p.norm, "l1 (0) or l2 (1)");
    }
    return AILURUS_CUDA_OK;
}

int64_t clusters_of(const Params& p) {
    return int64_t(p.cluster_h) * p.cluster_w;
}

int64_t choices_of(const Params& p) {
    return std::min(int64_t(p.neighbors) + p.ties, clusters_of(p));
}

// Checks the parameters and fills in the sizes that follow from them.
ailurus_cuda_status resolve(const Params* params, int64_t batch, int64_t channels, Arguments* a) {
    if (params == nullptr) {
        return fail(AILURUS_CUDA_BAD_POINTER, "params is null");
    }
    const Params& p = *params;
    ailurus_cuda_status status = check_params(p);
    if (status == AILURUS_CUDA_OK) {
        status = grid_of(p).check_sizes(batch, channels);
    }
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    // Beyond the grid of centres there is nothing to look at.
    const int radius = std::min(p.window / 2, std::max(p.cluster_h, p.cluster_w) - 1);
    const int64_t places =
        std::min(int64_t(2) * radius + 1, int64_t(p.cluster_h)) * std::min(int64_t(2) * radius + 1, int64_t(p.cluster_w));
    const int64_t patches = grid_of(p).patches();
    const int64_t entries = std::max(p.iterations == 0 ? 0 : patches * places, patches * choices_of(p));
    if (entries > MOST_ENTRIES) {
        return fail(AILURUS_CUDA_TOO_LARGE, "%lld patches that look at %lld centres and are made of %lld",
                    static_cast<long long>(patches), static_cast<long long>(places),
                    static_cast<long long>(choices_of(p)));
    }
    const int64_t stride = (channels + QUAD - 1) / QUAD * QUAD;
    if (clusters_of(p) * stride > MOST_ELEMENTS) {
        return fail(AILURUS_CUDA_TOO_LARGE, "%lld centres of %lld channels", static_cast<long long>(clusters_of(p)),
                    static_cast<long long>(channels));
    }
    const Tiles tiles = choose_tiles(p.grid_h, p.grid_w, AILURUS_GRID_TILE, 4);
    *a = Arguments();
    a->batch = static_cast<int>(batch);
    a->prefix = p.prefix;
    a->suffix = p.suffix;
    a->height = p.grid_h;
    a->width = p.grid_w;
    a->cluster_height = p.cluster_h;
    a->cluster_width = p.cluster_w;
    a->channels = static_cast<int>(channels);
    a->stride = static_cast<int>(stride);
    a->radius = radius;
    a->places = static_cast<int>(places);
    a->neighbors = p.neighbors;
    a->choices = static_cast<int>(choices_of(p));
    a->tile_shift = tiles.shift;
    a->tiles = static_cast<int>(tiles.count);
    a->relative = p.temperature_mode == AILURUS_CUDA_RELATIVE;
    a->squared_norm = p.norm == AILURUS_CUDA_L2;
    // Rounded as PyTorch's resizing rounds.
    a->row_scale = static_cast<float>(p.cluster_h) / static_cast<float>(p.grid_h);
    a->column_scale = static_cast<float>(p.cluster_w) / static_cast<float>(p.grid_w);
    a->temperature = p.temperature;
    return AILURUS_CUDA_OK;
}

// bf16 has no kernels here: no runtime that the library serves asks for it.
ailurus_cuda_status check_element(ailurus_cuda_type type) {
    const ailurus_cuda_status status = check_type(type);
    if (status == AILURUS_CUDA_OK && type == AILURUS_CUDA_BF16) {
        return fail(AILURUS_CUDA_BAD_TYPE, "element type %d: f32 (0) or f16 (1)", static_cast<int>(type));
    }
    return status;
}

// Lays the parts of the workspace out from `start` and returns the bytes they take.
size_t lay_out(Arguments* a, int iterations, void* start) {
    const size_t batch = static_cast<size_t>(a->batch);
    const size_t patches = static_cast<size_t>(a->height) * a->width;
    Layout layout(start);
    a->centres = layout.part<unsigned>(batch * a->cluster_height * a->cluster_width * a->stride);
    a->around = layout.part<float>(iterations == 0 ? 0 : batch * patches * a->places);
    a->nearest = layout.part<double>(batch * a->tiles);
    return layout.bytes();
}

// The kernels for an element type, for rows in vectors of four elements or for any.
struct Kernels {
    Kernel pool, around, update, search;
};

Kernels pick(ailurus_cuda_type type, bool aligned) {
    static const Kernels all[2][2] = {
        {{KERNEL_grid_pool_f32_any, KERNEL_grid_around_f32_any, KERNEL_grid_update_f32_any, KERNEL_grid_search_f32_any},
         {KERNEL_grid_pool_f32, KERNEL_grid_around_f32, KERNEL_grid_update_f32, KERNEL_grid_search_f32}},
        {{KERNEL_grid_pool_f16_any, KERNEL_grid_around_f16_any, KERNEL_grid_update_f16_any, KERNEL_grid_search_f16_any},
         {KERNEL_grid_pool_f16, KERNEL_grid_around_f16, KERNEL_grid_update_f16, KERNEL_grid_search_f16}}};
    return all[type == AILURUS_CUDA_F16][aligned];
}

// Blocks of every kernel.
struct Blocks {
    unsigned long long pool, tiles, weights, update, finish;

    explicit Blocks(const Arguments& a) {
        const unsigned long long batch = static_cast<unsigned long long>(a.batch);
        const unsigned long long patches = static_cast<unsigned long long>(a.height) * a.width;
        const unsigned long long clusters = static_cast<unsigned long long>(a.cluster_height) * a.cluster_width;
        const unsigned long long rows = clusters + a.prefix + a.suffix;
        pool = divide_up(batch * rows * (static_cast<unsigned>(a.stride) / QUAD), THREADS);
        tiles = batch * static_cast<unsigned long long>(a.tiles);
        weights = batch * divide_up(patches, THREADS / 32);
        update = batch * divide_up(a.cluster_height, 2) * divide_up(a.cluster_width, 2) *
                 divide_up(a.stride, AILURUS_GRID_LOOKERS * QUAD);
        finish = batch * divide_up(patches + a.prefix + a.suffix, THREADS / 32);
    }
    unsigned long long most() const { return std::max({pool, tiles, weights, update, finish}); }

    static constexpr unsigned THREADS = 256;
};

constexpr unsigned Blocks::THREADS;

ailurus_cuda_status launch_all(Arguments a, int iterations, const Kernels& kernels, void* stream) {
    const Blocks blocks(a);
    ailurus_cuda_status status = check_blocks(blocks.most());
    Launcher launcher(stream);
    if (status == AILURUS_CUDA_OK) {
        status = launcher.open();
    }
    const auto launch = [&](Kernel kernel, unsigned long long count, unsigned threads) {
        if (status == AILURUS_CUDA_OK) {
            status = launcher.launch(kernel, count, threads, a);
        }
    };
    a.last = iterations == 0;
    launch(kernels.pool, blocks.pool, Blocks::THREADS);
    for (int i = 1; i <= iterations && status == AILURUS_CUDA_OK; ++i) {
        a.last = i == iterations;
        launch(kernels.around, blocks.tiles, Blocks::THREADS);
        launch(KERNEL_grid_weights, blocks.weights, Blocks::THREADS);
        launch(kernels.update, blocks.update, AILURUS_GRID_LOOKERS);
    }
    launch(kernels.search, blocks.tiles, Blocks::THREADS);
    launch(KERNEL_grid_finish, blocks.finish, Blocks::THREADS);
    return status;
}

}  // namespace

}  // namespace ailurus_cuda

using namespace ailurus_cuda;

ailurus_cuda_status ailurus_cuda_grid_kmeans_sizes(const ailurus_cuda_grid_kmeans_params* params, int64_t* rows,
                                                   int64_t* choices) {
    Arguments a = {};
    const ailurus_cuda_status status = resolve(params, 1, 1, &a);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    if (rows == nullptr || choices == nullptr) {
        return fail(AILURUS_CUDA_BAD_POINTER, "%s is null", rows == nullptr ? "rows" : "choices");
    }
    *rows = clusters_of(*params) + a.prefix + a.suffix;
    *choices = a.choices;
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status ailurus_cuda_grid_kmeans_workspace(const ailurus_cuda_grid_kmeans_params* params, int64_t batch,
                                                       int64_t channels, ailurus_cuda_type type, size_t* bytes) {
    Arguments a = {};
    ailurus_cuda_status status = check_element(type);
    if (status == AILURUS_CUDA_OK) {
        status = resolve(params, batch, channels, &a);
    }
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    if (bytes == nullptr) {
        return fail(AILURUS_CUDA_BAD_POINTER, "bytes is null");
    }
    *bytes = lay_out(&a, params->iterations, nullptr);
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status ailurus_cuda_grid_kmeans(const ailurus_cuda_grid_kmeans_params* params, ailurus_cuda_type type,
                                             int64_t batch, int64_t channels, const void* x, void* z, int32_t* index,
                                             float* weight, void* workspace, size_t workspace_bytes, void* stream) {
    Arguments a = {};
    ailurus_cuda_status status = check_element(type);
    if (status == AILURUS_CUDA_OK) {
        status = resolve(params, batch, channels, &a);
    }
    if (status != AILURUS_CUDA_OK || batch == 0) {
        return status;
    }
    const size_t bytes = element_bytes(type);
    const Tensor tensors[] = {
        {"x", x, bytes}, {"z", z, bytes}, {"index", index, 4}, {"weight", weight, 4}, {"workspace", workspace, 16}};
    status = check_tensors(tensors, 5);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const size_t needed = lay_out(&a, params->iterations, workspace);
    if (workspace_bytes < needed) {
        return fail(AILURUS_CUDA_SMALL_WORKSPACE, "%zu bytes, %zu are needed", workspace_bytes, needed);
    }
    a.x = x;
    a.z = z;
    a.index = index;
    a.weight = weight;
    const size_t quad = QUAD * bytes;
    const auto in_quads = [&](const void* data) { return reinterpret_cast<uintptr_t>(data) % quad == 0; };
    const bool aligned = channels % QUAD == 0 && in_quads(x) && in_quads(z);
    return launch_all(a, params->iterations, pick(type, aligned), stream);
}
