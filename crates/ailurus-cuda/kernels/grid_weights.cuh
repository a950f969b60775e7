// Weights of centres from their distances: those of an iteration, and those with which tokens are made again.
#pragma once

#include "grid_cells.cuh"
#include "warp.cuh"

namespace ailurus {

// Mean least distances below this count as this; see docs/operators.md.
constexpr float NEAREST = 1e-30f;

// What a sum of weights counts at least, and the least weight that is not 0 before normalisation.
constexpr float LEAST_WEIGHT = 1e-16f;

// What squared distances are multiplied with, for a block that works on one image: the temperature, or the temperature
// over the mean of the least distances, of which every tile of patches has left its sum. `shared` is the block's.
AILURUS_DEVICE double sharpness_of(const GridArguments& a, int image, double& shared) {
    const double temperature = static_cast<double>(a.temperature);
    if (a.relative == 0) {
        return temperature;
    }
    if (warp_of_thread() == 0) {
        const double* const sums = a.nearest + static_cast<size_t>(image) * a.tiles;
        double sum = 0.0;
        for (int tile = lane_of_thread(); tile < a.tiles; tile += WARP) {
            sum = __dadd_rn(sum, sums[tile]);
        }
        sum = warp_sum(sum);
        if (lane_of_thread() == 0) {
            const float mean = static_cast<float>(__ddiv_rn(sum, static_cast<double>(grid_patches(a))));
            shared = __ddiv_rn(temperature, static_cast<double>(mean > NEAREST ? mean : NEAREST));
        }
    }
    __syncthreads();
    return shared;
}

// The weight before it is normalised: 1 at the least distance, 0 where it would be below LEAST_WEIGHT. Computed in double
// precision and rounded once.
AILURUS_DEVICE float unnormalised(double sharpness, float distance, float least_distance) {
    const double above = static_cast<double>(__fsub_rn(distance, least_distance));
    const float weight = static_cast<float>(exp(__dmul_rn(-sharpness, above)));
    return weight < LEAST_WEIGHT ? 0.0f : weight;
}

// Which patch or token of which image a warp works on; blocks do not go beyond their image.
struct WarpTask {
    int image;
    long long item;

    AILURUS_DEVICE WarpTask(long long items) {
        const int warps = static_cast<int>(blockDim.x) / WARP;
        const long long blocks = (items + warps - 1) / warps;
        image = static_cast<int>(blockIdx.x / blocks);
        item = blockIdx.x % blocks * warps + warp_of_thread();
    }
};

// A warp per patch: distances become weights that sum to one, added in the order of centres.
//
// Floor per image: reads and writes 4 N P, one double-precision exponential each (0.3 MB and 40 000 at N = 1600, P = 25):
// launch latency.
AILURUS_DEVICE void grid_weights(const GridArguments& a) {
    AILURUS_SHARED(double, shared);
    const WarpTask task(grid_patches(a));
    const double sharpness = sharpness_of(a, task.image, shared);
    if (task.item >= grid_patches(a)) {
        return;
    }
    const int lane = lane_of_thread();
    const int patch = static_cast<int>(task.item);
    const int count = window_of(a, patch).count();
    float* const row = a.around + (static_cast<size_t>(task.image) * grid_patches(a) + patch) * a.places;
    const float least_distance = warp_least_of(row, count);
    float sum = 0.0f;
    for (int base = 0; base < count; base += WARP) {
        const int place = base + lane;
        const float weight = place < count ? unnormalised(sharpness, row[place], least_distance) : 0.0f;
        sum = add_lanes(sum, weight, least(count - base, WARP));
        if (place < count) {
            row[place] = weight;
        }
    }
    for (int place = lane; place < count; place += WARP) {
        row[place] = __fdiv_rn(row[place], sum);
    }
}

// A warp per token, after the search: distances become weights and numbers of centres rows of z. Prefix and suffix tokens
// are rows of their own.
//
// Floor per image: reads and writes 8 T K: launch latency.
AILURUS_DEVICE void grid_finish(const GridArguments& a) {
    AILURUS_SHARED(double, shared);
    const long long tokens = static_cast<long long>(grid_tokens(a));
    const WarpTask task(tokens);
    const double sharpness = sharpness_of(a, task.image, shared);
    if (task.item >= tokens) {
        return;
    }
    const int lane = lane_of_thread();
    const long long patch = task.item - a.prefix;
    const size_t first = (static_cast<size_t>(task.image) * tokens + task.item) * a.choices;
    int* const index = a.index + first;
    float* const weight = a.weight + first;
    if (patch < 0 || patch >= grid_patches(a)) {
        const long long row = patch < 0 ? task.item : task.item - grid_patches(a) + grid_clusters(a);
        for (int k = lane; k < a.choices; k += WARP) {
            index[k] = static_cast<int>(row);
            weight[k] = k == 0 ? 1.0f : 0.0f;
        }
        return;
    }
    const float least_distance = weight[0];
    const float last = weight[least(a.neighbors, a.choices) - 1];
    // Lanes must have read these before others write.
    __syncwarp();
    float sum = 0.0f;
    for (int base = 0; base < a.choices; base += WARP) {
        const int k = base + lane;
        float w = 0.0f;
        if (k < a.choices) {
            const float d = weight[k];
            w = k < a.neighbors || d == last ? unnormalised(sharpness, d, least_distance) : 0.0f;
            weight[k] = w;
            index[k] += a.prefix;
        }
        sum = add_lanes(sum, a.squared_norm != 0 ? __fmul_rn(w, w) : w, least(a.choices - base, WARP));
    }
    const float divisor = a.squared_norm != 0 ? __fsqrt_rn(sum) : sum;
    for (int k = lane; k < a.choices; k += WARP) {
        weight[k] = __fdiv_rn(weight[k], divisor);
    }
}

}  // namespace ailurus
