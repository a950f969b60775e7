// The driver's functions for contexts, memory and streams: what a program needs besides the launcher to call an operator.
// Device memory is host memory, and nothing runs after the call that started it.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "../launcher/driver_api.h"

#define SHIM_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr CUresult CUDA_ERROR_OUT_OF_MEMORY = 2;

// What the driver aligns to.
constexpr size_t ALIGNMENT = 256;

using Address = unsigned long long;

void* pointer(Address address) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(address));
}

}  // namespace

SHIM_EXPORT CUresult cuDeviceGet(CUdevice* device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// A thread has its context without asking; this one is never looked at.
SHIM_EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice) {
    *context = nullptr;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuCtxSetCurrent(CUcontext) {
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuMemAlloc_v2(Address* address, size_t bytes) {
    if (bytes == 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, ALIGNMENT, bytes) != 0) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *address = reinterpret_cast<uintptr_t>(memory);
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuMemFree_v2(Address address) {
    std::free(pointer(address));
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    std::memcpy(pointer(to), from, bytes);
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    std::memcpy(to, pointer(from), bytes);
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuStreamCreate(CUstream* stream, unsigned) {
    *stream = nullptr;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuStreamSynchronize(CUstream) {
    return CUDA_SUCCESS;
}
