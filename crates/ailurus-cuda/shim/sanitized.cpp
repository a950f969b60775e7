// Launcher and kernels in one program, to be compiled with sanitizers: sanitized DRIVER runs a set of cases on buffers of
// exactly the size that a call needs, so that any access beyond them is seen, and checks what must hold for every
// result. That results are right in every bit is checked elsewhere, without sanitizers.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "../launcher/ailurus_cuda.h"
#include "../launcher/images.h"

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
    if (!holds) {
        std::printf("does not hold: %s\n", what);
        ++failures;
    }
}

void expect_ok(ailurus_cuda_status status, const char* what) {
    if (status != AILURUS_CUDA_OK) {
        std::printf("%s: %s: %s\n", what, ailurus_cuda_status_name(status), ailurus_cuda_last_error());
        ++failures;
    }
}

// A buffer of exactly this size, on the heap.
template <class T>
struct Buffer {
    std::unique_ptr<T[]> data;
    size_t count;

    explicit Buffer(size_t n) : data(new T[n]), count(n) {}
    T* get() { return data.get(); }
    T& operator[](size_t i) { return data[i]; }
};

unsigned next_random(unsigned& state) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

size_t bytes_of(ailurus_cuda_type type) {
    return type == AILURUS_CUDA_F32 ? 4 : 2;
}

// Elements with any bits: infinities and NaN among them.
Buffer<unsigned char> elements(size_t count, ailurus_cuda_type type, unsigned seed) {
    Buffer<unsigned char> buffer(count * bytes_of(type));
    for (size_t i = 0; i < buffer.count; ++i) {
        buffer[i] = static_cast<unsigned char>(next_random(seed));
    }
    return buffer;
}

struct Case {
    ailurus_cuda_density_peaks_params params;
    int64_t batch;
    int64_t channels;
};

void run(const Case& c, ailurus_cuda_type type) {
    const int64_t patches = int64_t(c.params.grid_h) * c.params.grid_w;
    const int64_t tokens = c.params.prefix + patches + c.params.suffix;
    int64_t rows = 0;
    expect_ok(ailurus_cuda_density_peaks_rows(&c.params, &rows), "rows");
    size_t bytes = 0;
    expect_ok(ailurus_cuda_density_peaks_workspace(&c.params, c.batch, c.channels, type, &bytes), "workspace");
    Buffer<unsigned char> metric = elements(static_cast<size_t>(c.batch * tokens * c.channels), type, 7);
    Buffer<int32_t> index(static_cast<size_t>(c.batch * tokens));
    Buffer<int32_t> anchor(static_cast<size_t>(c.batch * rows));
    Buffer<float> size(static_cast<size_t>(c.batch * rows));
    Buffer<unsigned char> workspace(bytes);
    expect_ok(ailurus_cuda_density_peaks(&c.params, type, c.batch, c.channels, metric.get(), index.get(), anchor.get(),
                                         size.get(), workspace.get(), bytes, nullptr),
              "density_peaks");
    // A partition into rows that all have members, each of which contains its anchor.
    std::vector<int> members(static_cast<size_t>(c.batch * rows), 0);
    for (int64_t i = 0; i < c.batch * tokens; ++i) {
        const int32_t row = index[static_cast<size_t>(i)];
        expect(row >= 0 && row < rows, "an index names a row");
        ++members[static_cast<size_t>(i / tokens * rows + row)];
    }
    for (int64_t r = 0; r < c.batch * rows; ++r) {
        const size_t at = static_cast<size_t>(r);
        expect(members[at] > 0 && static_cast<float>(members[at]) == size[at], "sizes count members");
        const int64_t image = r / rows;
        expect(index[static_cast<size_t>(image * tokens + anchor[at])] == r % rows, "an anchor joins itself");
    }

    const size_t full = static_cast<size_t>(c.batch * tokens * c.channels);
    const size_t reduced = static_cast<size_t>(c.batch * rows * c.channels);
    Buffer<unsigned char> merged(reduced * bytes_of(type));
    expect_ok(ailurus_cuda_merge(type, c.batch, tokens, rows, c.channels, metric.get(), index.get(), size.get(),
                                 merged.get(), nullptr),
              "merge");
    Buffer<unsigned char> y(full * bytes_of(type));
    expect_ok(ailurus_cuda_unfold(type, c.batch, rows, tokens, 1, c.channels, merged.get(), index.get(), nullptr, y.get(),
                                  nullptr),
              "unfold");
    expect_ok(ailurus_cuda_unfold_residual(type, c.batch, rows, tokens, 1, c.channels, merged.get(), merged.get(),
                                           metric.get(), index.get(), nullptr, y.get(), nullptr),
              "unfold_residual");
    // Indices of any value, three per token.
    unsigned seed = 5;
    Buffer<int32_t> any(static_cast<size_t>(c.batch * tokens * 3));
    Buffer<float> weight(any.count);
    for (size_t i = 0; i < any.count; ++i) {
        any[i] = static_cast<int32_t>(next_random(seed) << 9) >> (next_random(seed) % 30);
        weight[i] = static_cast<float>(next_random(seed) % 100) / 50.0f - 1.0f;
    }
    expect_ok(ailurus_cuda_merge(type, c.batch, tokens, rows, c.channels, metric.get(), any.get(), size.get(),
                                 merged.get(), nullptr),
              "merge with any index");
    expect_ok(ailurus_cuda_unfold(type, c.batch, rows, tokens, 3, c.channels, merged.get(), any.get(), weight.get(),
                                  y.get(), nullptr),
              "weighted unfold");
    expect_ok(ailurus_cuda_unfold_residual(type, c.batch, rows, tokens, 3, c.channels, merged.get(), merged.get(),
                                           metric.get(), any.get(), weight.get(), y.get(), nullptr),
              "weighted unfold_residual");
}

// Centres and weights are there for every token, whatever the bits of the stream.
void run(const ailurus_cuda_grid_kmeans_params& params, int64_t batch, int64_t channels, ailurus_cuda_type type) {
    const int64_t tokens = params.prefix + int64_t(params.grid_h) * params.grid_w + params.suffix;
    int64_t rows = 0;
    int64_t choices = 0;
    expect_ok(ailurus_cuda_grid_kmeans_sizes(&params, &rows, &choices), "sizes");
    size_t bytes = 0;
    expect_ok(ailurus_cuda_grid_kmeans_workspace(&params, batch, channels, type, &bytes), "workspace");
    Buffer<unsigned char> x = elements(static_cast<size_t>(batch * tokens * channels), type, 11);
    Buffer<unsigned char> z(static_cast<size_t>(batch * rows * channels) * bytes_of(type));
    Buffer<int32_t> index(static_cast<size_t>(batch * tokens * choices));
    Buffer<float> weight(index.count);
    Buffer<unsigned char> workspace(bytes);
    expect_ok(ailurus_cuda_grid_kmeans(&params, type, batch, channels, x.get(), z.get(), index.get(), weight.get(),
                                       workspace.get(), bytes, nullptr),
              "grid_kmeans");
    for (size_t token = 0; token < static_cast<size_t>(batch * tokens); ++token) {
        float sum = 0.0f;
        for (size_t k = token * choices; k < (token + 1) * choices; ++k) {
            expect(index[k] >= 0 && index[k] < rows, "an index names a row");
            expect(weight[k] >= 0.0f && weight[k] <= 1.0f, "weights are shares");
            sum += params.norm == AILURUS_CUDA_L2 ? weight[k] * weight[k] : weight[k];
        }
        expect(std::fabs(sum - 1.0f) < 1e-5f, "weights have the norm one");
    }
}

}  // namespace

// The driver without a device looks for the names of the kernels in the PTX, and runs none of it.
#define SANITIZED_NAME(name, arguments, threads) ".visible .entry ailurus_" #name "("
#include "../kernels/arguments.h"
static const char PTX[] = AILURUS_CUDA_KERNELS(SANITIZED_NAME);
const ailurus_cuda_image ailurus_cuda_images[] = {{0, reinterpret_cast<const unsigned char*>(PTX), sizeof PTX}};
const size_t ailurus_cuda_image_count = 1;

int main(int count, char** arguments) {
    if (count != 2) {
        return 2;
    }
    expect_ok(ailurus_cuda_load(arguments[1]), "load");
    const Case cases[] = {
        // prefix, suffix, grid, tokens, keep, neighbours, window, mix
        {{1, 0, 9, 13, 50, 0, 0, 1, 24, 0.5f}, 2, 20},
        {{5, 2, 1, 70, 0, 1, 2, 3, 24, 0.5f}, 3, 7},
        {{0, 1, 70, 1, 1, 0, 0, 100, 1000, 0.0f}, 1, 1},
        {{0, 0, 1, 1, 1, 0, 0, 1, 24, 1.0f}, 2, 3},
        {{0, 0, 5, 5, 25, 0, 0, 2, 1, 0.5f}, 1, 64},
        {{2, 0, 34, 33, 3, 0, 0, 2, 30, 0.25f}, 1, 70},
    };
    for (const Case& c : cases) {
        for (const ailurus_cuda_type type : {AILURUS_CUDA_F32, AILURUS_CUDA_F16, AILURUS_CUDA_BF16}) {
            run(c, type);
        }
    }
    const ailurus_cuda_grid_kmeans_params grids[] = {
        // prefix, suffix, grid, clusters, iterations, window, neighbours, ties, temperature, mode, norm
        {1, 0, 9, 13, 4, 7, 3, 5, 4, 0, 5.0f, AILURUS_CUDA_RELATIVE, AILURUS_CUDA_L1},
        {5, 2, 1, 70, 1, 21, 1, 3, 40, 50, 0.3f, AILURUS_CUDA_ABSOLUTE, AILURUS_CUDA_L2},
        {0, 1, 17, 3, 17, 3, 2, 100, 1, 0, 0.0f, AILURUS_CUDA_RELATIVE, AILURUS_CUDA_L2},
        {0, 0, 1, 1, 1, 1, 0, 1, 4, 4, 5.0f, AILURUS_CUDA_RELATIVE, AILURUS_CUDA_L1},
    };
    for (const ailurus_cuda_grid_kmeans_params& params : grids) {
        for (const ailurus_cuda_type type : {AILURUS_CUDA_F32, AILURUS_CUDA_F16}) {
            for (const int64_t channels : {1, 36, 131, 516}) {
                run(params, 2, channels, type);
            }
        }
    }
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
