// AilurusUnfoldResidual: z, start [B, R, D], base [B, T, D], index [B, T] or [B, T, K] with weight -> y [B, T, D].
#include "unfold.h"

namespace ailurus_trt {

namespace {

bool shapes(const Params&, const Shapes& s) {
    if (!check_rank(UNFOLD_RESIDUAL, "z", s.in[0].nbDims, 3) ||
        !check_rank(UNFOLD_RESIDUAL, "start", s.in[1].nbDims, 3) ||
        !check_rank(UNFOLD_RESIDUAL, "base", s.in[2].nbDims, 3) ||
        !check_assignment(UNFOLD_RESIDUAL, s.in[3].nbDims, s.in_count - 4)) {
        return false;
    }
    s.out[0] = s.in[2];
    return true;
}

bool sizes(const Params&, const Tensors& t) {
    if (!check_rank(UNFOLD_RESIDUAL, "z", t.in_desc[0].dims.nbDims, 3) ||
        !check_rank(UNFOLD_RESIDUAL, "start", t.in_desc[1].dims.nbDims, 3) ||
        !check_rank(UNFOLD_RESIDUAL, "base", t.in_desc[2].dims.nbDims, 3) ||
        !check_assignment_sizes(UNFOLD_RESIDUAL, t, 3) ||
        !check_rank(UNFOLD_RESIDUAL, "y", t.out_desc[0].dims.nbDims, 3)) {
        return false;
    }
    const Agreement agreements[] = {
        {"batch of `z` and `start`", t.in_size(0, 0), t.in_size(1, 0)},
        {"rows of `z` and `start`", t.in_size(0, 1), t.in_size(1, 1)},
        {"channels of `z` and `start`", t.in_size(0, 2), t.in_size(1, 2)},
        {"batch of `z` and `base`", t.in_size(0, 0), t.in_size(2, 0)},
        {"channels of `z` and `base`", t.in_size(0, 2), t.in_size(2, 2)},
        {"batch of `z` and `index`", t.in_size(0, 0), t.in_size(3, 0)},
        {"tokens of `base` and `index`", t.in_size(2, 1), t.in_size(3, 1)},
        {"batch of `base` and `y`", t.in_size(2, 0), t.out_size(0, 0)},
        {"tokens of `base` and `y`", t.in_size(2, 1), t.out_size(0, 1)},
        {"channels of `base` and `y`", t.in_size(2, 2), t.out_size(0, 2)},
    };
    return check_sizes(UNFOLD_RESIDUAL, agreements, 10);
}

ailurus_cuda_status enqueue(const Params&, const Tensors& t) {
    const Assignment assignment(t, 3);
    return ailurus_cuda_unfold_residual(t.type(), t.in_size(0, 0), t.in_size(0, 1), t.in_size(2, 1), assignment.choices,
                                        t.in_size(0, 2), t.in[0], t.in[1], t.in[2], assignment.index, assignment.weight,
                                        t.out[0], t.stream);
}

constexpr Port INPUTS[] = {Port::ELEMENT, Port::ELEMENT, Port::ELEMENT, Port::I32, Port::F32};
constexpr Port OUTPUTS[MOST_OUTPUTS] = {Port::ELEMENT};

}  // namespace

const Operator UNFOLD_RESIDUAL = {
    "AilurusUnfoldResidual", nullptr, 0, INPUTS, 4, 5, OUTPUTS, no_attributes, one_output, shapes, sizes, no_workspace, enqueue,
};

}  // namespace ailurus_trt
