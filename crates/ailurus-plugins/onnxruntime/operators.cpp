#include "operators.h"

#include "ailurus_cuda.h"
#include "workspace.h"

namespace ailurus_ort {

namespace {

void check(ailurus_cuda_status status) {
    if (status != AILURUS_CUDA_OK) {
        throw Failure(ORT_INVALID_ARGUMENT, std::string(ailurus_cuda_status_code(status)) + ": " +
                                                ailurus_cuda_status_message(status) + ": " + ailurus_cuda_last_error());
    }
}

ailurus_cuda_type type_of(const Call& call) {
    return call.element == ORT_TYPE_FLOAT16 ? AILURUS_CUDA_F16 : AILURUS_CUDA_F32;
}

// Kernels on a device cannot object: shapes are compared before they start.
void require(bool holds, const char* input, const char* what) {
    if (!holds) {
        throw Failure(ORT_INVALID_ARGUMENT, std::string("AIL0306: input `") + input + "`: " + what);
    }
}

std::vector<Port> streams(std::vector<Port> ports) {
    ports.push_back({"index", Type::I32, false});
    ports.push_back({"weight", Type::F32, true});
    return ports;
}

const std::vector<Port> DENSITY_PEAKS = {{"metric", Type::E, false}, {"grid", Type::I64, true}};
const std::vector<Port> MERGE = {{"x", Type::E, false}, {"index", Type::I32, false}, {"size", Type::F32, false}};
const std::vector<Port> UNFOLD = streams({{"z", Type::E, false}});
const std::vector<Port> UNFOLD_RESIDUAL =
    streams({{"z", Type::E, false}, {"start", Type::E, false}, {"base", Type::E, false}});

class DensityPeaks : public Kernel {
public:
    explicit DensityPeaks(const Node& node) {
        params_.prefix = node.integer("prefix", 0);
        params_.suffix = node.integer("suffix", 0);
        // No grid here means that it is an input.
        params_.grid_h = node.integer("grid_h", 0);
        params_.grid_w = node.integer("grid_w", 0);
        params_.tokens = node.integer("tokens", 0);
        params_.keep_num = node.integer("keep_num", 0);
        params_.keep_den = node.integer("keep_den", 0);
        params_.neighbors = node.integer("neighbors", 0);
        params_.window = node.integer("window", 0);
        params_.spatial_mix = node.number("spatial_mix", -1.0f);
    }

    void compute(const Call& call) override {
        const std::vector<Tensor> inputs = call.inputs(DENSITY_PEAKS);
        const Tensor& metric = inputs[0];
        ailurus_cuda_density_peaks_params params = params_;
        if (inputs.size() > 1) {
            read_grid(inputs[1], &params);
        }
        int64_t rows = 0;
        check(ailurus_cuda_density_peaks_rows(&params, &rows));
        require(metric.dims.size() == 3, "metric", "not of rank 3");
        const int64_t batch = metric.dim(0);
        const int64_t tokens = int64_t(params.prefix) + int64_t(params.grid_h) * params.grid_w + params.suffix;
        require(metric.dim(1) == tokens, "metric", "not as many tokens as the grid, prefix and suffix have");
        int32_t* const index = static_cast<int32_t*>(call.output(0, {batch, tokens}));
        int32_t* const anchor = static_cast<int32_t*>(call.output(1, {batch, rows}));
        float* const size = static_cast<float*>(call.output(2, {batch, rows}));
        if (batch == 0) {
            return;
        }
        size_t bytes = 0;
        check(ailurus_cuda_density_peaks_workspace(&params, batch, metric.dim(2), type_of(call), &bytes));
        void* const stream = call.stream();
        const std::lock_guard<std::mutex> lock(workspaces_.lock);
        void* const workspace = workspaces_.find(call, metric, stream, bytes);
        check(ailurus_cuda_density_peaks(&params, type_of(call), batch, metric.dim(2), metric.data, index, anchor, size,
                                         workspace, bytes, stream));
    }

private:
    // The one input that is in the processor's memory: sizes of launches depend on it.
    static void read_grid(const Tensor& grid, ailurus_cuda_density_peaks_params* params) {
        require(grid.dims.size() == 1 && grid.dim(0) == 2, "grid", "not two numbers");
        const int64_t* const sides = static_cast<const int64_t*>(grid.data);
        const int64_t most = int64_t(1) << 20;
        for (int i = 0; i < 2; ++i) {
            int32_t& side = i == 0 ? params->grid_h : params->grid_w;
            require(sides[i] > 0 && sides[i] <= most, "grid", "a side is not positive, or too long");
            require(side == 0 || side == sides[i], "grid", "not that of the node's attributes");
            side = static_cast<int32_t>(sides[i]);
        }
    }

    ailurus_cuda_density_peaks_params params_ = {};
    Workspaces workspaces_;
};

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

const std::vector<Operator>& operators() {
    static const std::vector<Operator>* const all = new std::vector<Operator>{
        {"AilurusDensityPeaks",
         DENSITY_PEAKS,
         {{"index", Type::I32, false}, {"anchor", Type::I32, false}, {"size", Type::F32, false}},
         [](const Node& node) -> std::unique_ptr<Kernel> { return std::unique_ptr<Kernel>(new DensityPeaks(node)); }},
        {"AilurusMerge",
         MERGE,
         {{"y", Type::E, false}},
         [](const Node& node) -> std::unique_ptr<Kernel> { return std::unique_ptr<Kernel>(new Merge(node)); }},
        {"AilurusUnfold",
         UNFOLD,
         {{"y", Type::E, false}},
         [](const Node&) -> std::unique_ptr<Kernel> { return std::unique_ptr<Kernel>(new Unfold(false)); }},
        {"AilurusUnfoldResidual",
         UNFOLD_RESIDUAL,
         {{"y", Type::E, false}},
         [](const Node&) -> std::unique_ptr<Kernel> { return std::unique_ptr<Kernel>(new Unfold(true)); }},
    };
    return *all;
}

}  // namespace ailurus_ort
