// The nearest of all centres to every patch.
#pragma once

#include "grid_tile.cuh"

namespace ailurus {

// What a block of the search shares.
struct SearchShared {
    float distance[AILURUS_GRID_TILE][GRID_STEP];
    // Beyond this distance nothing is among the nearest any more.
    float limit[AILURUS_GRID_TILE];
    float least_of[AILURUS_GRID_TILE];
};

// Distances are added in another order where a warp looks how far they have come: that differs by less than 9 roundings.
constexpr float LIMIT_MARGIN = 1.000002f;

// The nearest centres of a patch, in the order of (distance, number), as keys. They are kept where the results will be:
// distances for weights, numbers of centres for rows of z. One warp looks after a list.
struct Nearest {
    int* index;
    float* weight;
    int choices;

    AILURUS_DEVICE static Wide key(float distance, unsigned centre) {
        // Distances are not negative, so their bits order as they do.
        return static_cast<Wide>(__float_as_uint(distance)) << 32 | centre;
    }
    AILURUS_DEVICE Wide at(int k) const {
        return key(weight[k], static_cast<unsigned>(index[k]));
    }
    // Nothing yet: farther than every centre.
    AILURUS_DEVICE void clear() const {
        for (int k = lane_of_thread(); k < choices; k += WARP) {
            weight[k] = FARTHEST;
            index[k] = 0x7fffffff;
        }
        __syncwarp();
    }
    // Puts a centre in its place; the last one goes. From the end, so that what is moved up has been read.
    AILURUS_DEVICE void insert(Wide added) const {
        for (int base = (choices - 1) / WARP * WARP; base >= 0; base -= WARP) {
            const int k = base + lane_of_thread();
            const bool inside = k < choices;
            const Wide own = inside ? at(k) : 0;
            const Wide before = inside && k > 0 ? at(k - 1) : 0;
            const bool moves = inside && own > added;
            const unsigned moving = __ballot_sync(ALL_LANES, moves);
            // All have read before any writes.
            __syncwarp();
            if (moves) {
                const Wide value = before > added ? before : added;
                weight[k] = __uint_as_float(static_cast<unsigned>(value >> 32));
                index[k] = static_cast<int>(static_cast<unsigned>(value));
            }
            __syncwarp();
            if ((moving & 1u) == 0) {
                return;
            }
        }
    }
};

AILURUS_DEVICE Nearest nearest_of(const GridArguments& a, int image, int patch) {
    const size_t first = (image * grid_tokens(a) + a.prefix + patch) * static_cast<size_t>(a.choices);
    return Nearest{a.index + first, a.weight + first, a.choices};
}

// Takes those of 32 centres, one per lane, that are among the nearest. `centre` is -1 for none.
AILURUS_DEVICE void take(const Nearest& nearest, float distance, int centre) {
    const Wide key = Nearest::key(distance, static_cast<unsigned>(centre));
    bool pending = centre >= 0;
    for (;;) {
        pending = pending && key < nearest.at(nearest.choices - 1);
        const unsigned votes = __ballot_sync(ALL_LANES, pending);
        if (votes == 0) {
            return;
        }
        const int first = __popc((votes & (0u - votes)) - 1);
        nearest.insert(__shfl_sync(ALL_LANES, key, first));
        pending = pending && lane_of_thread() != first;
    }
}

// The centre at a place of a step: first those around the patch's cell, among which the nearest mostly are, so that most
// of the others can be given up early; then all, where those of the window are passed over. -1 for none.
struct Step {
    bool around;
    int base;

    AILURUS_DEVICE Step(const GridArguments& a, int number) {
        const int first = (a.places + GRID_STEP - 1) / GRID_STEP;
        around = number < first;
        base = (around ? number : number - first) * GRID_STEP;
    }
    AILURUS_DEVICE static int count(const GridArguments& a) {
        return (a.places + GRID_STEP - 1) / GRID_STEP + (grid_clusters(a) + GRID_STEP - 1) / GRID_STEP;
    }
    AILURUS_DEVICE int end(const GridArguments& a) const {
        return around ? a.places : grid_clusters(a);
    }
    AILURUS_DEVICE int centre(const GridArguments& a, const Window& window, int offset) const {
        const int at = base + offset;
        if (around) {
            return at < window.count() ? window.centre(at, a.cluster_width) : -1;
        }
        const bool taken = window.place(at / a.cluster_width, at % a.cluster_width) >= 0;
        return at < grid_clusters(a) && !taken ? at : -1;
    }
};

// Keeps the K nearest centres of every patch while it goes through all of them.
//
// Floor per image: reads N C e + 4 M C, writes 8 N K; at most N M C differences, products and additions, which must not
// be fused, and at least the N P C of windows. At N = 1600, M = 400, C = 1024: 2.0 G operations at most; with B = 8, 16 G,
// some 0.5 ms on a device of 30 T unfused operations a second. How much of it is given up depends on the image.
template <class E, bool ALIGNED>
AILURUS_DEVICE void grid_search(const GridArguments& a) {
    AILURUS_SHARED(SearchShared, shared);
    const Tile tile(a, static_cast<int>(blockIdx.x));
    const Share share;
    const Comparison<E> own(a, tile, share);
    for (int slot = warp_of_thread(); slot < AILURUS_GRID_TILE; slot += GRID_WARPS) {
        const int at = tile.patch(a, slot);
        if (at >= 0) {
            nearest_of(a, tile.image, at).clear();
        }
        if (lane_of_thread() == 0) {
            // Patches that are not there have all they want.
            shared.limit[slot] = at < 0 ? -1.0f : FARTHEST;
        }
    }
    __syncthreads();
    for (int number = 0; number < Step::count(a); ++number) {
        const Step step(a, number);
        const int offset = share.group * AILURUS_RANK_BATCH;
        unsigned row[AILURUS_RANK_BATCH];
#pragma unroll
        for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
            // Places without a centre repeat one, and are not taken.
            const int last = (step.around ? own.window.count() : grid_clusters(a)) - 1;
            const int at = least(step.base + offset + r, last);
            const int centre = step.around ? own.window.centre(at, a.cluster_width) : at;
            row[r] = static_cast<unsigned>(centre) * static_cast<unsigned>(a.stride);
        }
        Sums sums;
        const int count = least(step.end(a) - step.base - offset, AILURUS_RANK_BATCH);
        const float limit = shared.limit[share.slot];
        distances_to_centres<E, ALIGNED, true>(a, own, row, count, share.part, limit, sums);
        float folded[FOLDED];
        fold(sums, share.part, folded);
#pragma unroll
        for (int r = 0; r < FOLDED; ++r) {
            shared.distance[share.slot][offset + first_folded(share.part) + r] = folded[r];
        }
        __syncthreads();
        for (int slot = warp_of_thread(); slot < AILURUS_GRID_TILE; slot += GRID_WARPS) {
            const int at = tile.patch(a, slot);
            if (at >= 0) {
                const Nearest nearest = nearest_of(a, tile.image, at);
                take(nearest, shared.distance[slot][lane_of_thread()],
                     step.centre(a, window_of(a, at), lane_of_thread()));
                if (lane_of_thread() == 0) {
                    shared.limit[slot] = __fmul_rn(nearest.weight[a.choices - 1], LIMIT_MARGIN);
                    shared.least_of[slot] = nearest.weight[0];
                }
            }
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        store_sum_of_least(a, tile, shared.least_of);
    }
}

}  // namespace ailurus
