// What the operators that cluster a grid of patches share: checks, workspace, tiles.
#ifndef AILURUS_CUDA_GRID_H
#define AILURUS_CUDA_GRID_H

#include <cstddef>
#include <cstdint>

#include "ailurus_cuda.h"

namespace ailurus_cuda {

constexpr int64_t MOST_PATCHES = int64_t(1) << 20;
// Entries of a table with a row per patch; beyond it the parameters are a mistake, not a model.
constexpr int64_t MOST_ENTRIES = int64_t(1) << 28;
// Elements of an image's patches or centres: kernels count them in 32 bits.
constexpr int64_t MOST_ELEMENTS = int64_t(1) << 32;

// A grid, the tokens before and behind it, and what is on it.
struct Grid {
    int32_t prefix, suffix, height, width;

    int64_t patches() const { return int64_t(height) * width; }
    int64_t tokens() const { return patches() + prefix + suffix; }

    // Refuses numbers that are none, and more of anything than kernels can count.
    ailurus_cuda_status check() const;
    ailurus_cuda_status check_sizes(int64_t batch, int64_t channels) const;
};

// The grid in the parameters of an operator.
template <class Params>
Grid grid_of(const Params& p) {
    return {p.prefix, p.suffix, p.grid_h, p.grid_w};
}

ailurus_cuda_status bad_parameter(const char* name, int value, const char* reason);

unsigned long long divide_up(unsigned long long value, unsigned long long by);

// Parts of a workspace, one behind the other. From null it only counts.
class Layout {
public:
    explicit Layout(void* start) : start_(static_cast<char*>(start)) {}

    template <class T>
    T* part(size_t count) {
        return static_cast<T*>(next(count * sizeof(T)));
    }
    size_t bytes() const { return used_; }

private:
    void* next(size_t bytes);

    char* start_;
    size_t used_ = 0;
};

// Tiles of neighbouring patches: each has 1 << shift rows, and `count` cover the grid.
struct Tiles {
    int shift;
    unsigned long long count;
};

// The shape of tiles of so many patches, with so many columns if the grid allows.
Tiles choose_tiles(int height, int width, int patches, int columns);

}  // namespace ailurus_cuda

#endif
