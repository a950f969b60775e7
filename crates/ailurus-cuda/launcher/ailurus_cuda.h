/* The operators of ai.ailurus on CUDA devices: C interface of the launcher.
 *
 * Works on the driver API, which it looks up in libcuda while the program runs: nothing of CUDA is needed to build or
 * link it, and programs start on machines without a driver.
 *
 * - Pointers are device pointers, tensors are row-major without gaps, `stream` is a CUstream (or cudaStream_t); null is
 *   the legacy default stream. Operators run in the context that is current on the calling thread.
 * - Operators only enqueue kernels. They do not wait, allocate or copy, and can be captured into a CUDA graph. Loading
 *   the kernels into a context cannot: call ailurus_cuda_prepare, or any operator, once before a capture begins.
 * - Every function may be called from any thread.
 * - No value in a tensor makes a kernel read or write outside the tensors it was given: an entry of `index` that names
 *   no row is passed over when merging, and counts as the nearest row there is when unfolding.
 * - Results are those of the scalar reference and do not vary from run to run (docs/operators.md, docs/cuda.md).
 */
#ifndef AILURUS_CUDA_H
#define AILURUS_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when this interface changes in a way that breaks callers. */
#define AILURUS_CUDA_ABI_VERSION 1

/* What a function returns. Names, messages and codes: see ailurus_cuda_status_*. */
typedef enum ailurus_cuda_status {
    AILURUS_CUDA_OK = 0,
    AILURUS_CUDA_NO_LIBRARY = 1,       /* libcuda cannot be loaded */
    AILURUS_CUDA_OLD_LIBRARY = 2,      /* libcuda lacks a function */
    AILURUS_CUDA_NO_DEVICE = 3,        /* the driver finds no usable device */
    AILURUS_CUDA_NO_CONTEXT = 4,       /* no context is current on the calling thread */
    AILURUS_CUDA_NO_KERNELS = 5,       /* the kernels cannot be loaded into the context */
    AILURUS_CUDA_BAD_PARAMETER = 6,    /* a parameter is outside its range */
    AILURUS_CUDA_BAD_SHAPE = 7,        /* a size is not positive, or sizes contradict each other */
    AILURUS_CUDA_TOO_LARGE = 8,        /* sizes are beyond what the kernels can count */
    AILURUS_CUDA_BAD_POINTER = 9,      /* a pointer is null or not aligned to its elements */
    AILURUS_CUDA_SMALL_WORKSPACE = 10, /* the workspace is smaller than was asked for */
    AILURUS_CUDA_BAD_TYPE = 11,        /* the element type is unknown */
    AILURUS_CUDA_DRIVER = 12           /* the driver returned an error; ailurus_cuda_last_error names it */
} ailurus_cuda_status;

/* Element types; arithmetic is in f32 for all of them. */
typedef enum ailurus_cuda_type {
    AILURUS_CUDA_F32 = 0,
    AILURUS_CUDA_F16 = 1,
    AILURUS_CUDA_BF16 = 2
} ailurus_cuda_type;

/* Attributes of AilurusDensityPeaks. `grid_h` and `grid_w` are those of this call. */
typedef struct ailurus_cuda_density_peaks_params {
    int32_t prefix;
    int32_t suffix;
    int32_t grid_h;
    int32_t grid_w;
    int32_t tokens;   /* M, or 0 for max(1, ceil(N * keep_num / keep_den)) */
    int32_t keep_num;
    int32_t keep_den;
    int32_t neighbors;
    int32_t window;
    float spatial_mix;
} ailurus_cuda_density_peaks_params;

/* What the temperature of AilurusGridKMeans refers to. */
typedef enum ailurus_cuda_temperature {
    AILURUS_CUDA_ABSOLUTE = 0, /* nothing: squared distances are multiplied with it */
    AILURUS_CUDA_RELATIVE = 1  /* the mean squared distance of a patch to its nearest centre */
} ailurus_cuda_temperature;

/* What the weights of a token are divided by. */
typedef enum ailurus_cuda_norm {
    AILURUS_CUDA_L1 = 0, /* their sum */
    AILURUS_CUDA_L2 = 1  /* the root of the sum of their squares */
} ailurus_cuda_norm;

/* Attributes of AilurusGridKMeans. `grid_h` and `grid_w` are those of this call. */
typedef struct ailurus_cuda_grid_kmeans_params {
    int32_t prefix;
    int32_t suffix;
    int32_t grid_h;
    int32_t grid_w;
    int32_t cluster_h;
    int32_t cluster_w;
    int32_t iterations;
    int32_t window;
    int32_t neighbors;
    int32_t ties;
    float temperature;
    int32_t temperature_mode; /* an ailurus_cuda_temperature */
    int32_t norm;             /* an ailurus_cuda_norm */
} ailurus_cuda_grid_kmeans_params;

/* AILURUS_CUDA_ABI_VERSION of the library. */
int32_t ailurus_cuda_abi_version(void);

/* Loads the driver library and starts it; `library` may be null for the system's. Once it has succeeded, further calls
 * return OK and change nothing. Every function that needs the driver does this by itself. */
ailurus_cuda_status ailurus_cuda_load(const char* library);

/* 1 if the driver can be loaded and has a device, else 0. */
int32_t ailurus_cuda_available(void);

/* Loads the kernels into the current context, unless that was done. */
ailurus_cuda_status ailurus_cuda_prepare(void);

/* Removes the kernels from the current context. None of them may be running, nor any captured graph be used again. */
ailurus_cuda_status ailurus_cuda_release(void);

/* The status as an identifier, such as "NO_LIBRARY"; never null. */
const char* ailurus_cuda_status_name(ailurus_cuda_status status);

/* The status as a sentence; never null. */
const char* ailurus_cuda_status_message(ailurus_cuda_status status);

/* The stable code, such as "AIL0801"; "" for OK. */
const char* ailurus_cuda_status_code(ailurus_cuda_status status);

/* What the last function that failed on this thread has to say in particular; valid until the next call on it. */
const char* ailurus_cuda_last_error(void);

/* R, the rows of the reduced sequence: prefix + M + suffix. */
ailurus_cuda_status ailurus_cuda_density_peaks_rows(const ailurus_cuda_density_peaks_params* params, int64_t* rows);

/* Bytes of device memory that ailurus_cuda_density_peaks needs besides its tensors; about 4 N window (batch + 1). */
ailurus_cuda_status ailurus_cuda_density_peaks_workspace(const ailurus_cuda_density_peaks_params* params, int64_t batch,
                                                         int64_t channels, ailurus_cuda_type type, size_t* bytes);

/* metric [B, T, d] -> index i32 [B, T], anchor i32 [B, R], size f32 [B, R]. `workspace` is aligned to 16 bytes. */
ailurus_cuda_status ailurus_cuda_density_peaks(const ailurus_cuda_density_peaks_params* params, ailurus_cuda_type type,
                                               int64_t batch, int64_t channels, const void* metric, int32_t* index,
                                               int32_t* anchor, float* size, void* workspace, size_t workspace_bytes,
                                               void* stream);

/* R, the rows of the reduced sequence, and K, the rows that a token is made of. */
ailurus_cuda_status ailurus_cuda_grid_kmeans_sizes(const ailurus_cuda_grid_kmeans_params* params, int64_t* rows,
                                                   int64_t* choices);

/* Bytes of device memory that ailurus_cuda_grid_kmeans needs besides its tensors; about
 * 4 batch (cluster_h cluster_w channels + N window^2). */
ailurus_cuda_status ailurus_cuda_grid_kmeans_workspace(const ailurus_cuda_grid_kmeans_params* params, int64_t batch,
                                                       int64_t channels, ailurus_cuda_type type, size_t* bytes);

/* x [B, T, C], of f32 or f16 -> z [B, R, C], index i32 [B, T, K], weight f32 [B, T, K]. `workspace` is aligned to 16
 * bytes. */
ailurus_cuda_status ailurus_cuda_grid_kmeans(const ailurus_cuda_grid_kmeans_params* params, ailurus_cuda_type type,
                                             int64_t batch, int64_t channels, const void* x, void* z, int32_t* index,
                                             float* weight, void* workspace, size_t workspace_bytes, void* stream);

/* x [B, T, D], index i32 [B, T], size f32 [B, R] -> y [B, R, D]. */
ailurus_cuda_status ailurus_cuda_merge(ailurus_cuda_type type, int64_t batch, int64_t tokens, int64_t rows,
                                       int64_t channels, const void* x, const int32_t* index, const float* size,
                                       void* y, void* stream);

/* z [B, R, D], index i32 [B, T, K], weight f32 [B, T, K] or null with K = 1 -> y [B, T, D]. */
ailurus_cuda_status ailurus_cuda_unfold(ailurus_cuda_type type, int64_t batch, int64_t rows, int64_t tokens,
                                        int64_t choices, int64_t channels, const void* z, const int32_t* index,
                                        const float* weight, void* y, void* stream);

/* z and start [B, R, D], base [B, T, D], index and weight as above -> y [B, T, D], which may be `base` itself. */
ailurus_cuda_status ailurus_cuda_unfold_residual(ailurus_cuda_type type, int64_t batch, int64_t rows, int64_t tokens,
                                                 int64_t choices, int64_t channels, const void* z, const void* start,
                                                 const void* base, const int32_t* index, const float* weight, void* y,
                                                 void* stream);

#ifdef __cplusplus
}
#endif

#endif
