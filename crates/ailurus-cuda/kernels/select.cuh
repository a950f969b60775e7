// Which patches become anchors: the score of every patch, and the M largest of them.
#pragma once

#include "warp.cuh"

namespace ailurus {

// An integer that orders as the number does; equal numbers (0 and -0) give equal integers. For anything but NaN.
AILURUS_DEVICE unsigned ordered(float value) {
    const unsigned bits = __float_as_uint(value == 0.0f ? 0.0f : value);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// A warp per patch: the least distance to a denser patch of the window, and ln(rho delta) from it.
//
// Floor per image: reads 8 N V, gathers 4 N V from cache, writes 4 N (0.3 MB at N = 1600, V = 24); one double-precision
// logarithm per patch. The logarithm of the device may differ from the host's in the last of its 53 bits; rounded to
// single, that shows about once in 2^28 scores, and in the result only if two scores then change places.
AILURUS_DEVICE void scores(const ailurus_density_peaks_arguments& a) {
    const int lane = lane_of_thread();
    const int patches = a.height * a.width;
    const Wide at = static_cast<Wide>(blockIdx.x) * (blockDim.x / WARP) + warp_of_thread();
    if (at >= static_cast<Wide>(a.batch) * patches) {
        return;
    }
    const int image = static_cast<int>(at / patches);
    const unsigned patch = static_cast<unsigned>(at % patches);
    const float* const mean = a.mean + static_cast<size_t>(image) * patches;
    const unsigned* const window = a.windows + static_cast<size_t>(patch) * a.ranks;
    const float* const distance = a.distance + static_cast<size_t>(at) * a.ranks;
    const float own = mean[patch];
    unsigned least_bits = ~0u;
    for (int rank = 1 + lane; rank < a.ranks; rank += WARP) {
        const unsigned other = window[rank];
        const float density = mean[other];
        if (density < own || (density == own && other < patch)) {
            // Distances are not negative, so their bits order as they do.
            const unsigned bits = __float_as_uint(distance[rank]);
            least_bits = bits < least_bits ? bits : least_bits;
        }
    }
    least_bits = warp_least(least_bits);
    if (lane == 0) {
        const float delta = __uint_as_float(least_bits == ~0u ? a.largest[image] : least_bits);
        const double score = __dsub_rn(__dmul_rn(0.5, log(static_cast<double>(delta))), static_cast<double>(own));
        a.score[at] = ordered(static_cast<float>(score));
    }
}

// What a block of the selection shares.
struct Selection {
    int histogram[256];
    unsigned digit;
    int wanted;
    Wide totals[WARP];
};

// The digit whose patches hold the one sought, counting from the largest; by one warp.
AILURUS_DEVICE void find_digit(Selection& s) {
    const int lane = lane_of_thread();
    const int bins = 256 / WARP;
    int count = 0;
    for (int b = 0; b < bins; ++b) {
        count += s.histogram[255 - (lane * bins + b)];
    }
    const int wanted = s.wanted;
    const int upto = warp_inclusive_sum(count);
    __syncwarp();
    if (upto - count < wanted && wanted <= upto) {
        int before = upto - count;
        int digit = 255 - lane * bins;
        while (before + s.histogram[digit] < wanted) {
            before += s.histogram[digit];
            --digit;
        }
        s.digit = static_cast<unsigned>(digit);
        s.wanted = wanted - before;
    }
}

// One block of 1024 threads per image: finds the M-th largest score byte by byte, then numbers the anchors in the order
// of patches. Of those that equal the M-th, the first are taken. Sums of integers only: the order of additions does not
// show. Also writes everything about prefix and suffix tokens, and sets the sizes that `assign` counts up.
//
// Floor per image: 4 N bytes, read five times from cache, 4 N + 12 R written; one block, so about 1 us per 1024 patches
// and byte at worst. N = 16384: 64 KB, some 20 us, beside the 40 us of the distances it waits for.
AILURUS_DEVICE void select(const ailurus_density_peaks_arguments& a) {
    AILURUS_SHARED(Selection, s);
    const int thread = static_cast<int>(threadIdx.x);
    const int threads = static_cast<int>(blockDim.x);
    const int image = static_cast<int>(blockIdx.x);
    const int patches = a.height * a.width;
    const unsigned* const score = a.score + static_cast<size_t>(image) * patches;
    if (thread == 0) {
        s.wanted = a.clusters;
    }
    unsigned threshold = 0;
    unsigned known = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        if (thread < 256) {
            s.histogram[thread] = 0;
        }
        __syncthreads();
        for (int i = thread; i < patches; i += threads) {
            const unsigned value = score[i];
            if ((value & known) == threshold) {
                atomicAdd(&s.histogram[(value >> shift) & 255], 1);
            }
        }
        __syncthreads();
        if (thread < WARP) {
            find_digit(s);
        }
        __syncthreads();
        threshold |= s.digit << shift;
        known |= 255u << shift;
    }
    // s.wanted of the patches that equal the threshold are taken. A thread looks at a run of neighbouring patches.
    const int equal_wanted = s.wanted;
    const int run = (patches + threads - 1) / threads;
    const int begin = least(thread * run, patches);
    const int end = least(begin + run, patches);
    unsigned above = 0;
    unsigned equal = 0;
    for (int i = begin; i < end; ++i) {
        above += score[i] > threshold ? 1 : 0;
        equal += score[i] == threshold ? 1 : 0;
    }
    const Wide before = block_exclusive_sum(static_cast<Wide>(above) << 32 | equal, s.totals);
    int equal_before = static_cast<int>(static_cast<unsigned>(before));
    int next = static_cast<int>(before >> 32) + least(equal_before, equal_wanted);
    const size_t row_count = static_cast<size_t>(a.prefix) + a.clusters + a.suffix;
    int* const row = a.row + static_cast<size_t>(image) * patches;
    int* const anchor = a.anchor + image * row_count;
    float* const size = a.size + image * row_count;
    for (int i = begin; i < end; ++i) {
        const bool is_equal = score[i] == threshold;
        const bool taken = score[i] > threshold || (is_equal && equal_before < equal_wanted);
        equal_before += is_equal ? 1 : 0;
        row[i] = taken ? next : -1;
        if (taken) {
            anchor[a.prefix + next] = a.prefix + i;
            size[a.prefix + next] = 0.0f;
            ++next;
        }
    }
    const size_t tokens = static_cast<size_t>(a.prefix) + patches + a.suffix;
    int* const index = a.index + image * tokens;
    for (int p = thread; p < a.prefix; p += threads) {
        index[p] = p;
        anchor[p] = p;
        size[p] = 1.0f;
    }
    for (int t = thread; t < a.suffix; t += threads) {
        index[a.prefix + patches + t] = a.prefix + a.clusters + t;
        anchor[a.prefix + a.clusters + t] = a.prefix + patches + t;
        size[a.prefix + a.clusters + t] = 1.0f;
    }
}

}  // namespace ailurus
