// What differs between the compilers of these kernels: nvcc and NVRTC make device code, g++ makes a host program in
// which every thread of a block is a fiber (../shim), so that kernels are tested where there is no GPU.
#pragma once

#include "arguments.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)

// One variable shared by the block.
#define AILURUS_SHARED(type, name) __shared__ type name
#define AILURUS_DEVICE __device__ __forceinline__

#else

#include "../shim/cuda_on_host.h"

#endif

// Declares a kernel of the list in arguments.h. `blocks` blocks of it are to fit on a multiprocessor at least.
#define AILURUS_KERNEL(name, arguments, threads, blocks)                                                               \
    extern "C" __global__ void __launch_bounds__(threads, blocks) ailurus_##name(const arguments a)

namespace ailurus {

constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr int WARP = 32;

// Squared distances from here on, and those that are not numbers, count as this; see docs/operators.md.
constexpr float FAR = 1e30f;

// Greater than any squared distance of numbers up to 10^15, whatever the number of channels.
constexpr float FARTHEST = 3.4028235e38f;

AILURUS_DEVICE int least(int a, int b) {
    return a < b ? a : b;
}

AILURUS_DEVICE int lane_of_thread() {
    return static_cast<int>(threadIdx.x) % WARP;
}

AILURUS_DEVICE int warp_of_thread() {
    return static_cast<int>(threadIdx.x) / WARP;
}

}  // namespace ailurus
