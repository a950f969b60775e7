// AilurusMerge: x [B, T, D], index [B, T], size [B, R] -> y [B, R, D].
#include "operator.h"

namespace ailurus_trt {

namespace {

bool shapes(const Params&, const Shapes& s) {
    if (!check_rank(MERGE, "x", s.in[0].nbDims, 3) || !check_rank(MERGE, "index", s.in[1].nbDims, 2) ||
        !check_rank(MERGE, "size", s.in[2].nbDims, 2)) {
        return false;
    }
    s.out[0] = s.in[0];
    s.out[0].d[1] = s.in[2].d[1];
    return true;
}

bool sizes(const Params&, const Tensors& t) {
    if (!check_rank(MERGE, "x", t.in_desc[0].dims.nbDims, 3) ||
        !check_rank(MERGE, "index", t.in_desc[1].dims.nbDims, 2) ||
        !check_rank(MERGE, "size", t.in_desc[2].dims.nbDims, 2) ||
        !check_rank(MERGE, "y", t.out_desc[0].dims.nbDims, 3)) {
        return false;
    }
    const Agreement agreements[] = {
        {"batch of `x` and `index`", t.in_size(0, 0), t.in_size(1, 0)},
        {"tokens of `x` and `index`", t.in_size(0, 1), t.in_size(1, 1)},
        {"batch of `x` and `size`", t.in_size(0, 0), t.in_size(2, 0)},
        {"batch of `x` and `y`", t.in_size(0, 0), t.out_size(0, 0)},
        {"rows of `size` and `y`", t.in_size(2, 1), t.out_size(0, 1)},
        {"channels of `x` and `y`", t.in_size(0, 2), t.out_size(0, 2)},
    };
    return check_sizes(MERGE, agreements, 6);
}

ailurus_cuda_status enqueue(const Params&, const Tensors& t) {
    return ailurus_cuda_merge(t.type(), t.in_size(0, 0), t.in_size(0, 1), t.in_size(2, 1), t.in_size(0, 2), t.in[0],
                              static_cast<const int32_t*>(t.in[1]), static_cast<const float*>(t.in[2]), t.out[0],
                              t.stream);
}

constexpr Port INPUTS[] = {Port::ELEMENT, Port::I32, Port::F32};
constexpr Port OUTPUTS[MOST_OUTPUTS] = {Port::ELEMENT};

}  // namespace

const Operator MERGE = {
    "AilurusMerge", nullptr, 0, INPUTS, 3, 3, OUTPUTS, no_attributes, one_output, shapes, sizes, no_workspace, enqueue,
};

}  // namespace ailurus_trt
