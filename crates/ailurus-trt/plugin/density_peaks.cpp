// AilurusDensityPeaks: metric [B, T, d] -> index [B, T], anchor [B, R], size [B, R].
#include <algorithm>
#include <cstddef>

#include "grid.h"
#include "log.h"
#include "operator.h"

namespace ailurus_trt {

namespace {

using nvinfer1::DimensionOperation;
using nvinfer1::IDimensionExpr;

using Peaks = ailurus_cuda_density_peaks_params;

constexpr const char* TOKENS = "tokens of `metric`, and those that grid, prefix and suffix make";

bool check(const Params& params) {
    const Peaks& p = params.peaks;
    const Grid grid = grid_of(params.peaks);
    if (!grid.check(DENSITY_PEAKS)) {
        return false;
    }
    if (p.tokens != 0 && (p.keep_num != 0 || p.keep_den != 0)) {
        return refuse(Code::BAD_PARAMETER, DENSITY_PEAKS.name,
                      "`tokens` excludes `keep_num` and `keep_den`: only one says how many clusters there are");
    }
    if (p.tokens == 0 && (p.keep_num == 0 || p.keep_den == 0)) {
        return refuse(Code::MISSING_FIELD, DENSITY_PEAKS.name,
                      "field `tokens` is missing, or both `keep_num` and `keep_den`");
    }
    // The launcher checks the rest, for the smallest grid there can be where it is not static.
    Peaks smallest = p;
    if (!grid.is_static()) {
        smallest.grid_h = 1;
        smallest.grid_w = std::max(1, p.tokens);
    }
    int64_t rows = 0;
    return ailurus_cuda_density_peaks_rows(&smallest, &rows) == AILURUS_CUDA_OK ||
           refuse(Code::BAD_PARAMETER, DENSITY_PEAKS.name, "%s", ailurus_cuda_last_error());
}

int32_t output_count(const Params& params) {
    return grid_of(params.peaks).output_count();
}

// R as an expression of T. A static grid, or a fixed number of clusters, makes it a constant.
const IDimensionExpr* rows(const Params& params, const IDimensionExpr& total, nvinfer1::IExprBuilder& build) {
    const Peaks& p = params.peaks;
    const int64_t outside = grid_of(params.peaks).outside();
    const auto number = [&](int64_t value) { return build.constant(static_cast<int32_t>(value)); };
    const auto combine = [&](DimensionOperation operation, const IDimensionExpr* a, const IDimensionExpr* b) {
        return a == nullptr || b == nullptr ? nullptr : build.operation(operation, *a, *b);
    };
    if (grid_of(params.peaks).is_static()) {
        int64_t count = 0;
        return ailurus_cuda_density_peaks_rows(&p, &count) == AILURUS_CUDA_OK ? number(count) : nullptr;
    }
    if (p.tokens != 0) {
        return number(p.tokens + outside);
    }
    const IDimensionExpr* const patches = combine(DimensionOperation::kSUB, &total, number(outside));
    const IDimensionExpr* const scaled = combine(DimensionOperation::kPROD, patches, number(p.keep_num));
    const IDimensionExpr* const share = combine(DimensionOperation::kCEIL_DIV, scaled, number(p.keep_den));
    const IDimensionExpr* const clusters = combine(DimensionOperation::kMAX, share, number(1));
    return combine(DimensionOperation::kSUM, clusters, number(outside));
}

bool shapes(const Params& params, const Shapes& s) {
    if (!check_rank(DENSITY_PEAKS, "metric", s.in[0].nbDims, 3)) {
        return false;
    }
    const IDimensionExpr* const batch = s.in[0].d[0];
    const IDimensionExpr* const total = s.in[0].d[1];
    const Grid grid = grid_of(params.peaks);
    if (!grid.check_tokens(DENSITY_PEAKS, TOKENS, *total)) {
        return false;
    }
    const IDimensionExpr* const reduced = rows(params, *total, s.build);
    if (reduced == nullptr) {
        return refuse(Code::BAD_SHAPE, DENSITY_PEAKS.name, "no expression for the number of rows");
    }
    for (int32_t i = 0; i < GRID_OUTPUT; ++i) {
        s.out[i].nbDims = 2;
        s.out[i].d[0] = batch;
        s.out[i].d[1] = i == 0 ? total : reduced;
    }
    return grid.shape(DENSITY_PEAKS, s);
}

bool sizes(const Params& params, const Tensors& t) {
    if (!check_rank(DENSITY_PEAKS, "metric", t.in_desc[0].dims.nbDims, 3) ||
        !check_rank(DENSITY_PEAKS, "index", t.out_desc[0].dims.nbDims, 2) ||
        !check_rank(DENSITY_PEAKS, "anchor", t.out_desc[1].dims.nbDims, 2) ||
        !check_rank(DENSITY_PEAKS, "size", t.out_desc[2].dims.nbDims, 2) ||
        !grid_of(params.peaks).check_output(DENSITY_PEAKS, t)) {
        return false;
    }
    const Grid grid = grid_of(params.peaks).of_call(t);
    const Peaks p = with_grid(params.peaks, grid);
    int64_t reduced = 0;
    if (ailurus_cuda_density_peaks_rows(&p, &reduced) != AILURUS_CUDA_OK) {
        return refuse(Code::BAD_SHAPE, DENSITY_PEAKS.name, "%s", ailurus_cuda_last_error());
    }
    const Agreement agreements[] = {
        {TOKENS, t.in_size(0, 1), grid.tokens()},
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
size_t any_grid(const Peaks& p, int64_t patches) {
    int64_t places = 0;
    const int64_t rows = std::min<int64_t>(p.window, patches);
    for (int64_t dy = 0; dy < rows; ++dy) {
        places += 2 * (2 * std::min<int64_t>(patches, p.window / (dy + 1)) - 1);
    }
    return static_cast<size_t>(places) * 2 * sizeof(int32_t);
}

size_t workspace(const Params& params, const nvinfer1::Dims* in) {
    const Grid grid = grid_of(params.peaks);
    Peaks p = params.peaks;
    size_t more = 0;
    if (!grid.is_static()) {
        const int64_t patches = in[0].d[1] - grid.outside();
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
    const Peaks p = with_grid(params.peaks, grid_of(params.peaks).of_call(t));
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

constexpr size_t at(size_t offset) {
    return offsetof(Params, peaks) + offset;
}

constexpr Attribute ATTRIBUTES[] = {
    {"prefix", Kind::INTEGER, true, at(offsetof(Peaks, prefix)), nullptr},
    {"suffix", Kind::INTEGER, true, at(offsetof(Peaks, suffix)), nullptr},
    {"grid_h", Kind::INTEGER, false, at(offsetof(Peaks, grid_h)), nullptr},
    {"grid_w", Kind::INTEGER, false, at(offsetof(Peaks, grid_w)), nullptr},
    {"tokens", Kind::INTEGER, false, at(offsetof(Peaks, tokens)), nullptr},
    {"keep_num", Kind::INTEGER, false, at(offsetof(Peaks, keep_num)), nullptr},
    {"keep_den", Kind::INTEGER, false, at(offsetof(Peaks, keep_den)), nullptr},
    {"neighbors", Kind::INTEGER, true, at(offsetof(Peaks, neighbors)), nullptr},
    {"window", Kind::INTEGER, true, at(offsetof(Peaks, window)), nullptr},
    {"spatial_mix", Kind::FLOAT, true, at(offsetof(Peaks, spatial_mix)), nullptr},
};
constexpr int32_t ATTRIBUTE_COUNT = sizeof ATTRIBUTES / sizeof *ATTRIBUTES;
static_assert(ATTRIBUTE_COUNT <= MOST_ATTRIBUTES, "room for all attributes");

constexpr Port INPUTS[] = {Port::ELEMENT, Port::GRID};
constexpr Port OUTPUTS[MOST_OUTPUTS] = {Port::I32, Port::I32, Port::F32, Port::I32};

}  // namespace

const Operator DENSITY_PEAKS = {
    "AilurusDensityPeaks", ATTRIBUTES, ATTRIBUTE_COUNT, INPUTS, 1, 2, OUTPUTS, check, output_count, shapes, sizes,
    workspace, enqueue,
};

}  // namespace ailurus_trt
