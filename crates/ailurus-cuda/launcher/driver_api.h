// The part of the CUDA driver API that the launcher uses, declared here so that no file of the toolkit is needed.
// Names and values are NVIDIA's and part of the driver's binary interface.
#ifndef AILURUS_CUDA_DRIVER_API_H
#define AILURUS_CUDA_DRIVER_API_H

#include <stddef.h>

typedef int CUresult;
typedef int CUdevice;
typedef struct CUctx_st* CUcontext;
typedef struct CUmod_st* CUmodule;
typedef struct CUfunc_st* CUfunction;
typedef struct CUstream_st* CUstream;

enum {
    CUDA_SUCCESS = 0,
    CUDA_ERROR_INVALID_VALUE = 1,
    CUDA_ERROR_NO_DEVICE = 100,
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
    CUDA_ERROR_NOT_FOUND = 500,
    CUDA_ERROR_LAUNCH_FAILED = 719
};

enum { CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76 };

enum { CU_JIT_ERROR_LOG_BUFFER = 5, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6 };

// X(name, types of the parameters)
#define AILURUS_CUDA_DRIVER_FUNCTIONS(X)                                                                               \
    X(cuInit, (unsigned))                                                                                              \
    X(cuDriverGetVersion, (int*))                                                                                      \
    X(cuDeviceGetCount, (int*))                                                                                        \
    X(cuDeviceGetAttribute, (int*, int, CUdevice))                                                                     \
    X(cuCtxGetCurrent, (CUcontext*))                                                                                   \
    X(cuCtxGetDevice, (CUdevice*))                                                                                     \
    X(cuModuleLoadDataEx, (CUmodule*, const void*, unsigned, int*, void**))                                            \
    X(cuModuleUnload, (CUmodule))                                                                                      \
    X(cuModuleGetFunction, (CUfunction*, CUmodule, const char*))                                                       \
    X(cuLaunchKernel, (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream,      \
                       void**, void**))                                                                                \
    X(cuGetErrorName, (CUresult, const char**))                                                                        \
    X(cuGetErrorString, (CUresult, const char**))

#endif
