// What every kernel is given: one structure, passed by value. The launcher (C++) fills it and the kernels (CUDA) read
// it, so both sides are compiled from this one definition. Only types that NVRTC knows without a header.
#ifndef AILURUS_CUDA_ARGUMENTS_H
#define AILURUS_CUDA_ARGUMENTS_H

// Every kernel of AilurusDensityPeaks. B images, P prefix tokens, N = height * width patches, S suffix tokens,
// T = P + N + S, M clusters, R = P + M + S, d channels, V = ranks = min(window, N).
struct ailurus_density_peaks_arguments {
    const void* metric;  // [B, T, d]
    int* index;          // [B, T]
    int* anchor;         // [B, R]
    float* size;         // [B, R]

    // Parts of the workspace.
    int* offsets;        // [offset_count, 2]: dy, dx of every place a window can reach, in the order of rank
    unsigned* windows;   // [N, V]: the patches of every window in the order of rank, the patch itself first
    float* weights;      // [V]: factor of the squared distance at every rank
    float* distance;     // [B, N, V]: squared mixed distances; rank 0 is never written nor read
    float* mean;         // [B, N]: mean of the smallest distances
    unsigned* largest;   // [B]: bits of the largest distance below "far"
    unsigned* score;     // [B, N]: ln(rho delta) as an integer that orders alike
    int* row;            // [B, N]: row of an anchor among the clusters, -1 for other patches

    int batch;
    int prefix;
    int suffix;
    int height;
    int width;
    int channels;
    int clusters;
    int neighbors;
    int window;
    int ranks;
    int offset_count;
    int tile_shift;      // a tile of patches has 1 << tile_shift rows
    float spatial_mix;
};

// Every kernel of AilurusGridKMeans. M = cluster_height * cluster_width centres, C channels, K choices; R = P + M + S.
struct ailurus_grid_kmeans_arguments {
    const void* x;       // [B, T, C]
    void* z;             // [B, R, C]
    int* index;          // [B, T, K]; while searching, numbers of centres
    float* weight;       // [B, T, K]; while searching, distances

    // Parts of the workspace.
    unsigned* centres;   // [B, M, stride]: bits of f32; channels beyond the last are zero
    float* around;       // [B, N, places]: distances to the centres around the patch's cell, then their weights
    double* nearest;     // [B, tiles]: the least distances of a tile's patches, added up

    int batch;
    int prefix;
    int suffix;
    int height;
    int width;
    int cluster_height;
    int cluster_width;
    int channels;
    int stride;          // channels, rounded up to a multiple of four
    int radius;          // a patch looks at the centres within so many rows and columns of its cell,
    int places;          // at most so many
    int neighbors;
    int choices;         // K
    int tile_shift;      // a tile of patches has 1 << tile_shift rows
    int tiles;           // of an image
    int relative;        // the temperature is relative to the mean least distance
    int squared_norm;    // weights are divided by the root of the sum of their squares
    int last;            // centres are final and are written to z
    float row_scale;     // cluster_height / height, cluster_width / width
    float column_scale;
    float temperature;
};

// AilurusMerge.
struct ailurus_merge_arguments {
    const void* x;       // [B, T, D]
    const int* index;    // [B, T]
    const float* size;   // [B, R]
    void* y;             // [B, R, D]
    int tokens;
    int rows;
    int channels;
    int block_rows;      // rows one block makes, at most AILURUS_MERGE_ROWS
    int lanes_shift;     // 1 << lanes_shift neighbouring threads share a row
};

// AilurusUnfold and AilurusUnfoldResidual. Copies count in units of 16, 4 or 2 bytes, sums in elements.
struct ailurus_unfold_arguments {
    const void* z;       // [B, R, D]
    const void* start;   // [B, R, D]; null for AilurusUnfold
    const void* base;    // [B, T, D]; null for AilurusUnfold
    const int* index;    // [B, T, K]
    const float* weight; // [B, T, K]; null: K = 1, weight one
    void* y;             // [B, T, D]
    int batch;
    int rows;
    int tokens;
    int choices;         // K
    int channels;        // D, or the units of a row for a copy
    int lanes_shift;     // 1 << lanes_shift neighbouring threads share a token
};

// Patches that a block of the distance kernel handles, patches a warp handles, ranks it handles at a time.
#define AILURUS_TILE 32
#define AILURUS_WARP_PATCHES 8
#define AILURUS_RANK_BATCH 8
// Most batches of ranks that are worked on side by side in a block.
#define AILURUS_RANK_GROUPS 3
// The same for the distances to centres: patches of a block, batches of centres side by side.
#define AILURUS_GRID_TILE 16
#define AILURUS_GRID_GROUPS 4
// Threads of a block that makes centres, and patches it lists at a time.
#define AILURUS_GRID_LOOKERS 128
// Most rows a block of the merge kernel makes, and members of a row it can list.
#define AILURUS_MERGE_ROWS 32
#define AILURUS_MERGE_SLOTS 64

// Every kernel: X(name, structure, threads a block may have). Kernels are called ailurus_<name>.
#define AILURUS_CUDA_KERNELS(X)                                                                                        \
    X(offsets, ailurus_density_peaks_arguments, 128)                                                                   \
    X(windows, ailurus_density_peaks_arguments, 256)                                                                   \
    X(distances_f32, ailurus_density_peaks_arguments, 384)                                                             \
    X(distances_f32_any, ailurus_density_peaks_arguments, 384)                                                         \
    X(distances_f16, ailurus_density_peaks_arguments, 384)                                                             \
    X(distances_f16_any, ailurus_density_peaks_arguments, 384)                                                         \
    X(distances_bf16, ailurus_density_peaks_arguments, 384)                                                            \
    X(distances_bf16_any, ailurus_density_peaks_arguments, 384)                                                        \
    X(scores, ailurus_density_peaks_arguments, 256)                                                                    \
    X(select, ailurus_density_peaks_arguments, 1024)                                                                   \
    X(assign, ailurus_density_peaks_arguments, 256)                                                                    \
    X(grid_pool_f32, ailurus_grid_kmeans_arguments, 256)                                                               \
    X(grid_pool_f32_any, ailurus_grid_kmeans_arguments, 256)                                                           \
    X(grid_pool_f16, ailurus_grid_kmeans_arguments, 256)                                                               \
    X(grid_pool_f16_any, ailurus_grid_kmeans_arguments, 256)                                                           \
    X(grid_around_f32, ailurus_grid_kmeans_arguments, 256)                                                             \
    X(grid_around_f32_any, ailurus_grid_kmeans_arguments, 256)                                                         \
    X(grid_around_f16, ailurus_grid_kmeans_arguments, 256)                                                             \
    X(grid_around_f16_any, ailurus_grid_kmeans_arguments, 256)                                                         \
    X(grid_update_f32, ailurus_grid_kmeans_arguments, AILURUS_GRID_LOOKERS)                                            \
    X(grid_update_f32_any, ailurus_grid_kmeans_arguments, AILURUS_GRID_LOOKERS)                                        \
    X(grid_update_f16, ailurus_grid_kmeans_arguments, AILURUS_GRID_LOOKERS)                                            \
    X(grid_update_f16_any, ailurus_grid_kmeans_arguments, AILURUS_GRID_LOOKERS)                                        \
    X(grid_search_f32, ailurus_grid_kmeans_arguments, 256)                                                             \
    X(grid_search_f32_any, ailurus_grid_kmeans_arguments, 256)                                                         \
    X(grid_search_f16, ailurus_grid_kmeans_arguments, 256)                                                             \
    X(grid_search_f16_any, ailurus_grid_kmeans_arguments, 256)                                                         \
    X(grid_weights, ailurus_grid_kmeans_arguments, 256)                                                                \
    X(grid_finish, ailurus_grid_kmeans_arguments, 256)                                                                 \
    X(merge_f32, ailurus_merge_arguments, 256)                                                                         \
    X(merge_f32_any, ailurus_merge_arguments, 256)                                                                     \
    X(merge_f16, ailurus_merge_arguments, 256)                                                                         \
    X(merge_f16_any, ailurus_merge_arguments, 256)                                                                     \
    X(merge_bf16, ailurus_merge_arguments, 256)                                                                        \
    X(merge_bf16_any, ailurus_merge_arguments, 256)                                                                    \
    X(unfold_copy16, ailurus_unfold_arguments, 256)                                                                    \
    X(unfold_copy4, ailurus_unfold_arguments, 256)                                                                     \
    X(unfold_copy2, ailurus_unfold_arguments, 256)                                                                     \
    X(unfold_sum_f32, ailurus_unfold_arguments, 256)                                                                   \
    X(unfold_sum_f32_any, ailurus_unfold_arguments, 256)                                                               \
    X(unfold_sum_f16, ailurus_unfold_arguments, 256)                                                                   \
    X(unfold_sum_f16_any, ailurus_unfold_arguments, 256)                                                               \
    X(unfold_sum_bf16, ailurus_unfold_arguments, 256)                                                                  \
    X(unfold_sum_bf16_any, ailurus_unfold_arguments, 256)                                                              \
    X(unfold_residual_f32, ailurus_unfold_arguments, 256)                                                              \
    X(unfold_residual_f32_any, ailurus_unfold_arguments, 256)                                                          \
    X(unfold_residual_f16, ailurus_unfold_arguments, 256)                                                              \
    X(unfold_residual_f16_any, ailurus_unfold_arguments, 256)                                                          \
    X(unfold_residual_bf16, ailurus_unfold_arguments, 256)                                                             \
    X(unfold_residual_bf16_any, ailurus_unfold_arguments, 256)

#endif
