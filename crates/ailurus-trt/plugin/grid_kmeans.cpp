// AilurusGridKMeans: x [B, T, C] -> z [B, R, C], index [B, T, K], weight [B, T, K].
#include <algorithm>
#include <cstddef>

#include "grid.h"
#include "log.h"
#include "operator.h"

namespace ailurus_trt {

namespace {

using GridParams = ailurus_cuda_grid_kmeans_params;

constexpr const char* TOKENS = "tokens of `x`, and those that grid, prefix and suffix make";

// The least grid of so many patches or more on which the centres have room.
GridParams with_room(const Params& params, int64_t patches) {
    GridParams p = params.means;
    p.grid_h = std::max(1, p.cluster_h);
    const int64_t columns = (patches + p.grid_h - 1) / p.grid_h;
    p.grid_w = columns > INT32_MAX ? 0 : std::max(static_cast<int32_t>(columns), p.cluster_w);
    return p;
}

// Rows and choices; neither depends on the grid.
struct Sizes {
    int64_t rows = 0;
    int64_t choices = 0;
};

bool check(const Params& params) {
    const Grid grid = grid_of(params.means);
    if (!grid.check(GRID_KMEANS)) {
        return false;
    }
    // The launcher checks the rest, for the smallest grid there can be where it is not static.
    const GridParams p = grid.is_static() ? params.means : with_room(params, 1);
    Sizes sizes;
    return ailurus_cuda_grid_kmeans_sizes(&p, &sizes.rows, &sizes.choices) == AILURUS_CUDA_OK ||
           refuse(Code::BAD_PARAMETER, GRID_KMEANS.name, "%s", ailurus_cuda_last_error());
}

int32_t output_count(const Params& params) {
    return grid_of(params.means).output_count();
}

bool shapes(const Params& params, const Shapes& s) {
    const Grid grid = grid_of(params.means);
    if (!check_rank(GRID_KMEANS, "x", s.in[0].nbDims, 3) ||
        !grid.check_tokens(GRID_KMEANS, TOKENS, *s.in[0].d[1])) {
        return false;
    }
    const GridParams p = grid.is_static() ? params.means : with_room(params, 1);
    Sizes sizes;
    if (ailurus_cuda_grid_kmeans_sizes(&p, &sizes.rows, &sizes.choices) != AILURUS_CUDA_OK) {
        return refuse(Code::BAD_SHAPE, GRID_KMEANS.name, "%s", ailurus_cuda_last_error());
    }
    for (int32_t i = 0; i < GRID_OUTPUT; ++i) {
        s.out[i] = s.in[0];
    }
    s.out[0].d[1] = s.build.constant(static_cast<int32_t>(sizes.rows));
    s.out[1].d[2] = s.out[2].d[2] = s.build.constant(static_cast<int32_t>(sizes.choices));
    return grid.shape(GRID_KMEANS, s);
}

bool sizes(const Params& params, const Tensors& t) {
    const char* const names[] = {"z", "index", "weight"};
    if (!check_rank(GRID_KMEANS, "x", t.in_desc[0].dims.nbDims, 3) || !grid_of(params.means).check_output(GRID_KMEANS, t)) {
        return false;
    }
    for (int32_t i = 0; i < GRID_OUTPUT; ++i) {
        if (!check_rank(GRID_KMEANS, names[i], t.out_desc[i].dims.nbDims, 3)) {
            return false;
        }
    }
    const Grid grid = grid_of(params.means).of_call(t);
    const GridParams p = with_grid(params.means, grid);
    Sizes made;
    if (ailurus_cuda_grid_kmeans_sizes(&p, &made.rows, &made.choices) != AILURUS_CUDA_OK) {
        return refuse(Code::BAD_SHAPE, GRID_KMEANS.name, "%s", ailurus_cuda_last_error());
    }
    const Agreement agreements[] = {
        {TOKENS, t.in_size(0, 1), grid.tokens()},
        {"batch of `x` and `z`", t.in_size(0, 0), t.out_size(0, 0)},
        {"rows of `z`, and those that the parameters make", t.out_size(0, 1), made.rows},
        {"channels of `x` and `z`", t.in_size(0, 2), t.out_size(0, 2)},
        {"batch of `x` and `index`", t.in_size(0, 0), t.out_size(1, 0)},
        {"tokens of `x` and `index`", t.in_size(0, 1), t.out_size(1, 1)},
        {"rows per token of `index`, and those that the parameters make", t.out_size(1, 2), made.choices},
        {"batch of `x` and `weight`", t.in_size(0, 0), t.out_size(2, 0)},
        {"tokens of `x` and `weight`", t.in_size(0, 1), t.out_size(2, 1)},
        {"rows per token of `weight`, and those that the parameters make", t.out_size(2, 2), made.choices},
    };
    return check_sizes(GRID_KMEANS, agreements, 10);
}

size_t workspace(const Params& params, const nvinfer1::Dims* in) {
    const Grid grid = grid_of(params.means);
    const int64_t batch = in[0].d[0];
    const int64_t patches = in[0].d[1] - grid.outside();
    const GridParams p = grid.is_static() ? params.means : with_room(params, patches);
    size_t bytes = 0;
    if (ailurus_cuda_grid_kmeans_workspace(&p, batch, in[0].d[2], AILURUS_CUDA_F32, &bytes) != AILURUS_CUDA_OK) {
        refuse(Code::BAD_SHAPE, GRID_KMEANS.name, "%s", ailurus_cuda_last_error());
        return 0;
    }
    // Other grids of as many patches may have more tiles, at most one per patch, each with a number.
    return grid.is_static() ? bytes : bytes + static_cast<size_t>(batch * patches) * sizeof(double);
}

ailurus_cuda_status enqueue(const Params& params, const Tensors& t) {
    const GridParams p = with_grid(params.means, grid_of(params.means).of_call(t));
    size_t bytes = 0;
    const ailurus_cuda_status status =
        ailurus_cuda_grid_kmeans_workspace(&p, t.in_size(0, 0), t.in_size(0, 2), t.type(), &bytes);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    // TensorRT gives at least what `workspace` asked for, which is enough for every smaller call.
    return ailurus_cuda_grid_kmeans(&p, t.type(), t.in_size(0, 0), t.in_size(0, 2), t.in[0], t.out[0],
                                    static_cast<int32_t*>(t.out[1]), static_cast<float*>(t.out[2]), t.workspace, bytes,
                                    t.stream);
}

// In the order of their numbers in the launcher.
constexpr const char* MODES[] = {"absolute", "relative", nullptr};
constexpr const char* NORMS[] = {"l1", "l2", nullptr};

constexpr size_t at(size_t offset) {
    return offsetof(Params, means) + offset;
}

constexpr Attribute ATTRIBUTES[] = {
    {"prefix", Kind::INTEGER, true, at(offsetof(GridParams, prefix)), nullptr},
    {"suffix", Kind::INTEGER, true, at(offsetof(GridParams, suffix)), nullptr},
    {"grid_h", Kind::INTEGER, false, at(offsetof(GridParams, grid_h)), nullptr},
    {"grid_w", Kind::INTEGER, false, at(offsetof(GridParams, grid_w)), nullptr},
    {"cluster_h", Kind::INTEGER, true, at(offsetof(GridParams, cluster_h)), nullptr},
    {"cluster_w", Kind::INTEGER, true, at(offsetof(GridParams, cluster_w)), nullptr},
    {"iterations", Kind::INTEGER, true, at(offsetof(GridParams, iterations)), nullptr},
    {"window", Kind::INTEGER, true, at(offsetof(GridParams, window)), nullptr},
    {"neighbors", Kind::INTEGER, true, at(offsetof(GridParams, neighbors)), nullptr},
    {"ties", Kind::INTEGER, true, at(offsetof(GridParams, ties)), nullptr},
    {"temperature", Kind::FLOAT, true, at(offsetof(GridParams, temperature)), nullptr},
    {"temperature_mode", Kind::CHOICE, true, at(offsetof(GridParams, temperature_mode)), MODES},
    {"norm", Kind::CHOICE, true, at(offsetof(GridParams, norm)), NORMS},
};
constexpr int32_t ATTRIBUTE_COUNT = sizeof ATTRIBUTES / sizeof *ATTRIBUTES;
static_assert(ATTRIBUTE_COUNT <= MOST_ATTRIBUTES, "room for all attributes");

constexpr Port INPUTS[] = {Port::ELEMENT, Port::GRID};
constexpr Port OUTPUTS[MOST_OUTPUTS] = {Port::ELEMENT, Port::I32, Port::F32, Port::I32};

}  // namespace

const Operator GRID_KMEANS = {
    "AilurusGridKMeans", ATTRIBUTES, ATTRIBUTE_COUNT, INPUTS, 1, 2, OUTPUTS, check, output_count, shapes, sizes,
    workspace, enqueue,
};

}  // namespace ailurus_trt
