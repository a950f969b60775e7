// CUDA's language and built-in functions for a host compiler, as far as the kernels use them.
//
// A block is executed with one fiber per thread (block.h). Every wait of a thread, at a barrier or in a warp-wide
// operation, goes through `Block::wait`, which checks that the threads wait together, at the same place.
#ifndef AILURUS_SHIM_CUDA_ON_HOST_H
#define AILURUS_SHIM_CUDA_ON_HOST_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "block.h"
#include "half.h"

#define __global__
#define __launch_bounds__(threads, blocks)
#define AILURUS_DEVICE inline

// Memory for the variable, the same for all threads of the block, filled with garbage for every block.
#define AILURUS_SHARED(type, name)                                                                                     \
    type& name = *static_cast<type*>(::shim::Block::current().shared(sizeof(type), alignof(type), __LINE__))

#define threadIdx (::shim::Block::current().thread_index())
#define blockIdx (::shim::Block::current().block_index)
#define blockDim (::shim::Block::current().block_size)
#define gridDim (::shim::Block::current().grid_size)

#define __syncthreads() ::shim::Block::current().barrier(__LINE__)
#define __syncwarp() ::shim::Block::current().warp_wait(0xffffffffu, __LINE__)
#define __ballot_sync(mask, predicate) ::shim::ballot(mask, predicate, __LINE__)
#define __shfl_sync(mask, value, lane) ::shim::exchange(mask, value, lane, __LINE__)
#define __shfl_xor_sync(mask, value, lanes) ::shim::shuffle_xor(mask, value, lanes, __LINE__)
#define __shfl_up_sync(mask, value, lanes) ::shim::shuffle_up(mask, value, lanes, __LINE__)

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

namespace shim {

// Posts a value, waits for the warp, and reads what another lane posted; its own if there is no such lane.
template <class T>
T exchange(unsigned mask, T value, int source, int line) {
    static_assert(sizeof(T) <= sizeof(std::uint64_t), "a lane posts 8 bytes at most");
    Block& block = Block::current();
    std::uint64_t posted = 0;
    std::memcpy(&posted, &value, sizeof value);
    const std::uint64_t* const all = block.post(posted, mask, line);
    if (source >= 0 && source < Block::WARP) {
        std::memcpy(&value, &all[source], sizeof value);
    }
    return value;
}

template <class T>
T shuffle_xor(unsigned mask, T value, int lanes, int line) {
    return exchange(mask, value, Block::current().lane() ^ lanes, line);
}

template <class T>
T shuffle_up(unsigned mask, T value, int lanes, int line) {
    return exchange(mask, value, Block::current().lane() - lanes, line);
}

inline unsigned ballot(unsigned mask, bool predicate, int line) {
    const std::uint64_t* const all = Block::current().post(predicate ? 1 : 0, mask, line);
    unsigned votes = 0;
    for (int lane = 0; lane < Block::WARP; ++lane) {
        votes |= static_cast<unsigned>(all[lane] & 1) << lane;
    }
    return votes;
}

}  // namespace shim

// The host program is compiled without contraction, so that plain operators round as these functions do.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
using std::exp;
using std::log;

inline unsigned __float_as_uint(float value) {
    unsigned bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float __uint_as_float(unsigned bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

// Fibers take turns, so reading and writing back is indivisible.
template <class T>
T atomicAdd(T* at, T value) {
    const T before = *at;
    *at = before + value;
    return before;
}

template <class T>
T atomicMax(T* at, T value) {
    const T before = *at;
    *at = value > before ? value : before;
    return before;
}

#endif
