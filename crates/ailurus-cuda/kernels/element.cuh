// Element types: how they are read, widened to f32 (exactly) and rounded back (to nearest, ties to even).
//
// The 16-bit types are plain integers here and are converted by one instruction or two integer operations, so that no
// header of the toolkit is needed: NVRTC does not bring any along.
#pragma once

#include "platform.cuh"

namespace ailurus {

struct F32 {
    using Bits = unsigned;
    static constexpr int VECTOR = 4;  // elements in 16 bytes
    static AILURUS_DEVICE float widen(Bits bits) {
        return __uint_as_float(bits);
    }
    static AILURUS_DEVICE Bits round(float value) {
        return __float_as_uint(value);
    }
};

struct F16 {
    using Bits = unsigned short;
    static constexpr int VECTOR = 8;
#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
    static AILURUS_DEVICE float widen(Bits bits) {
        float value;
        asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
        return value;
    }
    static AILURUS_DEVICE Bits round(float value) {
        Bits bits;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
        return bits;
    }
#else
    static float widen(Bits bits) {
        return shim::f16_to_f32(bits);
    }
    static Bits round(float value) {
        return shim::f32_to_f16(value);
    }
#endif
};

// The upper half of an f32. The instructions for it need newer devices than sm_75, and integer operations are as good.
struct BF16 {
    using Bits = unsigned short;
    static constexpr int VECTOR = 8;
    static AILURUS_DEVICE float widen(Bits bits) {
        return __uint_as_float(static_cast<unsigned>(bits) << 16);
    }
    static AILURUS_DEVICE Bits round(float value) {
        const unsigned bits = __float_as_uint(value);
        if ((bits & 0x7fffffffu) > 0x7f800000u) {
            return static_cast<Bits>((bits >> 16) | 0x40u);  // a quiet NaN; rounding could carry it into infinity
        }
        return static_cast<Bits>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    }
};

// N neighbouring elements, moved by one instruction if N elements are 4, 8 or 16 bytes.
template <class E, int N>
struct alignas(N * sizeof(typename E::Bits)) Pack {
    typename E::Bits bits[N];

    AILURUS_DEVICE float operator[](int i) const {
        return E::widen(bits[i]);
    }
    AILURUS_DEVICE void set(int i, float value) {
        bits[i] = E::round(value);
    }
};

// Reads the pack at element `at`, which the caller knows to be aligned.
template <class E, int N>
AILURUS_DEVICE Pack<E, N> load(const typename E::Bits* from, size_t at) {
    return *reinterpret_cast<const Pack<E, N>*>(from + at);
}

template <class E, int N>
AILURUS_DEVICE void store(typename E::Bits* to, size_t at, const Pack<E, N>& value) {
    *reinterpret_cast<Pack<E, N>*>(to + at) = value;
}

}  // namespace ailurus
