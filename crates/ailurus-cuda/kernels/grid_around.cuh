// Distances of every patch to the centres that it looks at.
#pragma once

#include "grid_tile.cuh"

namespace ailurus {

struct AroundShared {
    float least_of[AILURUS_GRID_TILE];
};

// Floor per image, e bytes an element, P places (25 for a window of 5): reads N C e + 4 M C, writes 4 N P; N P C
// differences, products and additions, which must not be fused. At N = 1600, M = 400, C = 1024, f16: 3.3 MB + 1.6 MB +
// 0.2 MB and 123 M operations; with B = 8, 1.0 G, some 33 us on a device of 30 T unfused operations a second: arithmetic
// is the bound, not memory.
template <class E, bool ALIGNED>
AILURUS_DEVICE void grid_around(const GridArguments& a) {
    AILURUS_SHARED(AroundShared, shared);
    const Tile tile(a, static_cast<int>(blockIdx.x));
    const Share share;
    const Comparison<E> own(a, tile, share);
    float* const table = a.around + static_cast<size_t>(tile.image) * grid_patches(a) * a.places;
    for (int base = 0; base < a.places; base += GRID_STEP) {
        const int first = base + share.group * AILURUS_RANK_BATCH;
        unsigned row[AILURUS_RANK_BATCH];
#pragma unroll
        for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
            // Places beyond the last repeat it and are not written.
            const int centre = own.window.centre(least(first + r, own.window.count() - 1), a.cluster_width);
            row[r] = static_cast<unsigned>(centre) * static_cast<unsigned>(a.stride);
        }
        Sums sums;
        const int count = least(a.places - first, AILURUS_RANK_BATCH);
        distances_to_centres<E, ALIGNED, false>(a, own, row, count, share.part, FARTHEST, sums);
        float folded[FOLDED];
        fold(sums, share.part, folded);
#pragma unroll
        for (int r = 0; r < FOLDED; ++r) {
            const int place = first + first_folded(share.part) + r;
            if (own.patch >= 0 && place < own.window.count()) {
                table[static_cast<size_t>(own.patch) * a.places + place] = folded[r];
            }
        }
    }
    // Whole rows of this tile are written now, and visible to the block.
    __syncthreads();
    for (int slot = warp_of_thread(); slot < AILURUS_GRID_TILE; slot += GRID_WARPS) {
        const int at = tile.patch(a, slot);
        if (at >= 0) {
            const float d = warp_least_of(table + static_cast<size_t>(at) * a.places, window_of(a, at).count());
            if (lane_of_thread() == 0) {
                shared.least_of[slot] = d;
            }
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        store_sum_of_least(a, tile, shared.least_of);
    }
}

}  // namespace ailurus
