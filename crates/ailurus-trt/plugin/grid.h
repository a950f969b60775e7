// What the operators that cluster a grid of patches share.
//
// Where the grid is an input it has to be a shape tensor, whose values TensorRT has on the host: kernels are launched for
// a grid, and reading it from the device would mean to wait for it. TensorRT shows such values while it computes shapes
// and not afterwards, so a fourth output, which nothing reads or writes, carries them as its shape, [H, W].
#ifndef AILURUS_TRT_GRID_H
#define AILURUS_TRT_GRID_H

#include "operator.h"

namespace ailurus_trt {

// Position of the output whose shape is the grid; before it are the operator's own.
constexpr int32_t GRID_OUTPUT = 3;

// The grid of a node, 0 x 0 if it is not static, and the tokens around it.
struct Grid {
    int32_t prefix, suffix, height, width;

    bool is_static() const { return height != 0; }
    int64_t outside() const { return int64_t(prefix) + suffix; }
    int64_t tokens() const { return int64_t(height) * width + outside(); }
    int32_t output_count() const { return is_static() ? GRID_OUTPUT : GRID_OUTPUT + 1; }

    // Refuses half a grid, and where none can be an input, none.
    bool check(const Operator& op) const;
    // Compares a static grid with a static number of tokens.
    bool check_tokens(const Operator& op, const char* what, const nvinfer1::IDimensionExpr& total) const;
    // Fills in the shape that carries the grid, if there is one.
    bool shape(const Operator& op, const Shapes& s) const;
    // With the grid of a call.
    Grid of_call(const Tensors& t) const;
    // Refuses a fourth output that carries no grid.
    bool check_output(const Operator& op, const Tensors& t) const;
};

// The grid in the parameters of an operator, and the parameters with another one.
template <class P>
Grid grid_of(const P& p) {
    return {p.prefix, p.suffix, p.grid_h, p.grid_w};
}

template <class P>
P with_grid(P p, const Grid& grid) {
    p.grid_h = grid.height;
    p.grid_w = grid.width;
    return p;
}

}  // namespace ailurus_trt

#endif
