// The grid of centres over the grid of patches: cells, what a patch looks at, and which patches look at a centre.
#pragma once

#include "platform.cuh"

namespace ailurus {

using GridArguments = ailurus_grid_kmeans_arguments;

AILURUS_DEVICE int grid_patches(const GridArguments& a) {
    return a.height * a.width;
}

AILURUS_DEVICE int grid_clusters(const GridArguments& a) {
    return a.cluster_height * a.cluster_width;
}

AILURUS_DEVICE size_t grid_tokens(const GridArguments& a) {
    return static_cast<size_t>(a.prefix) + grid_patches(a) + a.suffix;
}

// The cell of a patch along one axis; `scale` is cells / patches in f32. Cells of patches ascend.
AILURUS_DEVICE int cell_of(int patch, float scale, int cells) {
    return least(static_cast<int>(__fmul_rn(static_cast<float>(patch), scale)), cells - 1);
}

// The first patch along one axis whose cell is `cell` or a later one.
AILURUS_DEVICE int first_patch_of(int cell, float scale, int cells, int patches) {
    int low = 0;
    int high = patches;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (cell_of(middle, scale, cells) < cell) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The centres that a patch looks at, numbered row by row: their numbers ascend.
struct Window {
    int row;
    int column;
    int rows;
    int columns;

    AILURUS_DEVICE int count() const {
        return rows * columns;
    }
    // The place of a centre of the grid among them, -1 if it is none of them.
    AILURUS_DEVICE int place(int centre_row, int centre_column) const {
        const int y = centre_row - row;
        const int x = centre_column - column;
        return y >= 0 && y < rows && x >= 0 && x < columns ? y * columns + x : -1;
    }
    // The number of the centre at a place.
    AILURUS_DEVICE int centre(int place, int cluster_width) const {
        return (row + place / columns) * cluster_width + column + place % columns;
    }
};

AILURUS_DEVICE Window window_of(const GridArguments& a, int patch) {
    const int y = cell_of(patch / a.width, a.row_scale, a.cluster_height);
    const int x = cell_of(patch % a.width, a.column_scale, a.cluster_width);
    Window window;
    window.row = y > a.radius ? y - a.radius : 0;
    window.column = x > a.radius ? x - a.radius : 0;
    window.rows = least(y + a.radius + 1, a.cluster_height) - window.row;
    window.columns = least(x + a.radius + 1, a.cluster_width) - window.column;
    return window;
}

}  // namespace ailurus
