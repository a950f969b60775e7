// Rows of AilurusGridKMeans, four channels at a time: patches as clustering looks at them, and centres.
//
// Centres are kept in f32, `stride` apart, a multiple of four; channels beyond the last are zero.
#pragma once

#include "grid_cells.cuh"
#include "lanes.cuh"

namespace ailurus {

// Elements count at most this much; see docs/operators.md.
constexpr float LARGEST = 1e15f;

AILURUS_DEVICE bool is_tame(float v) {
    // False for NaN too.
    return v >= -LARGEST && v <= LARGEST;
}

// Numbers that clustering can compute with: mostly those there are.
AILURUS_DEVICE Quad tame(Quad quad) {
    if (!(is_tame(quad.v[0]) && is_tame(quad.v[1]) && is_tame(quad.v[2]) && is_tame(quad.v[3]))) {
        for (int p = 0; p < OWN_PARTS; ++p) {
            const float v = quad.v[p];
            quad.v[p] = v != v ? 0.0f : v > LARGEST ? LARGEST : v < -LARGEST ? -LARGEST : v;
        }
    }
    return quad;
}

template <class E, bool ALIGNED>
AILURUS_DEVICE Quad load_patch(const typename E::Bits* row, int channel, int channels) {
    return tame(load_quad<E, ALIGNED>(row, channel, channels));
}

// The first patch of an image.
template <class E>
AILURUS_DEVICE const typename E::Bits* patches_of(const GridArguments& a, int image) {
    const size_t first = image * grid_tokens(a) + a.prefix;
    return static_cast<const typename E::Bits*>(a.x) + first * static_cast<size_t>(a.channels);
}

// The first centre of an image, as bits: what is stored as packs is read as packs.
AILURUS_DEVICE F32::Bits* centres_of(const GridArguments& a, int image) {
    return a.centres + static_cast<size_t>(image) * grid_clusters(a) * a.stride;
}

// A row of z.
template <class E>
AILURUS_DEVICE typename E::Bits* z_row(const GridArguments& a, int image, int row) {
    const size_t rows = static_cast<size_t>(a.prefix) + grid_clusters(a) + a.suffix;
    return static_cast<typename E::Bits*>(a.z) + (image * rows + row) * static_cast<size_t>(a.channels);
}

template <class E, bool ALIGNED>
AILURUS_DEVICE void store_quad(typename E::Bits* row, int channel, int channels, const float (&v)[OWN_PARTS]) {
    if (ALIGNED) {
        if (channel < channels) {
            Pack<E, OWN_PARTS> pack;
            for (int p = 0; p < OWN_PARTS; ++p) {
                pack.set(p, v[p]);
            }
            store<E, OWN_PARTS>(row, static_cast<size_t>(channel), pack);
        }
    } else {
        for (int p = 0; p < OWN_PARTS; ++p) {
            if (channel + p < channels) {
                row[channel + p] = E::round(v[p]);
            }
        }
    }
}

// Stores four channels of a centre: for the next iteration, or after the last one also as a row of z.
template <class E, bool ALIGNED>
AILURUS_DEVICE void store_centre(const GridArguments& a, int image, int centre, int channel,
                                 const float (&v)[OWN_PARTS]) {
    store_quad<F32, true>(centres_of(a, image) + static_cast<size_t>(centre) * a.stride, channel, a.stride, v);
    if (a.last != 0) {
        store_quad<E, ALIGNED>(z_row<E>(a, image, a.prefix + centre), channel, a.channels, v);
    }
}

}  // namespace ailurus
