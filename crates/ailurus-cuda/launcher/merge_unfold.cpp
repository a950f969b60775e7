// AilurusMerge, AilurusUnfold, AilurusUnfoldResidual: checks and launches.

#include "check.h"
#include "driver.h"
#include "status.h"

namespace ailurus_cuda {

namespace {

constexpr unsigned THREADS = 256;

// The kernel for an element type, for rows that lie in vectors of 16 bytes or for any.
struct Variants {
    Kernel aligned[3];
    Kernel any[3];

    Kernel pick(ailurus_cuda_type type, bool in_vectors) const {
        return in_vectors ? aligned[type] : any[type];
    }
};

#define AILURUS_CUDA_VARIANTS(name)                                                                                    \
    {                                                                                                                  \
        {KERNEL_##name##_f32, KERNEL_##name##_f16, KERNEL_##name##_bf16}, {                                            \
            KERNEL_##name##_f32_any, KERNEL_##name##_f16_any, KERNEL_##name##_bf16_any                                 \
        }                                                                                                              \
    }
const Variants MERGE = AILURUS_CUDA_VARIANTS(merge);
const Variants UNFOLD_SUM = AILURUS_CUDA_VARIANTS(unfold_sum);
const Variants UNFOLD_RESIDUAL = AILURUS_CUDA_VARIANTS(unfold_residual);
#undef AILURUS_CUDA_VARIANTS

// Rows a block of the merge kernel makes: few, so that there are enough blocks for the device, but more the longer the
// index is that every block reads.
int rows_per_block(int64_t tokens) {
    return tokens <= 2048 ? 8 : tokens <= 8192 ? 16 : AILURUS_MERGE_ROWS;
}

ailurus_cuda_status launch(Kernel kernel, unsigned long long blocks, ailurus_merge_arguments& a, void* stream) {
    ailurus_cuda_status status = check_blocks(blocks);
    Launcher launcher(stream);
    if (status == AILURUS_CUDA_OK) {
        status = launcher.open();
    }
    return status == AILURUS_CUDA_OK ? launcher.launch(kernel, blocks, THREADS, a) : status;
}

ailurus_cuda_status launch(Kernel kernel, ailurus_unfold_arguments& a, void* stream) {
    const unsigned long long teams = THREADS >> a.lanes_shift;
    const unsigned long long blocks = (static_cast<unsigned long long>(a.batch) * a.tokens + teams - 1) / teams;
    ailurus_cuda_status status = check_blocks(blocks);
    Launcher launcher(stream);
    if (status == AILURUS_CUDA_OK) {
        status = launcher.open();
    }
    return status == AILURUS_CUDA_OK ? launcher.launch(kernel, blocks, THREADS, a) : status;
}

// What the two ways of unfolding have in common.
struct Unfold {
    ailurus_cuda_type type;
    int64_t batch, rows, tokens, choices, channels;

    ailurus_cuda_status check(const float* weight) const {
        const ailurus_cuda_status status = check_type(type);
        if (status != AILURUS_CUDA_OK) {
            return status;
        }
        const Size sizes[] = {{"batch", batch == 0 ? 1 : batch, MOST_TOKENS},
                              {"rows", rows, MOST_TOKENS},
                              {"tokens", tokens, MOST_TOKENS},
                              {"choices", choices, MOST_CHANNELS},
                              {"channels", channels, MOST_CHANNELS}};
        if (weight == nullptr && choices > 1) {
            return fail(AILURUS_CUDA_BAD_SHAPE, "choices = %lld without weight", static_cast<long long>(choices));
        }
        return check_sizes(sizes, 5);
    }

    // `units` as kernels count channels, `width` of them at a time.
    ailurus_unfold_arguments arguments(int64_t units, int64_t width) const {
        ailurus_unfold_arguments a = {};
        a.batch = static_cast<int>(batch);
        a.rows = static_cast<int>(rows);
        a.tokens = static_cast<int>(tokens);
        a.choices = static_cast<int>(choices);
        a.channels = static_cast<int>(units);
        a.lanes_shift = lanes_shift((units + width - 1) / width);
        return a;
    }

    size_t row_bytes() const { return static_cast<size_t>(channels) * element_bytes(type); }
};

}  // namespace

}  // namespace ailurus_cuda

using namespace ailurus_cuda;

ailurus_cuda_status ailurus_cuda_merge(ailurus_cuda_type type, int64_t batch, int64_t tokens, int64_t rows,
                                       int64_t channels, const void* x, const int32_t* index, const float* size,
                                       void* y, void* stream) {
    ailurus_cuda_status status = check_type(type);
    const Size sizes[] = {{"batch", batch == 0 ? 1 : batch, MOST_TOKENS},
                          {"tokens", tokens, MOST_TOKENS},
                          {"rows", rows, MOST_TOKENS},
                          {"channels", channels, MOST_CHANNELS}};
    if (status == AILURUS_CUDA_OK) {
        status = check_sizes(sizes, 4);
    }
    if (status != AILURUS_CUDA_OK || batch == 0) {
        return status;
    }
    const size_t bytes = element_bytes(type);
    const Tensor tensors[] = {{"x", x, bytes}, {"index", index, 4}, {"size", size, 4}, {"y", y, bytes}};
    status = check_tensors(tensors, 4);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const void* const streams[] = {x, y};
    const bool vectors = in_vectors(static_cast<size_t>(channels) * bytes, streams, 2);
    const int64_t width = vectors ? static_cast<int64_t>(16 / bytes) : 1;
    ailurus_merge_arguments a = {};
    a.x = x;
    a.index = index;
    a.size = size;
    a.y = y;
    a.tokens = static_cast<int>(tokens);
    a.rows = static_cast<int>(rows);
    a.channels = static_cast<int>(channels);
    a.block_rows = rows_per_block(tokens);
    a.lanes_shift = lanes_shift((channels + width - 1) / width);
    const unsigned long long blocks =
        static_cast<unsigned long long>((rows + a.block_rows - 1) / a.block_rows) * static_cast<unsigned long long>(batch);
    return launch(MERGE.pick(type, vectors), blocks, a, stream);
}

ailurus_cuda_status ailurus_cuda_unfold(ailurus_cuda_type type, int64_t batch, int64_t rows, int64_t tokens,
                                        int64_t choices, int64_t channels, const void* z, const int32_t* index,
                                        const float* weight, void* y, void* stream) {
    const Unfold unfold = {type, batch, rows, tokens, choices, channels};
    ailurus_cuda_status status = unfold.check(weight);
    if (status != AILURUS_CUDA_OK || batch == 0) {
        return status;
    }
    const size_t bytes = element_bytes(type);
    const Tensor tensors[] = {{"z", z, bytes}, {"index", index, 4}, {"y", y, bytes}, {"weight", weight, 4}};
    status = check_tensors(tensors, weight == nullptr ? 3 : 4);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const void* const streams[] = {z, y};
    const bool vectors = in_vectors(unfold.row_bytes(), streams, 2);
    if (weight != nullptr) {
        ailurus_unfold_arguments a = unfold.arguments(channels, vectors ? static_cast<int64_t>(16 / bytes) : 1);
        a.z = z;
        a.index = index;
        a.weight = weight;
        a.y = y;
        return launch(UNFOLD_SUM.pick(type, vectors), a, stream);
    }
    // A copy does not care what it copies: count in the largest unit that fits.
    const size_t unit = vectors ? 16 : bytes;
    ailurus_unfold_arguments a = unfold.arguments(static_cast<int64_t>(unfold.row_bytes() / unit), 1);
    a.z = z;
    a.index = index;
    a.y = y;
    return launch(unit == 16 ? KERNEL_unfold_copy16 : unit == 4 ? KERNEL_unfold_copy4 : KERNEL_unfold_copy2, a, stream);
}

ailurus_cuda_status ailurus_cuda_unfold_residual(ailurus_cuda_type type, int64_t batch, int64_t rows, int64_t tokens,
                                                 int64_t choices, int64_t channels, const void* z, const void* start,
                                                 const void* base, const int32_t* index, const float* weight, void* y,
                                                 void* stream) {
    const Unfold unfold = {type, batch, rows, tokens, choices, channels};
    ailurus_cuda_status status = unfold.check(weight);
    if (status != AILURUS_CUDA_OK || batch == 0) {
        return status;
    }
    const size_t bytes = element_bytes(type);
    const Tensor tensors[] = {{"z", z, bytes},     {"start", start, bytes}, {"base", base, bytes},
                              {"index", index, 4}, {"y", y, bytes},         {"weight", weight, 4}};
    status = check_tensors(tensors, weight == nullptr ? 5 : 6);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const void* const streams[] = {z, start, base, y};
    const bool vectors = in_vectors(unfold.row_bytes(), streams, 4);
    ailurus_unfold_arguments a = unfold.arguments(channels, vectors ? static_cast<int64_t>(16 / bytes) : 1);
    a.z = z;
    a.start = start;
    a.base = base;
    a.index = index;
    a.weight = weight;
    a.y = y;
    return launch(UNFOLD_RESIDUAL.pick(type, vectors), a, stream);
}
