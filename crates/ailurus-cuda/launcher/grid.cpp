#include "grid.h"

#include <algorithm>

#include "check.h"
#include "status.h"

namespace ailurus_cuda {

namespace {

// Parts of a workspace start at multiples of this.
constexpr size_t PART_ALIGNMENT = 256;

}  // namespace

ailurus_cuda_status bad_parameter(const char* name, int value, const char* reason) {
    return fail(AILURUS_CUDA_BAD_PARAMETER, "%s = %d: %s", name, value, reason);
}

ailurus_cuda_status Grid::check() const {
    if (prefix < 0 || suffix < 0) {
        return bad_parameter(prefix < 0 ? "prefix" : "suffix", std::min(prefix, suffix), "it must not be negative");
    }
    if (height <= 0 || width <= 0) {
        return bad_parameter(height <= 0 ? "grid_h" : "grid_w", std::min(height, width),
                             "a grid has at least one row and one column");
    }
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status Grid::check_sizes(int64_t batch, int64_t channels) const {
    const Size sizes[] = {{"patches", patches(), MOST_PATCHES},
                          {"tokens in all", tokens(), MOST_TOKENS},
                          {"channels", channels, MOST_CHANNELS},
                          {"batch", batch == 0 ? 1 : batch, MOST_TOKENS}};
    const ailurus_cuda_status status = ailurus_cuda::check_sizes(sizes, 4);
    if (status == AILURUS_CUDA_OK && patches() * channels > MOST_ELEMENTS) {
        return fail(AILURUS_CUDA_TOO_LARGE, "%lld patches of %lld channels", static_cast<long long>(patches()),
                    static_cast<long long>(channels));
    }
    return status;
}

unsigned long long divide_up(unsigned long long value, unsigned long long by) {
    return (value + by - 1) / by;
}

void* Layout::next(size_t bytes) {
    char* const at = start_ == nullptr ? nullptr : start_ + used_;
    used_ += (bytes + PART_ALIGNMENT - 1) / PART_ALIGNMENT * PART_ALIGNMENT;
    return at;
}

Tiles choose_tiles(int height, int width, int patches, int columns) {
    int wide = 1;
    while (wide < columns && wide < width) {
        wide *= 2;
    }
    Tiles tiles = {0, 0};
    while ((1 << tiles.shift) < patches / wide && (1 << tiles.shift) < height) {
        ++tiles.shift;
    }
    const unsigned rows = 1u << tiles.shift;
    tiles.count = divide_up(static_cast<unsigned>(height), rows) *
                  divide_up(static_cast<unsigned>(width), static_cast<unsigned>(patches) / rows);
    return tiles;
}

}  // namespace ailurus_cuda
