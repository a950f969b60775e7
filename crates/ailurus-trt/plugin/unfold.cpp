// AilurusUnfold: z [B, R, D], index [B, T] -> y [B, T, D]; or index [B, T, K] with weight [B, T, K].
#include "unfold.h"

#include "log.h"

namespace ailurus_trt {

bool check_assignment(const Operator& op, int32_t index_rank, int32_t weights) {
    if (index_rank != 2 && index_rank != 3) {
        return refuse(Code::BAD_SHAPE, op.name, "`index` has %d axes, not 2 or 3", index_rank);
    }
    if (weights != index_rank - 2) {
        return refuse(Code::WRONG_COUNT, op.name, "an `index` with %d axes needs %s `weight`", index_rank,
                      index_rank == 2 ? "no" : "a");
    }
    return true;
}

bool check_assignment_sizes(const Operator& op, const Tensors& t, int32_t index) {
    const int32_t rank = t.in_desc[index].dims.nbDims;
    if (rank == 2) {
        return true;
    }
    if (!check_rank(op, "index", rank, 3) || !check_rank(op, "weight", t.in_desc[index + 1].dims.nbDims, 3)) {
        return false;
    }
    const Agreement agreements[] = {
        {"batch of `index` and `weight`", t.in_size(index, 0), t.in_size(index + 1, 0)},
        {"tokens of `index` and `weight`", t.in_size(index, 1), t.in_size(index + 1, 1)},
        {"rows per token of `index` and `weight`", t.in_size(index, 2), t.in_size(index + 1, 2)},
    };
    return check_sizes(op, agreements, 3);
}

namespace {

bool shapes(const Params&, const Shapes& s) {
    if (!check_rank(UNFOLD, "z", s.in[0].nbDims, 3) || !check_assignment(UNFOLD, s.in[1].nbDims, s.in_count - 2)) {
        return false;
    }
    s.out[0] = s.in[0];
    s.out[0].d[1] = s.in[1].d[1];
    return true;
}

bool sizes(const Params&, const Tensors& t) {
    if (!check_rank(UNFOLD, "z", t.in_desc[0].dims.nbDims, 3) || !check_assignment_sizes(UNFOLD, t, 1) ||
        !check_rank(UNFOLD, "y", t.out_desc[0].dims.nbDims, 3)) {
        return false;
    }
    const Agreement agreements[] = {
        {"batch of `z` and `index`", t.in_size(0, 0), t.in_size(1, 0)},
        {"batch of `z` and `y`", t.in_size(0, 0), t.out_size(0, 0)},
        {"tokens of `index` and `y`", t.in_size(1, 1), t.out_size(0, 1)},
        {"channels of `z` and `y`", t.in_size(0, 2), t.out_size(0, 2)},
    };
    return check_sizes(UNFOLD, agreements, 4);
}

ailurus_cuda_status enqueue(const Params&, const Tensors& t) {
    const Assignment assignment(t, 1);
    return ailurus_cuda_unfold(t.type(), t.in_size(0, 0), t.in_size(0, 1), t.in_size(1, 1), assignment.choices,
                               t.in_size(0, 2), t.in[0], assignment.index, assignment.weight, t.out[0], t.stream);
}

constexpr Port INPUTS[] = {Port::ELEMENT, Port::I32, Port::F32};
constexpr Port OUTPUTS[MOST_OUTPUTS] = {Port::ELEMENT};

}  // namespace

const Operator UNFOLD = {
    "AilurusUnfold", nullptr, 0, INPUTS, 2, 3, OUTPUTS, no_attributes, one_output, shapes, sizes, no_workspace, enqueue,
};

}  // namespace ailurus_trt
