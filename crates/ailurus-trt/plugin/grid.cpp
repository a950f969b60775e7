#include "grid.h"

#include "log.h"

namespace ailurus_trt {

bool Grid::check(const Operator& op) const {
    if ((height == 0) != (width == 0)) {
        return refuse(Code::MISSING_FIELD, op.name, "field `%s` is missing: `grid_h` and `grid_w` go together",
                      height == 0 ? "grid_h" : "grid_w");
    }
#if !AILURUS_TRT_V3
    if (!is_static()) {
        return refuse(Code::NO_GRID, op.name,
                      "fields `grid_h` and `grid_w` are missing, and TensorRT 8 takes no grid at run time: give the "
                      "model a static size");
    }
#endif
    return true;
}

bool Grid::check_tokens(const Operator& op, const char* what, const nvinfer1::IDimensionExpr& total) const {
    if (!is_static() || !total.isConstant()) {
        return true;
    }
    const Agreement agreement = {what, total.getConstantValue(), tokens()};
    return check_sizes(op, &agreement, 1);
}

bool Grid::shape(const Operator& op, const Shapes& s) const {
    if (is_static()) {
        return true;
    }
    if (s.value_count != 1 || s.values[0].nbDims != 2) {
        return refuse(Code::NO_GRID, op.name,
                      "neither fields `grid_h` and `grid_w` nor two values of a shape input: the node needs the "
                      "attribute tensorrt_plugin_shape_input_indices = [1]");
    }
    s.out[GRID_OUTPUT] = s.values[0];
    return true;
}

Grid Grid::of_call(const Tensors& t) const {
    if (is_static()) {
        return *this;
    }
    // Sizes beyond 31 bits become 0, which the launcher refuses.
    const auto narrow = [](int64_t size) { return size > INT32_MAX ? 0 : static_cast<int32_t>(size); };
    return {prefix, suffix, narrow(t.out_size(GRID_OUTPUT, 0)), narrow(t.out_size(GRID_OUTPUT, 1))};
}

bool Grid::check_output(const Operator& op, const Tensors& t) const {
    return is_static() || check_rank(op, "grid", t.out_desc[GRID_OUTPUT].dims.nbDims, 2);
}

}  // namespace ailurus_trt
