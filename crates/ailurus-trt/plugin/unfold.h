// How tokens refer to rows: common to the operators that unfold.
#ifndef AILURUS_TRT_UNFOLD_H
#define AILURUS_TRT_UNFOLD_H

#include "operator.h"

namespace ailurus_trt {

// `index`, and `weight` if there is one: it follows `index` exactly if that has three axes.
struct Assignment {
    const int32_t* index;
    const float* weight;
    int64_t choices;

    Assignment(const Tensors& t, int32_t at) : index(static_cast<const int32_t*>(t.in[at])), weight(nullptr), choices(1) {
        if (t.in_desc[at].dims.nbDims == 3) {
            weight = static_cast<const float*>(t.in[at + 1]);
            choices = t.in_size(at, 2);
        }
    }
};

// Refuses an `index` that does not go with the number of inputs after it; logs that.
bool check_assignment(const Operator& op, int32_t index_rank, int32_t weights);

// Refuses an `index` and a `weight` of different sizes; logs that. `index` is the position of that input.
bool check_assignment_sizes(const Operator& op, const Tensors& tensors, int32_t index);

}  // namespace ailurus_trt

#endif
