// Centres as weighted means of the patches that look at them.
#pragma once

#include "grid_rows.cuh"
#include "grid_weights.cuh"

namespace ailurus {

// Centres of a tile, 2 x 2: most patches that look at one of them look at the others too, so that they are read for
// four centres at once.
constexpr int CENTRE_SIDE = 2;
constexpr int CENTRES = CENTRE_SIDE * CENTRE_SIDE;

// The weights of a patch for the centres of a tile, 0 for those it does not look at. Read by one instruction.
struct alignas(16) Weights {
    float of[CENTRES];
};

// What a block of the update shares: some patches and their weights.
struct Lookers {
    Weights weights[AILURUS_GRID_LOOKERS];
    int patch[AILURUS_GRID_LOOKERS];
};

// The patches that look at one of the centres of a tile: a rectangle.
struct Region {
    int centre_row;
    int centre_column;
    int top;
    int left;
    int columns;
    int count;

    AILURUS_DEVICE Region(const GridArguments& a, int tile) {
        const int wide = (a.cluster_width + CENTRE_SIDE - 1) / CENTRE_SIDE;
        centre_row = tile / wide * CENTRE_SIDE;
        centre_column = tile % wide * CENTRE_SIDE;
        // The last of the centres, or one beyond the grid: its patches are those of the last on the grid.
        const int below = centre_row + CENTRE_SIDE + a.radius;
        const int beside = centre_column + CENTRE_SIDE + a.radius;
        top = first_patch_of(centre_row - a.radius, a.row_scale, a.cluster_height, a.height);
        left = first_patch_of(centre_column - a.radius, a.column_scale, a.cluster_width, a.width);
        columns = first_patch_of(beside, a.column_scale, a.cluster_width, a.width) - left;
        count = (first_patch_of(below, a.row_scale, a.cluster_height, a.height) - top) * columns;
    }
};

// Lists the patches from `base` on, a thread each.
AILURUS_DEVICE void list_lookers(const GridArguments& a, int image, const Region& region, int base, Lookers& lookers) {
    const int thread = static_cast<int>(threadIdx.x);
    const int member = base + thread;
    if (member >= region.count) {
        return;
    }
    const int y = region.top + member / region.columns;
    const int x = region.left + member % region.columns;
    const int patch = y * a.width + x;
    const Window window = window_of(a, patch);
    const float* const row = a.around + (static_cast<size_t>(image) * grid_patches(a) + patch) * a.places;
    lookers.patch[thread] = patch;
    for (int c = 0; c < CENTRES; ++c) {
        const int place = window.place(region.centre_row + c / CENTRE_SIDE, region.centre_column + c % CENTRE_SIDE);
        lookers.weights[thread].of[c] = place < 0 ? 0.0f : row[place];
    }
}

// A block makes four centres, 512 channels of them: four channels a thread.
//
// Patches are added in ascending order. One that does not look at a centre has the weight 0 there and adds nothing: all
// numbers are finite, and no sum that begins with 0 becomes -0.
//
// Floor per image: reads N C e + 4 N P, writes 4 M C; N P C products and additions. At N = 1600, P = 25, C = 1024, f16:
// 3.3 MB + 0.2 MB + 1.6 MB and 82 M operations; with B = 8, 0.66 G, some 22 us on a device of 30 T unfused operations a
// second. The tile costs 36 cells' patches instead of 25, and reads them 9 times from cache instead of 25.
template <class E, bool ALIGNED>
AILURUS_DEVICE void grid_update(const GridArguments& a) {
    AILURUS_SHARED(Lookers, lookers);
    using Bits = typename E::Bits;
    const int tiles = ((a.cluster_height + CENTRE_SIDE - 1) / CENTRE_SIDE) *
                      ((a.cluster_width + CENTRE_SIDE - 1) / CENTRE_SIDE);
    const int chunk_channels = AILURUS_GRID_LOOKERS * OWN_PARTS;
    const int chunks = (a.stride + chunk_channels - 1) / chunk_channels;
    const int block = static_cast<int>(blockIdx.x);
    const Region region(a, block % tiles);
    const int chunk = block / tiles % chunks;
    const int image = block / tiles / chunks;
    const int channel = chunk * chunk_channels + static_cast<int>(threadIdx.x) * OWN_PARTS;
    const Bits* const patches = patches_of<E>(a, image);
    float sums[CENTRES][OWN_PARTS];
    float totals[CENTRES];
#pragma unroll
    for (int c = 0; c < CENTRES; ++c) {
        totals[c] = 0.0f;
#pragma unroll
        for (int p = 0; p < OWN_PARTS; ++p) {
            sums[c][p] = 0.0f;
        }
    }
    for (int base = 0; base < region.count; base += AILURUS_GRID_LOOKERS) {
        list_lookers(a, image, region, base, lookers);
        __syncthreads();
        const int listed = channel < a.stride ? least(region.count - base, AILURUS_GRID_LOOKERS) : 0;
#pragma unroll 4
        for (int i = 0; i < listed; ++i) {
            const Weights weights = lookers.weights[i];
            const Quad x = load_patch<E, ALIGNED>(patches + static_cast<size_t>(lookers.patch[i]) * a.channels, channel,
                                                  a.channels);
#pragma unroll
            for (int c = 0; c < CENTRES; ++c) {
                totals[c] = __fadd_rn(totals[c], weights.of[c]);
#pragma unroll
                for (int p = 0; p < OWN_PARTS; ++p) {
                    sums[c][p] = __fadd_rn(sums[c][p], __fmul_rn(weights.of[c], x.v[p]));
                }
            }
        }
        __syncthreads();
    }
    if (channel >= a.stride) {
        return;
    }
#pragma unroll
    for (int c = 0; c < CENTRES; ++c) {
        const int row = region.centre_row + c / CENTRE_SIDE;
        const int column = region.centre_column + c % CENTRE_SIDE;
        if (row < a.cluster_height && column < a.cluster_width) {
            const float total = totals[c] > LEAST_WEIGHT ? totals[c] : LEAST_WEIGHT;
            float mean[OWN_PARTS];
#pragma unroll
            for (int p = 0; p < OWN_PARTS; ++p) {
                mean[p] = __fdiv_rn(sums[c][p], total);
            }
            store_centre<E, ALIGNED>(a, image, row * a.cluster_width + column, channel, mean);
        }
    }
}

}  // namespace ailurus
