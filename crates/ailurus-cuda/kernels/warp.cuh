// Reductions and scans over a warp and over a block. All lanes take part in every call.
#pragma once

#include "platform.cuh"

namespace ailurus {

using Wide = unsigned long long;

AILURUS_DEVICE Wide warp_least(Wide value) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        const Wide other = __shfl_xor_sync(ALL_LANES, value, step);
        value = other < value ? other : value;
    }
    return value;
}

AILURUS_DEVICE unsigned warp_least(unsigned value) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        const unsigned other = __shfl_xor_sync(ALL_LANES, value, step);
        value = other < value ? other : value;
    }
    return value;
}

AILURUS_DEVICE unsigned warp_largest(unsigned value) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        const unsigned other = __shfl_xor_sync(ALL_LANES, value, step);
        value = other > value ? other : value;
    }
    return value;
}

// The same for every lane, and the same in every run: lanes are added in a fixed order.
template <class T>
AILURUS_DEVICE T warp_sum(T value) {
    for (int step = WARP / 2; step > 0; step /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, step);
    }
    return value;
}

// The least of some numbers that are not negative, whose bits order as they do. There is at least one.
AILURUS_DEVICE float warp_least_of(const float* values, int count) {
    unsigned bits = ~0u;
    for (int at = lane_of_thread(); at < count; at += WARP) {
        const unsigned own = __float_as_uint(values[at]);
        bits = own < bits ? own : bits;
    }
    return __uint_as_float(warp_least(bits));
}

// Adds the values of the first `count` lanes to `sum`, one after the other in ascending order.
AILURUS_DEVICE float add_lanes(float sum, float value, int count) {
    for (int lane = 0; lane < count; ++lane) {
        sum = __fadd_rn(sum, __shfl_sync(ALL_LANES, value, lane));
    }
    return sum;
}

// Sum of the values of this lane and the lanes below it.
template <class T>
AILURUS_DEVICE T warp_inclusive_sum(T value) {
    const int lane = lane_of_thread();
    for (int step = 1; step < WARP; step *= 2) {
        const T other = __shfl_up_sync(ALL_LANES, value, step);
        value += lane >= step ? other : T(0);
    }
    return value;
}

// Sum of the values of the threads below this one, for a block of 32 warps. `totals` is shared and free to be used.
AILURUS_DEVICE Wide block_exclusive_sum(Wide value, Wide* totals) {
    const int lane = lane_of_thread();
    const int warp = warp_of_thread();
    const Wide inclusive = warp_inclusive_sum(value);
    if (lane == WARP - 1) {
        totals[warp] = inclusive;
    }
    __syncthreads();
    if (warp == 0) {
        const Wide total = totals[lane];
        const Wide upto = warp_inclusive_sum(total);
        totals[lane] = upto - total;
    }
    __syncthreads();
    return totals[warp] + inclusive - value;
}

}  // namespace ailurus
