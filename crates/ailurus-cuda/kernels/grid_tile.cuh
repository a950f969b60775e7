// A block that compares a tile of neighbouring patches with centres: what looking around and searching have in common.
//
// 16 patches, two warps of 8 each, times four groups of warps that work on 8 centres each at a time: 32 centres in a
// step. Four lanes share a patch; each holds 4 of the 16 partial sums of 8 distances.
#pragma once

#include "grid_rows.cuh"

namespace ailurus {

// Channels all warps of a block work on before any goes on to the next: what they read meanwhile (16 patches and at most
// 64 centres, 40 KB) stays in the first-level cache.
constexpr int GRID_CHANNEL_STEP = 128;

constexpr int GRID_WARPS_OF_TILE = AILURUS_GRID_TILE / AILURUS_WARP_PATCHES;
constexpr int GRID_WARPS = GRID_WARPS_OF_TILE * AILURUS_GRID_GROUPS;
// Centres in a step.
constexpr int GRID_STEP = AILURUS_GRID_GROUPS * AILURUS_RANK_BATCH;
static_assert(GRID_STEP == WARP, "a lane looks at one distance of a patch");
static_assert(AILURUS_GRID_TILE % GRID_WARPS == 0, "a warp looks after whole patches");

// A tile of patches of one image.
struct Tile {
    int image;
    int number;
    int top;
    int left;
    int columns;

    AILURUS_DEVICE Tile(const GridArguments& a, int block) {
        const int rows = 1 << a.tile_shift;
        columns = AILURUS_GRID_TILE >> a.tile_shift;
        const int wide = (a.width + columns - 1) / columns;
        image = block / a.tiles;
        number = block % a.tiles;
        top = number / wide * rows;
        left = number % wide * columns;
    }
    // The patch of a slot, -1 beyond the grid.
    AILURUS_DEVICE int patch(const GridArguments& a, int slot) const {
        const int y = top + slot / columns;
        const int x = left + slot % columns;
        return y < a.height && x < a.width ? y * a.width + x : -1;
    }
};

// The part of a tile that a thread works on.
struct Share {
    int group;
    int slot;
    int part;

    AILURUS_DEVICE Share() {
        const int warp = warp_of_thread();
        const int lane = lane_of_thread();
        group = warp / GRID_WARPS_OF_TILE;
        slot = warp % GRID_WARPS_OF_TILE * AILURUS_WARP_PATCHES + lane / OWN_PARTS;
        part = lane % OWN_PARTS;
    }
};

// What a thread compares with centres: its patch, and where that and the centres lie.
template <class E>
struct Comparison {
    int patch;  // -1 for none
    Window window;
    const F32::Bits* centres;
    const typename E::Bits* own_row;

    AILURUS_DEVICE Comparison(const GridArguments& a, const Tile& tile, const Share& share) {
        patch = tile.patch(a, share.slot);
        // Lanes without a patch do some other's work and keep it to themselves: all must take part in exchanges.
        const int some = patch < 0 ? 0 : patch;
        window = window_of(a, some);
        centres = centres_of(a, tile.image);
        own_row = patches_of<E>(a, tile.image) + static_cast<size_t>(some) * a.channels;
    }
};

// Whether the first `count` distances of all patches of this warp are beyond the limits of their patches, by what has
// been added so far: sums of squares only grow. They are added in another order here, which the limits allow for.
AILURUS_DEVICE bool all_beyond(const Sums& sums, int count, float limit) {
    bool beyond = true;
#pragma unroll
    for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
        float sum = __fadd_rn(__fadd_rn(sums[r][0], sums[r][1]), __fadd_rn(sums[r][2], sums[r][3]));
        sum = __fadd_rn(sum, __shfl_xor_sync(ALL_LANES, sum, 1));
        sum = __fadd_rn(sum, __shfl_xor_sync(ALL_LANES, sum, 2));
        beyond = beyond && (r >= count || sum > limit);
    }
    return __ballot_sync(ALL_LANES, beyond) == ALL_LANES;
}

// Adds up the distances between a thread's patch and the centres that begin at the elements `row`. The first `count`, the same number
// for the whole warp, are wanted. If there are limits, a warp stops when all its distances are beyond them; what it then has
// added up is beyond them, too. All threads of the block take part.
template <class E, bool ALIGNED, bool LIMITED>
AILURUS_DEVICE void distances_to_centres(const GridArguments& a, const Comparison<E>& own,
                                         const unsigned (&row)[AILURUS_RANK_BATCH], int count, int part, float limit,
                                         Sums& sums) {
    clear(sums);
    bool done = count <= 0;
    for (int begin = 0; begin < a.channels; begin += GRID_CHANNEL_STEP) {
        if (!done) {
            const int end = least(begin + GRID_CHANNEL_STEP, a.channels);
            for (int channel = begin; channel < end; channel += PARTS) {
                const int at = channel + part * OWN_PARTS;
                const Quad patch = load_patch<E, ALIGNED>(own.own_row, at, a.channels);
#pragma unroll
                for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
                    if (r < count) {
                        add_squares(sums[r], patch, load_quad<F32, true>(own.centres + row[r], at, a.stride));
                    }
                }
            }
            done = LIMITED && all_beyond(sums, count, limit);
        }
        __syncthreads();
    }
}

// Sum of the least distances of the patches of a tile, by one thread, in the order of slots.
AILURUS_DEVICE void store_sum_of_least(const GridArguments& a, const Tile& tile, const float (&least_of)[AILURUS_GRID_TILE]) {
    double sum = 0.0;
    for (int slot = 0; slot < AILURUS_GRID_TILE; ++slot) {
        if (tile.patch(a, slot) >= 0) {
            sum = __dadd_rn(sum, static_cast<double>(least_of[slot]));
        }
    }
    a.nearest[static_cast<size_t>(tile.image) * a.tiles + tile.number] = sum;
}

}  // namespace ailurus
