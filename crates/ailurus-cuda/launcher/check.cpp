#include "check.h"

#include "status.h"

namespace ailurus_cuda {

size_t element_bytes(ailurus_cuda_type type) {
    switch (type) {
        case AILURUS_CUDA_F32:
            return 4;
        case AILURUS_CUDA_F16:
        case AILURUS_CUDA_BF16:
            return 2;
    }
    return 0;
}

ailurus_cuda_status check_type(ailurus_cuda_type type) {
    if (element_bytes(type) == 0) {
        return fail(AILURUS_CUDA_BAD_TYPE, "element type %d", static_cast<int>(type));
    }
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status check_sizes(const Size* sizes, int count) {
    for (int i = 0; i < count; ++i) {
        if (sizes[i].value <= 0) {
            return fail(AILURUS_CUDA_BAD_SHAPE, "%s = %lld", sizes[i].name, static_cast<long long>(sizes[i].value));
        }
        if (sizes[i].value > sizes[i].most) {
            return fail(AILURUS_CUDA_TOO_LARGE, "%s = %lld, at most %lld", sizes[i].name,
                        static_cast<long long>(sizes[i].value), static_cast<long long>(sizes[i].most));
        }
    }
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status check_tensors(const Tensor* tensors, int count) {
    for (int i = 0; i < count; ++i) {
        if (tensors[i].data == nullptr) {
            return fail(AILURUS_CUDA_BAD_POINTER, "%s is null", tensors[i].name);
        }
        if (reinterpret_cast<uintptr_t>(tensors[i].data) % tensors[i].alignment != 0) {
            return fail(AILURUS_CUDA_BAD_POINTER, "%s is not aligned to %d bytes", tensors[i].name,
                        static_cast<int>(tensors[i].alignment));
        }
    }
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status check_blocks(unsigned long long blocks) {
    if (blocks > MOST_BLOCKS) {
        return fail(AILURUS_CUDA_TOO_LARGE, "%llu blocks of threads, at most %llu", blocks, MOST_BLOCKS);
    }
    return AILURUS_CUDA_OK;
}

bool in_vectors(size_t bytes, const void* const* tensors, int count) {
    for (int i = 0; i < count; ++i) {
        if (reinterpret_cast<uintptr_t>(tensors[i]) % 16 != 0) {
            return false;
        }
    }
    return bytes % 16 == 0;
}

int lanes_shift(int64_t packs) {
    int shift = 0;
    while (shift < 5 && (int64_t(1) << shift) < packs) {
        ++shift;
    }
    return shift;
}

}  // namespace ailurus_cuda
