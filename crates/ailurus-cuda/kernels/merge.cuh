// AilurusMerge: one row per cluster, the mean of its members.
#pragma once

#include "element.cuh"
#include "warp.cuh"

namespace ailurus {

// What a block of the merge kernel shares: the members of its rows.
struct Members {
    int count[AILURUS_MERGE_ROWS];
    int token[AILURUS_MERGE_ROWS][AILURUS_MERGE_SLOTS];
};

// Finds the members of the rows from `first` on. Counts are right for all rows; of rows with more members than slots
// the list is not complete. Members arrive in any order and are then put in the order of tokens.
AILURUS_DEVICE void list_members(Members& members, const int* index, int tokens, int first, int rows) {
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    for (int row = thread; row < rows; row += threads) {
        members.count[row] = 0;
    }
    __syncthreads();
#pragma unroll 4
    for (int t = thread; t < tokens; t += threads) {
        const int row = index[t] - first;
        if (row >= 0 && row < rows) {
            const int slot = atomicAdd(&members.count[row], 1);
            if (slot < AILURUS_MERGE_SLOTS) {
                members.token[row][slot] = t;
            }
        }
    }
    __syncthreads();
    // The place of a member is the number of members before it. A warp per row: all read, then all write.
    const int lane = lane_of_thread();
    for (int row = warp_of_thread(); row < rows; row += threads / WARP) {
        const int count = members.count[row];
        if (count > 1 && count <= AILURUS_MERGE_SLOTS) {
            int* const list = members.token[row];
            const int low = lane < count ? list[lane] : 0;
            const int high = lane + WARP < count ? list[lane + WARP] : 0;
            int low_place = 0;
            int high_place = 0;
            for (int other = 0; other < count; ++other) {
                low_place += list[other] < low ? 1 : 0;
                high_place += list[other] < high ? 1 : 0;
            }
            __syncwarp();
            if (lane < count) {
                list[low_place] = low;
            }
            if (lane + WARP < count) {
                list[high_place] = high;
            }
        }
    }
    __syncthreads();
}

static_assert(AILURUS_MERGE_SLOTS == 2 * WARP, "a lane sorts two members of a row");

template <class E, int N>
AILURUS_DEVICE void add_pack(float (&sum)[N], const Pack<E, N>& pack) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
        sum[i] = __fadd_rn(sum[i], pack[i]);
    }
}

// Adds the members of a row in the order of tokens, several loads under way at a time.
template <class E, int N>
AILURUS_DEVICE void add_listed(float (&sum)[N], const typename E::Bits* x, size_t channels, const int* token, int count) {
    const int ahead = 4;
    for (int m = 0; m < count; m += ahead) {
        Pack<E, N> pack[ahead];
#pragma unroll
        for (int u = 0; u < ahead; ++u) {
            if (m + u < count) {
                pack[u] = load<E, N>(x, static_cast<size_t>(token[m + u]) * channels);
            }
        }
#pragma unroll
        for (int u = 0; u < ahead; ++u) {
            if (m + u < count) {
                add_pack<E, N>(sum, pack[u]);
            }
        }
    }
}

// The same for a row with more members than fit the list: a walk over the index. Such rows are few, as they are large.
template <class E, int N>
AILURUS_DEVICE void add_searched(float (&sum)[N], const typename E::Bits* x, size_t channels, const int* index,
                                 int tokens, int row) {
    for (int t = 0; t < tokens; ++t) {
        if (index[t] == row) {
            add_pack<E, N>(sum, load<E, N>(x, static_cast<size_t>(t) * channels));
        }
    }
}

// A block makes `block_rows` rows of one image: it reads the image's whole index once, lists the members of its rows in
// shared memory, and adds them up, 16 bytes of a row per thread. No workspace, one launch. An index that names no row
// belongs to none and is passed over.
//
// Floor: reads B T D e, writes B R D e; N D additions. At B = 8, T = 1601, D = 1024, keep 50 %, f16: 39 MB, 9 us at
// 4.3 TB/s. The index is read R / block_rows times from the second-level cache, at most 4 T / block_rows bytes per row
// made, against D e (T / R + 1) of tokens and row: 0.8 KB to 6 KB here. The launcher makes blocks larger for long
// sequences, which keeps this share.
template <class E, int N>
AILURUS_DEVICE void merge(const ailurus_merge_arguments& a) {
    using Bits = typename E::Bits;
    AILURUS_SHARED(Members, members);
    const int blocks = (a.rows + a.block_rows - 1) / a.block_rows;
    const int image = static_cast<int>(blockIdx.x) / blocks;
    const int first = static_cast<int>(blockIdx.x) % blocks * a.block_rows;
    const int rows = least(a.block_rows, a.rows - first);
    const int* const index = a.index + static_cast<size_t>(image) * a.tokens;
    list_members(members, index, a.tokens, first, rows);

    const int lanes = 1 << a.lanes_shift;
    const int lane = static_cast<int>(threadIdx.x) & (lanes - 1);
    const int teams = static_cast<int>(blockDim.x) >> a.lanes_shift;
    const size_t channels = static_cast<size_t>(a.channels);
    const Bits* const x = static_cast<const Bits*>(a.x) + static_cast<size_t>(image) * a.tokens * channels;
    for (int r = static_cast<int>(threadIdx.x) >> a.lanes_shift; r < rows; r += teams) {
        const size_t row = static_cast<size_t>(image) * a.rows + first + r;
        const float given = a.size[row];
        const float divisor = given > 1.0f ? given : 1.0f;  // one for NaN too
        Bits* const y = static_cast<Bits*>(a.y) + row * channels;
        const int count = members.count[r];
        for (int c = lane * N; c < a.channels; c += lanes * N) {
            float sum[N];
#pragma unroll
            for (int i = 0; i < N; ++i) {
                sum[i] = 0.0f;
            }
            if (count <= AILURUS_MERGE_SLOTS) {
                add_listed<E, N>(sum, x + c, channels, members.token[r], count);
            } else {
                add_searched<E, N>(sum, x + c, channels, index, a.tokens, first + r);
            }
            Pack<E, N> mean;
#pragma unroll
            for (int i = 0; i < N; ++i) {
                mean.set(i, __fdiv_rn(sum[i], divisor));
            }
            store<E, N>(y, static_cast<size_t>(c), mean);
        }
    }
}

}  // namespace ailurus
