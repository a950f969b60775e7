// IEEE half precision in software, rounded to nearest, ties to even.
#ifndef AILURUS_SHIM_HALF_H
#define AILURUS_SHIM_HALF_H

#include <cstdint>
#include <cstring>

namespace shim {

inline float f16_to_f32(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1fu;
    const std::uint32_t fraction = half & 0x3ffu;
    if (exponent == 0) {
        // Zero or subnormal: fraction units of 2^-24, exact in f32.
        const float value = static_cast<float>(fraction) * (1.0f / 16777216.0f);
        return sign != 0 ? -value : value;
    }
    const std::uint32_t wide = exponent == 31 ? 255 : exponent + (127 - 15);
    const std::uint32_t bits = sign | wide << 23 | fraction << 13;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline std::uint16_t f32_to_f16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return static_cast<std::uint16_t>(sign | 0x7e00u);
    }
    if (magnitude >= 0x47800000u) {  // 2^16 and up: infinity
        return static_cast<std::uint16_t>(sign | 0x7c00u);
    }
    const std::uint32_t exponent = magnitude >> 23;
    if (exponent < 127 - 25) {
        return static_cast<std::uint16_t>(sign);
    }
    // Units of the result's last place: 2^-24 for subnormal results.
    const bool subnormal = exponent < 127 - 14;
    const std::uint32_t shift = subnormal ? 13 + (127 - 14 - exponent) : 13;
    const std::uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    std::uint32_t rounded = significand >> shift;
    const std::uint32_t rest = significand & ((1u << shift) - 1);
    const std::uint32_t half = 1u << (shift - 1);
    rounded += rest > half || (rest == half && (rounded & 1u) != 0) ? 1 : 0;
    // A carry runs into the exponent, as it should, up to infinity.
    const std::uint32_t base = subnormal ? 0 : (exponent - (127 - 15) - 1) << 10;
    return static_cast<std::uint16_t>(sign | (base + rounded));
}

}  // namespace shim

#endif
