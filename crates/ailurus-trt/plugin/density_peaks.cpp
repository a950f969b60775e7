// AilurusDensityPeaks: metric [B, T, d] -> index [B, T], anchor [B, R], size [B, R].
//
// Where the grid is an input it has to be a shape tensor, whose values TensorRT has on the host: kernels are launched for
// a grid, and reading it from the device would mean to wait for it. TensorRT shows such values while it computes shapes
// and not afterwards, so a fourth output, which nothing reads or writes, carries them as its shape, [H, W].
#include <algorithm>
#include <cstddef>

#include "log.h"
#include "operator.h"

namespace ailurus_trt {

namespace {

using nvinfer1::DimensionOperation;
using nvinfer1::IDimensionExpr;

// Position of the output whose shape is the grid.
constexpr int32_t GRID = 3;

bool is_static(const Params& p) {
    return p.grid_h != 0;
}

int64_t outside(const Params& p) {
    return int64_t(p.prefix) + p.suffix;
}

bool check(const Params& params) {
    if ((params.grid_h == 0) != (params.grid_w == 0)) {
        const char* const missing = params.grid_h == 0 ? "grid_h" : "grid_w";
        return refuse(Code::MISSING_FIELD, DENSITY_PEAKS.name, "field `%s` is missing: `grid_h` and `grid_w` go together",
                      missing);
    }
#if !AILURUS_TRT_V3
    if (!is_static(params)) {
        return refuse(Code::NO_GRID, DENSITY_PEAKS.name,
                      "fields `grid_h` and `grid_w` are missing, and TensorRT 8 takes no grid at run time: give the "
                      "model a static size");
    }
#endif
    if (params.tokens != 0 && (params.keep_num != 0 || params.keep_den != 0)) {
        return refuse(Code::BAD_PARAMETER, DENSITY_PEAKS.name,
                      "`tokens` excludes `keep_num` and `keep_den`: only one says how many clusters there are");
    }
    if (params.tokens == 0 && (params.keep_num == 0 || params.keep_den == 0)) {
        return refuse(Code::MISSING_FIELD, DENSITY_PEAKS.name,
                      "field `tokens` is missing, or both `keep_num` and `keep_den`");
    }
    // The launcher checks the rest, for the smallest grid there can be where it is not static.
    Params smallest = params;
    if (!is_static(params)) {
        smallest.grid_h = 1;
        smallest.grid_w = std::max(1, params.tokens);
    }
    int64_t rows = 0;
    return ailurus_cuda_density_peaks_rows(&smallest, &rows) == AILURUS_CUDA_OK ||
           refuse(Code::BAD_PARAMETER, DENSITY_PEAKS.name, "%s", ailurus_cuda_last_error());
}

int32_t output_count(const Params& params) {
    return is_static(params) ? GRID : GRID + 1;
}

// R as an expression of T. A static grid, or a fixed number of clusters, makes it a constant.
const IDimensionExpr* rows(const Params& p, const IDimensionExpr& total, nvinfer1::IExprBuilder& build) {
    const auto number = [&](int64_t value) { return build.constant(static_cast<int32_t>(value)); };
    const auto combine = [&](DimensionOperation operation, const IDimensionExpr* a, const IDimensionExpr* b) {
        return a == nullptr || b == nullptr ? nullptr : build.operation(operation, *a, *b);
    };
    if (is_static(p)) {
        int64_t count = 0;
        return ailurus_cuda_density_peaks_rows(&p, &count) == AILURUS_CUDA_OK ? number(count) : nullptr;
    }
    if (p.tokens != 0) {
        return number(p.tokens + outside(p));
    }
    const IDimensionExpr* const patches = combine(DimensionOperation::kSUB, &total, number(outside(p)));
    const IDimensionExpr* const scaled = combine(DimensionOperation::kPROD, patches, number(p.keep_num));
    const IDimensionExpr* const share = combine(DimensionOperation::kCEIL_DIV, scaled, number(p.keep_den));
    const IDimensionExpr* const clusters = combine(DimensionOperation::kMAX, share, number(1));
    return combine(DimensionOperation::kSUM, clusters, number(outside(p)));
}

bool grid_shape(const Shapes& s) {
    if (s.value_count != 1 || s.values[0].nbDims != 2) {
        return refuse(Code::NO_GRID, DENSITY_PEAKS.name,
                      "neither fields `grid_h` and `grid_w` nor two values of a shape input: the node needs the "
                      "attribute tensorrt_plugin_shape_input_indices = [1]");
    }
    s.out[GRID] = s.values[0];
    return true;
}

bool shapes(const Params& params, const Shapes& s) {
    if (!check_rank(DENSITY_PEAKS, "metric", s.in[0].nbDims, 3)) {
        return false;
    }
    const IDimensionExpr* const batch = s.in[0].d[0];
    const IDimensionExpr* const total = s.in[0].d[1];
    if (is_static(params) && total->isConstant()) {
        const Agreement tokens = {"tokens of `metric`, and those that grid, prefix and suffix make",
                                  total->getConstantValue(), int64_t(params.grid_h) * params.grid_w + outside(params)};
        if (!check_sizes(DENSITY_PEAKS, &tokens, 1)) {
            return false;
        }
    }
    const IDimensionExpr* const reduced = rows(params, *total, s.build);
    if (reduced == nullptr) {
        return refuse(Code::BAD_SHAPE, DENSITY_PEAKS.name, "no expression for the number of rows");
    }
    for (int32_t i = 0; i < GRID; ++i) {
        s.out[i].nbDims = 2;
        s.out[i].d[0] = batch;
        s.out[i].d[1] = i == 0 ? total : reduced;
    }
    return is_static(params) || grid_shape(s);
}

// The parameters with the grid of a call.
Params with_grid(const Params& params, const Tensors& t) {
    Params p = params;
    if (!is_static(params)) {
        // Sizes beyond 31 bits become 0, which the launcher refuses.
        const auto narrow = [](int64_t size) { return size > INT32_MAX ? 0 : static_cast<int32_t>(size); };
        p.grid_h = narrow(t.out_size(GRID, 0));
        p.grid_w = narrow(t.out_size(GRID, 1));
    }
    return p;
}

bool sizes(const Params& params, const Tensors& t) {
    if (!check_rank(DENSITY_PEAKS, "metric", t.in_desc[0].dims.nbDims, 3) ||
        !check_rank(DENSITY_PEAKS, "index", t.out_desc[0].dims.nbDims, 2) ||
        !check_rank(DENSITY_PEAKS, "anchor", t.out_desc[1].dims.nbDims, 2) ||
        !check_rank(DENSITY_PEAKS, "size", t.out_desc[2].dims.nbDims, 2) ||
        (!is_static(params) && !check_rank(DENSITY_PEAKS, "grid", t.out_desc[GRID].dims.nbDims, 2))) {
        return false;
    }
    const Params p = with_grid(params, t);
    int64_t reduced = 0;
    if (ailurus_cuda_density_peaks_rows(&p, &reduced) != AILURUS_CUDA_OK) {
        return refuse(Code::BAD_SHAPE, DENSITY_PEAKS.name, "%s", ailurus_cuda_last_error());
    }
    const Agreement agreements[] = {
        {"tokens of `metric`, and those that grid, prefix and suffix make", t.in_size(0, 1),
         int64_t(p.grid_h) * p.grid_w + outside(p)},
        {"batch of `metric` and `index`", t.in_size(0, 0), t.out_size(0, 0)},
        {"tokens of `metric` and `index`", t.in_size(0, 1), t.out_size(0, 1)},
        {"batch of `metric` and `anchor`", t.in_size(0, 0), t.out_size(1, 0)},
        {"rows of `anchor`, and those that the parameters make", t.out_size(1, 1), reduced},
        {"batch of `metric` and `size`", t.in_size(0, 0), t.out_size(2, 0)},
        {"rows of `size`, and those that the parameters make", t.out_size(2, 1), reduced},
    };
    return check_sizes(DENSITY_PEAKS, agreements, 7);
}

// Bytes for the places that windows can reach on any grid of so many patches; those of a line are part of the rest.
size_t any_grid(const Params& p, int64_t patches) {
    int64_t places = 0;
    const int64_t rows = std::min<int64_t>(p.window, patches);
    for (int64_t dy = 0; dy < rows; ++dy) {
        places += 2 * (2 * std::min<int64_t>(patches, p.window / (dy + 1)) - 1);
    }
    return static_cast<size_t>(places) * 2 * sizeof(int32_t);
}

size_t workspace(const Params& params, const nvinfer1::Dims* in) {
    Params p = params;
    size_t more = 0;
    if (!is_static(p)) {
        const int64_t patches = in[0].d[1] - outside(p);
        p.grid_h = 1;
        p.grid_w = patches > INT32_MAX ? 0 : static_cast<int32_t>(patches);
        more = patches > 0 ? any_grid(p, patches) : 0;
    }
    size_t bytes = 0;
    if (ailurus_cuda_density_peaks_workspace(&p, in[0].d[0], in[0].d[2], AILURUS_CUDA_F32, &bytes) != AILURUS_CUDA_OK) {
        refuse(Code::BAD_SHAPE, DENSITY_PEAKS.name, "%s", ailurus_cuda_last_error());
        return 0;
    }
    return bytes + more;
}

ailurus_cuda_status enqueue(const Params& params, const Tensors& t) {
    const Params p = with_grid(params, t);
    size_t bytes = 0;
    const ailurus_cuda_status status =
        ailurus_cuda_density_peaks_workspace(&p, t.in_size(0, 0), t.in_size(0, 2), t.type(), &bytes);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    // TensorRT gives at least what `workspace` asked for, which is enough for every smaller call.
    return ailurus_cuda_density_peaks(&p, t.type(), t.in_size(0, 0), t.in_size(0, 2), t.in[0],
                                      static_cast<int32_t*>(t.out[0]), static_cast<int32_t*>(t.out[1]),
                                      static_cast<float*>(t.out[2]), t.workspace, bytes, t.stream);
}

constexpr Attribute ATTRIBUTES[] = {
    {"prefix", false, true, offsetof(Params, prefix)},
    {"suffix", false, true, offsetof(Params, suffix)},
    {"grid_h", false, false, offsetof(Params, grid_h)},
    {"grid_w", false, false, offsetof(Params, grid_w)},
    {"tokens", false, false, offsetof(Params, tokens)},
    {"keep_num", false, false, offsetof(Params, keep_num)},
    {"keep_den", false, false, offsetof(Params, keep_den)},
    {"neighbors", false, true, offsetof(Params, neighbors)},
    {"window", false, true, offsetof(Params, window)},
    {"spatial_mix", true, true, offsetof(Params, spatial_mix)},
};
static_assert(sizeof ATTRIBUTES / sizeof *ATTRIBUTES == MOST_ATTRIBUTES, "room for all attributes");

constexpr Port INPUTS[] = {Port::ELEMENT, Port::GRID};
constexpr Port OUTPUTS[MOST_OUTPUTS] = {Port::I32, Port::I32, Port::F32, Port::I32};

}  // namespace

const Operator DENSITY_PEAKS = {
    "AilurusDensityPeaks", ATTRIBUTES, MOST_ATTRIBUTES, INPUTS, 1, 2, OUTPUTS, check, output_count, shapes, sizes,
    workspace, enqueue,
};

}  // namespace ailurus_trt
