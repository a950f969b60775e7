// AilurusUnfold and AilurusUnfoldResidual: back to one row per token.
//
// Neighbouring threads take neighbouring 16 bytes of a token, several apart at a time so that loads overlap. Every
// index is brought into the rows there are before it is used: below them it counts as the first, above as the last.
#pragma once

#include "element.cuh"
#include "warp.cuh"

namespace ailurus {

// A token and the part of it that a thread works on.
struct Place {
    size_t token;      // among those of all images
    size_t first_row;  // the first row of its image
    int lane;
    int lanes;
    bool inside;
};

AILURUS_DEVICE Place place_of_thread(const ailurus_unfold_arguments& a) {
    const int teams = static_cast<int>(blockDim.x) >> a.lanes_shift;
    Place place;
    place.lanes = 1 << a.lanes_shift;
    place.lane = static_cast<int>(threadIdx.x) & (place.lanes - 1);
    place.token = static_cast<size_t>(blockIdx.x) * teams + (threadIdx.x >> a.lanes_shift);
    place.inside = place.token < static_cast<size_t>(a.batch) * a.tokens;
    place.first_row = place.token / a.tokens * static_cast<size_t>(a.rows);
    return place;
}

// The row that a token's k-th index names, among those of all images.
AILURUS_DEVICE size_t row_of(const ailurus_unfold_arguments& a, const Place& place, int k) {
    const int given = a.index[place.token * a.choices + k];
    return place.first_row + (given < 0 ? 0 : least(given, a.rows - 1));
}

// Loads that a thread has under way at a time.
constexpr int AHEAD = 4;

// Copies rows bit for bit, whatever the element type; a unit is 16, 4 or 2 bytes.
//
// Floor: reads 4 B T + B R D e, writes B T D e. At B = 8, T = 1601, D = 1024, keep 50 %, f16: 39 MB, 9 us at 4.3 TB/s.
template <class Unit>
AILURUS_DEVICE void unfold_copy(const ailurus_unfold_arguments& a) {
    const Place place = place_of_thread(a);
    if (!place.inside) {
        return;
    }
    const Unit* const from = static_cast<const Unit*>(a.z) + row_of(a, place, 0) * a.channels;
    Unit* const to = static_cast<Unit*>(a.y) + place.token * a.channels;
    const int step = AHEAD * place.lanes;
    for (int base = place.lane; base < a.channels; base += step) {
        Unit unit[AHEAD];
#pragma unroll
        for (int u = 0; u < AHEAD; ++u) {
            if (base + u * place.lanes < a.channels) {
                unit[u] = from[base + u * place.lanes];
            }
        }
#pragma unroll
        for (int u = 0; u < AHEAD; ++u) {
            if (base + u * place.lanes < a.channels) {
                to[base + u * place.lanes] = unit[u];
            }
        }
    }
}

// Weighted sums of K rows, in ascending order of k.
//
// Floor: reads 8 B T K + B R D e, writes B T D e; 2 B T K D operations. Rows are read K times, from cache if they fit.
template <class E, int N>
AILURUS_DEVICE void unfold_sum(const ailurus_unfold_arguments& a) {
    using Bits = typename E::Bits;
    const Place place = place_of_thread(a);
    if (!place.inside) {
        return;
    }
    const Bits* const z = static_cast<const Bits*>(a.z);
    const float* const weight = a.weight + place.token * a.choices;
    Bits* const y = static_cast<Bits*>(a.y) + place.token * a.channels;
    for (int c = place.lane * N; c < a.channels; c += place.lanes * N) {
        float sum[N];
#pragma unroll
        for (int i = 0; i < N; ++i) {
            sum[i] = 0.0f;
        }
#pragma unroll 4
        for (int k = 0; k < a.choices; ++k) {
            const Pack<E, N> row = load<E, N>(z, row_of(a, place, k) * a.channels + c);
            const float w = weight[k];
#pragma unroll
            for (int i = 0; i < N; ++i) {
                sum[i] = __fadd_rn(sum[i], __fmul_rn(w, row[i]));
            }
        }
        Pack<E, N> out;
#pragma unroll
        for (int i = 0; i < N; ++i) {
            out.set(i, sum[i]);
        }
        store<E, N>(y, static_cast<size_t>(c), out);
    }
}

// What a token's rows changed by, added to base and written.
template <class E, int N>
AILURUS_DEVICE void store_sum(typename E::Bits* y, int at, const Pack<E, N>& base, const float (&update)[N]) {
    Pack<E, N> out;
#pragma unroll
    for (int i = 0; i < N; ++i) {
        out.set(i, __fadd_rn(base[i], update[i]));
    }
    store<E, N>(y, static_cast<size_t>(at), out);
}

// One row per token. y may be base itself: every thread reads what it will overwrite, and nothing else of it.
template <class E, int N>
AILURUS_DEVICE void residual_of_row(const ailurus_unfold_arguments& a, const Place& place,
                                    const typename E::Bits* base, typename E::Bits* y) {
    using Bits = typename E::Bits;
    const size_t row = row_of(a, place, 0) * a.channels;
    const Bits* const z = static_cast<const Bits*>(a.z) + row;
    const Bits* const start = static_cast<const Bits*>(a.start) + row;
    // Three loads for each of them.
    const int ahead = AHEAD / 2;
    const int stride = place.lanes * N;
    for (int first = place.lane * N; first < a.channels; first += ahead * stride) {
        Pack<E, N> own[ahead];
        Pack<E, N> after[ahead];
        Pack<E, N> before[ahead];
#pragma unroll
        for (int u = 0; u < ahead; ++u) {
            const int at = first + u * stride;
            if (at < a.channels) {
                own[u] = load<E, N>(base, static_cast<size_t>(at));
                after[u] = load<E, N>(z, static_cast<size_t>(at));
                before[u] = load<E, N>(start, static_cast<size_t>(at));
            }
        }
#pragma unroll
        for (int u = 0; u < ahead; ++u) {
            const int at = first + u * stride;
            if (at < a.channels) {
                float update[N];
#pragma unroll
                for (int i = 0; i < N; ++i) {
                    update[i] = __fsub_rn(after[u][i], before[u][i]);
                }
                store_sum<E, N>(y, at, own[u], update);
            }
        }
    }
}

// K weighted rows per token, in ascending order of k.
template <class E, int N>
AILURUS_DEVICE void residual_of_rows(const ailurus_unfold_arguments& a, const Place& place,
                                     const typename E::Bits* base, typename E::Bits* y) {
    using Bits = typename E::Bits;
    const Bits* const z = static_cast<const Bits*>(a.z);
    const Bits* const start = static_cast<const Bits*>(a.start);
    const float* const weight = a.weight + place.token * a.choices;
    for (int c = place.lane * N; c < a.channels; c += place.lanes * N) {
        const Pack<E, N> own = load<E, N>(base, static_cast<size_t>(c));
        float update[N];
#pragma unroll
        for (int i = 0; i < N; ++i) {
            update[i] = 0.0f;
        }
#pragma unroll 2
        for (int k = 0; k < a.choices; ++k) {
            const size_t at = row_of(a, place, k) * a.channels + c;
            const Pack<E, N> after = load<E, N>(z, at);
            const Pack<E, N> before = load<E, N>(start, at);
            const float w = weight[k];
#pragma unroll
            for (int i = 0; i < N; ++i) {
                update[i] = __fadd_rn(update[i], __fmul_rn(w, __fsub_rn(after[i], before[i])));
            }
        }
        store_sum<E, N>(y, c, own, update);
    }
}

// base + (z - start) of the token's row, or of a weighted sum of rows; base is added last.
//
// Floor: reads 4 B T K + 2 B R D e + B T D e, writes B T D e. At B = 8, T = 1601, D = 1024, keep 50 %, f16: 79 MB, 18 us
// at 4.3 TB/s.
template <class E, int N>
AILURUS_DEVICE void unfold_residual(const ailurus_unfold_arguments& a) {
    using Bits = typename E::Bits;
    const Place place = place_of_thread(a);
    if (!place.inside) {
        return;
    }
    const Bits* const base = static_cast<const Bits*>(a.base) + place.token * a.channels;
    Bits* const y = static_cast<Bits*>(a.y) + place.token * a.channels;
    if (a.weight == nullptr) {
        residual_of_row<E, N>(a, place, base, y);
    } else {
        residual_of_rows<E, N>(a, place, base, y);
    }
}

}  // namespace ailurus
