// Squared mixed distances inside the windows, and the density they make.
#pragma once

#include "lanes.cuh"

namespace ailurus {

// Channels all warps of a block work on before any goes on to the next: what they read meanwhile (a tile of patches and
// its surroundings, about 100 rows of 64 channels) stays in the first-level cache.
constexpr int CHANNEL_STEP = 64;
// Mean of the smallest distances of a window, by one warp: `neighbors` times the least of those not yet taken, so that
// they are added in ascending order. `largest` becomes the largest that is below FAR, as bits.
AILURUS_DEVICE float mean_of_smallest(const float* window, int ranks, int neighbors, unsigned* largest) {
    const int lane = lane_of_thread();
    unsigned most = 0;
    for (int rank = 1 + lane; rank < ranks; rank += WARP) {
        const float e = window[rank];
        const unsigned bits = __float_as_uint(e);
        most = e < FAR && bits > most ? bits : most;
    }
    *largest = warp_largest(most);
    const int count = least(neighbors, ranks - 1);
    if (count <= 0) {
        return 0.0f;
    }
    float sum = 0.0f;
    // (bits of the distance, rank), one more than the last taken: rank 0 with distance 0 is below all.
    Wide from = 1;
    for (int taken = 0; taken < count; ++taken) {
        Wide next = ~Wide(0);
        for (int rank = 1 + lane; rank < ranks; rank += WARP) {
            const Wide key = static_cast<Wide>(__float_as_uint(window[rank])) << 32 | static_cast<unsigned>(rank);
            next = key >= from && key < next ? key : next;
        }
        next = warp_least(next);
        sum = __fadd_rn(sum, __uint_as_float(static_cast<unsigned>(next >> 32)));
        from = next + 1;
    }
    return __fdiv_rn(sum, static_cast<float>(count));
}

// A block handles a tile of 32 patches: 4 warps of 8 patches each, times the batches of ranks that run side by side
// (blockDim.x / 128, three for a window of 24). Four lanes share a patch; each holds 4 of the 16 partial sums of 8 ranks.
//
// Floor per image, e bytes an element: reads N d e, writes 4 N V; N (V - 1) d subtractions, products and additions,
// which must not be fused. At N = 1600, d = 64, V = 24, f16: 0.2 MB + 0.15 MB, 7 MFLOP: launch latency. At N = 16384,
// d = 1024: 34 MB + 1.6 MB, 1.2 GFLOP, about 40 us on a device of 30 T unfused operations a second, so arithmetic and
// not memory is the bound as long as neighbours' rows come from the first-level cache (tiles, CHANNEL_STEP).
template <class E, bool ALIGNED>
AILURUS_DEVICE void distances(const ailurus_density_peaks_arguments& a) {
    AILURUS_SHARED(unsigned, block_largest);
    using Bits = typename E::Bits;
    const int lane = lane_of_thread();
    const int warp = warp_of_thread();
    const int tile_rows = 1 << a.tile_shift;
    const int tile_columns = AILURUS_TILE >> a.tile_shift;
    const int tiles_x = (a.width + tile_columns - 1) / tile_columns;
    const int tiles = tiles_x * ((a.height + tile_rows - 1) / tile_rows);
    const int image = static_cast<int>(blockIdx.x) / tiles;
    const int tile = static_cast<int>(blockIdx.x) % tiles;
    const int patches = a.height * a.width;
    const int top = tile / tiles_x * tile_rows;
    const int left = tile % tiles_x * tile_columns;

    const int warps_of_tile = AILURUS_TILE / AILURUS_WARP_PATCHES;
    const int group = warp / warps_of_tile;
    const int groups = static_cast<int>(blockDim.x) / (WARP * warps_of_tile);
    const int slot = warp % warps_of_tile * AILURUS_WARP_PATCHES + lane / OWN_PARTS;
    const int part = lane % OWN_PARTS;
    const int y = top + slot / tile_columns;
    const int x = left + slot % tile_columns;
    const bool inside = y < a.height && x < a.width;
    // Lanes without a patch do some other's work and keep it to themselves: all must take part in exchanges.
    const int patch = inside ? y * a.width + x : 0;

    const size_t tokens = static_cast<size_t>(a.prefix) + patches + a.suffix;
    const Bits* const metric =
        static_cast<const Bits*>(a.metric) + (image * tokens + a.prefix) * static_cast<size_t>(a.channels);
    const Bits* const own_row = metric + static_cast<size_t>(patch) * a.channels;
    const unsigned* const window = a.windows + static_cast<size_t>(patch) * a.ranks;
    float* const table = a.distance + static_cast<size_t>(image) * patches * a.ranks;

    if (threadIdx.x == 0) {
        block_largest = 0;
    }
    const int step = groups * AILURUS_RANK_BATCH;
    for (int base = 1; base < a.ranks; base += step) {
        const int first = base + group * AILURUS_RANK_BATCH;
        unsigned row[AILURUS_RANK_BATCH];
        Sums sums;
        clear(sums);
#pragma unroll
        for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
            // Ranks beyond the last repeat it and are not written. The launcher sees to it that an image's elements
            // are counted in 32 bits: pointers would take twice the registers, and so half of the blocks.
            row[r] = window[least(first + r, a.ranks - 1)] * static_cast<unsigned>(a.channels);
        }
        for (int begin = 0; begin < a.channels; begin += CHANNEL_STEP) {
            if (first < a.ranks) {
                const int end = least(begin + CHANNEL_STEP, a.channels);
                for (int channel = begin; channel < end; channel += PARTS) {
                    const int at = channel + part * OWN_PARTS;
                    const Quad own = load_quad<E, ALIGNED>(own_row, at, a.channels);
#pragma unroll
                    for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
                        add_squares(sums[r], own, load_quad<E, ALIGNED>(metric + row[r], at, a.channels));
                    }
                }
            }
            __syncthreads();
        }
        float folded[FOLDED];
        fold(sums, part, folded);
#pragma unroll
        for (int r = 0; r < FOLDED; ++r) {
            const int rank = first + first_folded(part) + r;
            if (inside && rank < a.ranks) {
                const float e = __fmul_rn(folded[r], a.weights[rank]);
                // False for NaN too.
                table[static_cast<size_t>(patch) * a.ranks + rank] = e <= FAR ? e : FAR;
            }
        }
    }
    // Whole windows of this tile are written now, and visible to the block.
    __syncthreads();
    const int warps = static_cast<int>(blockDim.x) / WARP;
    unsigned largest = 0;
    for (int other = warp; other < AILURUS_TILE; other += warps) {
        const int row = top + other / tile_columns;
        const int column = left + other % tile_columns;
        if (row < a.height && column < a.width) {
            const int at = row * a.width + column;
            unsigned most;
            const float mean =
                mean_of_smallest(table + static_cast<size_t>(at) * a.ranks, a.ranks, a.neighbors, &most);
            largest = most > largest ? most : largest;
            if (lane == 0) {
                a.mean[static_cast<size_t>(image) * patches + at] = mean;
            }
        }
    }
    // The maximum is the same in whatever order it is taken. One addition per block to the image's word.
    if (lane == 0) {
        atomicMax(&block_largest, largest);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicMax(a.largest + image, block_largest);
    }
}

}  // namespace ailurus
