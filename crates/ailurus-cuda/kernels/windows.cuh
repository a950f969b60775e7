// Windows: the patches every patch looks at, in the order of their squared grid distance, ties by index.
//
// They depend on the grid and the window size alone and are the same for all images, but are made in every call: a few
// microseconds that keep the operator free of state, and its launches free of any wait or copy from the host.
#pragma once

#include "warp.cuh"

namespace ailurus {

// Largest integer whose square is at most n; exact, for n < 2^42.
AILURUS_DEVICE Wide integer_root(Wide n) {
    Wide root = static_cast<Wide>(__fsqrt_rn(static_cast<float>(n)));
    while (root * root > n) {
        --root;
    }
    while ((root + 1) * (root + 1) <= n) {
        ++root;
    }
    return root;
}

AILURUS_DEVICE int absolute(int v) {
    return v < 0 ? -v : v;
}

// Largest |dx| of the places (dy, dx) that are listed. The rectangle between a patch and its neighbour lies on the
// grid, and all of it but the far corner is nearer: where (|dy| + 1)(|dx| + 1) > window, `window` patches come before.
AILURUS_DEVICE int reach(const ailurus_density_peaks_arguments& a, int dy) {
    return least(a.width, a.window / (absolute(dy) + 1)) - 1;
}

// How many listed places come before (dy, dx) in the order (dy^2 + dx^2, dy, dx): counted row by row, a row per lane.
AILURUS_DEVICE int places_before(const ailurus_density_peaks_arguments& a, int rows, int dy, int dx) {
    const Wide square = static_cast<Wide>(dy) * dy + static_cast<Wide>(dx) * dx;
    int count = 0;
    for (int y = lane_of_thread() - rows; y <= rows; y += WARP) {
        const Wide y_square = static_cast<Wide>(y) * y;
        if (y == dy) {
            const int x = absolute(dx);
            count += x == 0 ? 0 : 2 * x - 1 + (dx > 0 ? 1 : 0);
        } else if (y < dy ? y_square <= square : y_square < square) {
            const Wide rest = square - y_square - (y < dy ? 0 : 1);
            const Wide root = integer_root(rest);
            const int limit = reach(a, y);
            count += 2 * (root < static_cast<Wide>(limit) ? static_cast<int>(root) : limit) + 1;
        }
    }
    return warp_sum(count);
}

// Lists the places in order, the weight of every rank, and prepares the maxima of the images.
//
// A warp per place of the box that contains them. Floor: nothing to read, 8 bytes per place (290 places for a window of
// 24), 4 per rank; about 2 min(H, window) roots per place. Bound by latency.
AILURUS_DEVICE void offsets(const ailurus_density_peaks_arguments& a) {
    const int rows = least(a.height, a.window) - 1;
    const int columns = least(a.width, a.window) - 1;
    const int wide = 2 * columns + 1;
    const int box = (2 * rows + 1) * wide;
    const int threads = static_cast<int>(gridDim.x * blockDim.x);
    const int first = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    for (int at = first / WARP; at < box; at += threads / WARP) {
        const int dy = at / wide - rows;
        const int dx = at % wide - columns;
        if (absolute(dx) <= reach(a, dy)) {
            const int place = places_before(a, rows, dy, dx);
            if (lane_of_thread() == 0) {
                a.offsets[2 * place] = dy;
                a.offsets[2 * place + 1] = dx;
            }
        }
    }
    // Every operation is rounded as in the definition, in double precision, and the result once more.
    const double alpha = static_cast<double>(a.spatial_mix);
    for (int rank = first; rank < a.ranks; rank += threads) {
        const double far = __ddiv_rn(__dmul_rn(__dsub_rn(1.0, alpha), rank), a.window);
        const double s = __dadd_rn(far, alpha);
        a.weights[rank] = static_cast<float>(__ddiv_rn(__dmul_rn(s, s), a.channels));
    }
    for (int image = first; image < a.batch; image += threads) {
        a.largest[image] = 0;
    }
}

// A warp walks the list of places for one patch and keeps the first that lie on the grid.
//
// Floor: 4 N V bytes written (154 KB at N = 1600, V = 24); the list is read from cache.
AILURUS_DEVICE void windows(const ailurus_density_peaks_arguments& a) {
    const int lane = lane_of_thread();
    const int patch = static_cast<int>(blockIdx.x * (blockDim.x / WARP)) + warp_of_thread();
    if (patch >= a.height * a.width) {
        return;
    }
    const int y = patch / a.width;
    const int x = patch % a.width;
    unsigned* const window = a.windows + static_cast<size_t>(patch) * a.ranks;
    int found = 0;
    for (int base = 0; base < a.offset_count && found < a.ranks; base += WARP) {
        const int at = base + lane;
        bool inside = false;
        int neighbor = 0;
        if (at < a.offset_count) {
            const int ny = y + a.offsets[2 * at];
            const int nx = x + a.offsets[2 * at + 1];
            inside = ny >= 0 && ny < a.height && nx >= 0 && nx < a.width;
            neighbor = ny * a.width + nx;
        }
        const unsigned members = __ballot_sync(ALL_LANES, inside);
        const int rank = found + __popc(members & ((1u << lane) - 1));
        if (inside && rank < a.ranks) {
            window[rank] = static_cast<unsigned>(neighbor);
        }
        found += __popc(members);
    }
}

}  // namespace ailurus
