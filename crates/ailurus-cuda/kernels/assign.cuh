// Which anchor every patch joins.
#pragma once

#include "warp.cuh"

namespace ailurus {

// The spatially nearest anchor, ties to the lower index; by one warp, over all anchors.
//
// The number squared distance * N + patch orders by distance, then index; it fits in 64 bits for N up to 2^20.
// Plain, and cheap enough: M / 32 steps for the few patches without an anchor in their window if M is large, and few
// steps for many patches if M is small. All 16384 patches and 8192 anchors: 4 M steps of a warp, about 50 us.
AILURUS_DEVICE unsigned nearest_anchor(const ailurus_density_peaks_arguments& a, const int* anchor, int patch) {
    const Wide patches = static_cast<Wide>(a.height) * a.width;
    const int y = patch / a.width;
    const int x = patch % a.width;
    Wide nearest = ~Wide(0);
    for (int m = lane_of_thread(); m < a.clusters; m += WARP) {
        const int at = anchor[m] - a.prefix;
        const long long dy = at / a.width - y;
        const long long dx = at % a.width - x;
        const Wide key = static_cast<Wide>(dy * dy + dx * dx) * patches + static_cast<Wide>(at);
        nearest = key < nearest ? key : nearest;
    }
    return static_cast<unsigned>(warp_least(nearest) % patches);
}

// A warp per patch: the anchor of its window with the least distance, ties to the lower index.
//
// Floor per image: reads 8 N V (anchors none), gathers 4 N V from cache, writes 4 N, counts N members (0.3 MB at
// N = 1600, V = 24).
AILURUS_DEVICE void assign(const ailurus_density_peaks_arguments& a) {
    const int lane = lane_of_thread();
    const int patches = a.height * a.width;
    const Wide at = static_cast<Wide>(blockIdx.x) * (blockDim.x / WARP) + warp_of_thread();
    if (at >= static_cast<Wide>(a.batch) * patches) {
        return;
    }
    const int image = static_cast<int>(at / patches);
    const int patch = static_cast<int>(at % patches);
    const size_t tokens = static_cast<size_t>(a.prefix) + patches + a.suffix;
    const size_t row_count = static_cast<size_t>(a.prefix) + a.clusters + a.suffix;
    const int* const row = a.row + static_cast<size_t>(image) * patches;
    int joins = row[patch];
    if (joins < 0) {
        const unsigned* const window = a.windows + static_cast<size_t>(patch) * a.ranks;
        const float* const distance = a.distance + static_cast<size_t>(at) * a.ranks;
        Wide best = ~Wide(0);
        for (int rank = 1 + lane; rank < a.ranks; rank += WARP) {
            const unsigned other = window[rank];
            if (row[other] >= 0) {
                const Wide key = static_cast<Wide>(__float_as_uint(distance[rank])) << 32 | other;
                best = key < best ? key : best;
            }
        }
        best = warp_least(best);
        const unsigned anchor = best != ~Wide(0) ? static_cast<unsigned>(best)
                                                 : nearest_anchor(a, a.anchor + image * row_count + a.prefix, patch);
        joins = row[anchor];
    }
    if (lane == 0) {
        a.index[image * tokens + a.prefix + patch] = a.prefix + joins;
        // Counts are whole numbers below 2^24: exact in f32, in whatever order they are added.
        atomicAdd(a.size + image * row_count + a.prefix + joins, 1.0f);
    }
}

}  // namespace ailurus
