// Checks that operators share.
#ifndef AILURUS_CUDA_CHECK_H
#define AILURUS_CUDA_CHECK_H

#include <cstdint>

#include "ailurus_cuda.h"

namespace ailurus_cuda {

// A tensor of a call: where it lies and how its elements are aligned.
struct Tensor {
    const char* name;
    const void* data;
    size_t alignment;
};

// A size of a call and what it may be at most.
struct Size {
    const char* name;
    int64_t value;
    int64_t most;
};

// What kernels count in 32 bits stays below this, with room to step beyond it.
constexpr int64_t MOST_TOKENS = int64_t(1) << 30;
constexpr int64_t MOST_CHANNELS = int64_t(1) << 24;
// Blocks of one launch.
constexpr unsigned long long MOST_BLOCKS = 0x7fffffffull;

// Bytes of an element; 0 for an unknown type.
size_t element_bytes(ailurus_cuda_type type);

ailurus_cuda_status check_type(ailurus_cuda_type type);
ailurus_cuda_status check_sizes(const Size* sizes, int count);
ailurus_cuda_status check_tensors(const Tensor* tensors, int count);
ailurus_cuda_status check_blocks(unsigned long long blocks);

// True if every tensor starts, and every row of `bytes` bytes therefore too, at a multiple of 16 bytes.
bool in_vectors(size_t bytes, const void* const* tensors, int count);

// log2 of the threads that share a row of `packs` packs: as many as are busy, a warp at most.
int lanes_shift(int64_t packs);

}  // namespace ailurus_cuda

#endif
