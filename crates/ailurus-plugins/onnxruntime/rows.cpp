// AilurusMerge, AilurusUnfold, AilurusUnfoldResidual.

#include "operators.h"

#include "launcher.h"

namespace ailurus_ort {

namespace {

std::vector<Port> streams(std::vector<Port> ports) {
    ports.push_back({"index", Type::I32, false});
    ports.push_back({"weight", Type::F32, true});
    return ports;
}

const std::vector<Port> MERGE = {{"x", Type::E, false}, {"index", Type::I32, false}, {"size", Type::F32, false}};
const std::vector<Port> UNFOLD = streams({{"z", Type::E, false}});
const std::vector<Port> UNFOLD_RESIDUAL =
    streams({{"z", Type::E, false}, {"start", Type::E, false}, {"base", Type::E, false}});
const std::vector<Port> Y = {{"y", Type::E, false}};

class Merge : public Kernel {
public:
    explicit Merge(const Node&) {}

    void compute(const Call& call) override {
        const std::vector<Tensor> inputs = call.inputs(MERGE);
        const Tensor &x = inputs[0], &index = inputs[1], &size = inputs[2];
        require(x.dims.size() == 3, "x", "not of rank 3");
        require(index.dims.size() == 2 && index.dim(0) == x.dim(0) && index.dim(1) == x.dim(1), "index",
                "not the batch and tokens of `x`");
        require(size.dims.size() == 2 && size.dim(0) == x.dim(0), "size", "not the batch of `x`");
        void* const y = call.output(0, {x.dim(0), size.dim(1), x.dim(2)});
        if (x.dim(0) == 0 || size.dim(1) == 0 || x.dim(2) == 0) {
            return;
        }
        check(ailurus_cuda_merge(type_of(call), x.dim(0), x.dim(1), size.dim(1), x.dim(2), x.data,
                                 static_cast<const int32_t*>(index.data), static_cast<const float*>(size.data), y,
                                 call.stream()));
    }
};

// Copies rows, or adds their updates to a base.
class Unfold : public Kernel {
public:
    explicit Unfold(bool residual) : ports_(residual ? UNFOLD_RESIDUAL : UNFOLD) {}

    void compute(const Call& call) override {
        const std::vector<Tensor> inputs = call.inputs(ports_);
        const size_t at = ports_.size() - 2;
        const Tensor &z = inputs[0], &index = inputs[at];
        require(z.dims.size() == 3, "z", "not of rank 3");
        const bool weighted = inputs.size() > at + 1;
        require(index.dims.size() == (weighted ? 3u : 2u) && index.dim(0) == z.dim(0), "index",
                "not of rank 2, or 3 with weights, or not the batch of `z`");
        require(!weighted || inputs[at + 1].dims == index.dims, "weight", "not the shape of `index`");
        const std::vector<int64_t> whole = {z.dim(0), index.dim(1), z.dim(2)};
        const bool residual = at == 3;
        require(!residual || inputs[1].dims == z.dims, "start", "not the shape of `z`");
        require(!residual || inputs[2].dims == whole, "base", "not the tokens of `index` and channels of `z`");
        void* const y = call.output(0, whole);
        if (whole[0] == 0 || whole[1] == 0 || whole[2] == 0) {
            return;
        }
        const int32_t* const rows = static_cast<const int32_t*>(index.data);
        const float* const weight = weighted ? static_cast<const float*>(inputs[at + 1].data) : nullptr;
        const int64_t choices = weighted ? index.dim(2) : 1;
        const ailurus_cuda_type type = type_of(call);
        check(residual ? ailurus_cuda_unfold_residual(type, whole[0], z.dim(1), whole[1], choices, whole[2], z.data,
                                                      inputs[1].data, inputs[2].data, rows, weight, y, call.stream())
                       : ailurus_cuda_unfold(type, whole[0], z.dim(1), whole[1], choices, whole[2], z.data, rows,
                                             weight, y, call.stream()));
    }

private:
    const std::vector<Port>& ports_;
};

}  // namespace

Operator merge() {
    return {"AilurusMerge", MERGE, Y, [](const Node& node) { return std::unique_ptr<Kernel>(new Merge(node)); }};
}

Operator unfold() {
    return {"AilurusUnfold", UNFOLD, Y, [](const Node&) { return std::unique_ptr<Kernel>(new Unfold(false)); }};
}

Operator unfold_residual() {
    return {"AilurusUnfoldResidual", UNFOLD_RESIDUAL, Y,
            [](const Node&) { return std::unique_ptr<Kernel>(new Unfold(true)); }};
}

}  // namespace ailurus_ort
