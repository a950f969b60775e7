// Sums of squared differences over four neighbouring lanes, in the order that docs/operators.md fixes: channel c is added
// to partial sum c mod 16, and the 16 partial sums are folded in halves (8, 4, 2, 1).
#pragma once

#include "element.cuh"
#include "warp.cuh"

namespace ailurus {

// Partial sums of a distance.
constexpr int PARTS = 16;
// A thread holds four of them: lane l of the four those of the channels 4 l to 4 l + 3 of every sixteen.
constexpr int OWN_PARTS = 4;

struct Quad {
    float v[OWN_PARTS];
};

// The partial sums of several distances of one patch.
using Sums = float[AILURUS_RANK_BATCH][OWN_PARTS];

// Four channels from `channel` on; zero beyond the last, which adds nothing to a sum of squares.
template <class E, bool ALIGNED>
AILURUS_DEVICE Quad load_quad(const typename E::Bits* row, int channel, int channels) {
    Quad quad = {{0.0f, 0.0f, 0.0f, 0.0f}};
    if (ALIGNED) {
        if (channel < channels) {
            const Pack<E, OWN_PARTS> pack = load<E, OWN_PARTS>(row, static_cast<size_t>(channel));
            for (int p = 0; p < OWN_PARTS; ++p) {
                quad.v[p] = pack[p];
            }
        }
    } else {
        for (int p = 0; p < OWN_PARTS; ++p) {
            if (channel + p < channels) {
                quad.v[p] = E::widen(row[channel + p]);
            }
        }
    }
    return quad;
}

AILURUS_DEVICE void clear(Sums& sums) {
#pragma unroll
    for (int r = 0; r < AILURUS_RANK_BATCH; ++r) {
#pragma unroll
        for (int p = 0; p < OWN_PARTS; ++p) {
            sums[r][p] = 0.0f;
        }
    }
}

AILURUS_DEVICE void add_squares(float (&sums)[OWN_PARTS], const Quad& a, const Quad& b) {
#pragma unroll
    for (int p = 0; p < OWN_PARTS; ++p) {
        const float difference = __fsub_rn(a.v[p], b.v[p]);
        sums[p] = __fadd_rn(sums[p], __fmul_rn(difference, difference));
    }
}

// Exchanges half of what two lanes hold and adds: afterwards each of them has summed half of the ranks.
template <int RANKS>
AILURUS_DEVICE void fold_over_lanes(Sums& sums, int distance, bool upper) {
#pragma unroll
    for (int r = 0; r < RANKS / 2; ++r) {
#pragma unroll
        for (int p = 0; p < OWN_PARTS; ++p) {
            const float give = upper ? sums[r][p] : sums[r + RANKS / 2][p];
            const float keep = upper ? sums[r + RANKS / 2][p] : sums[r][p];
            sums[r][p] = __fadd_rn(keep, __shfl_xor_sync(ALL_LANES, give, distance));
        }
    }
}

// What a lane has in the end: the sums of this many ranks, from `first_folded` on.
constexpr int FOLDED = AILURUS_RANK_BATCH / OWN_PARTS;

AILURUS_DEVICE int first_folded(int part) {
    return (part >> 1) * (AILURUS_RANK_BATCH / 2) + (part & 1) * (AILURUS_RANK_BATCH / 4);
}

// Folds the 16 parts in halves: parts 8 apart lie two lanes apart, parts 4 apart in the next lane.
AILURUS_DEVICE void fold(Sums& sums, int part, float (&folded)[FOLDED]) {
    fold_over_lanes<AILURUS_RANK_BATCH>(sums, 2, (part & 2) != 0);
    fold_over_lanes<AILURUS_RANK_BATCH / 2>(sums, 1, (part & 1) != 0);
#pragma unroll
    for (int r = 0; r < FOLDED; ++r) {
        const float even = __fadd_rn(sums[r][0], sums[r][2]);
        const float odd = __fadd_rn(sums[r][1], sums[r][3]);
        folded[r] = __fadd_rn(even, odd);
    }
}

}  // namespace ailurus
