// AilurusDensityPeaks and AilurusGridKMeans.

#include "operators.h"

#include "launcher.h"
#include "workspace.h"

namespace ailurus_ort {

namespace {

const std::vector<Port> DENSITY_PEAKS = {{"metric", Type::E, false}, {"grid", Type::I64, true}};
const std::vector<Port> GRID_KMEANS = {{"x", Type::E, false}, {"grid", Type::I64, true}};

// Place of the output `map`.
constexpr size_t MAP = 3;

// Attributes and input that both have. No grid among the attributes means that it is an input.
template <typename Params>
void read_attributes(const Node& node, Params* params) {
    params->prefix = node.integer("prefix", 0);
    params->suffix = node.integer("suffix", 0);
    params->grid_h = node.integer("grid_h", 0);
    params->grid_w = node.integer("grid_w", 0);
    params->neighbors = node.integer("neighbors", 0);
    params->window = node.integer("window", 0);
}

// The one input that is in the processor's memory: sizes of launches depend on it.
template <typename Params>
void read_grid(const std::vector<Tensor>& inputs, Params* params) {
    if (inputs.size() < 2) {
        return;
    }
    require(inputs[1].dims.size() == 1 && inputs[1].dim(0) == 2, "grid", "not two numbers");
    const int64_t* const sides = static_cast<const int64_t*>(inputs[1].data);
    const int64_t most = int64_t(1) << 20;
    for (int i = 0; i < 2; ++i) {
        int32_t& side = i == 0 ? params->grid_h : params->grid_w;
        require(sides[i] > 0 && sides[i] <= most, "grid", "a side is not positive, or too long");
        require(side == 0 || side == sides[i], "grid", "not that of the node's attributes");
        side = static_cast<int32_t>(sides[i]);
    }
}

template <typename Params>
void require_tokens(const Tensor& x, const Params& params, const char* input) {
    require(x.dims.size() == 3, input, "not of rank 3");
    const int64_t tokens = int64_t(params.prefix) + int64_t(params.grid_h) * params.grid_w + params.suffix;
    require(x.dim(1) == tokens, input, "not as many tokens as the grid, prefix and suffix have");
}

// An output of some nodes: its shape is the grid, and its values mean nothing and are not written.
template <typename Params>
void make_map(const Call& call, const Params& params) {
    if (call.output_count() > MAP) {
        call.output(MAP, {params.grid_h, params.grid_w});
    }
}

class DensityPeaks : public Kernel {
public:
    explicit DensityPeaks(const Node& node) {
        read_attributes(node, &params_);
        params_.tokens = node.integer("tokens", 0);
        params_.keep_num = node.integer("keep_num", 0);
        params_.keep_den = node.integer("keep_den", 0);
        params_.spatial_mix = node.number("spatial_mix", -1.0f);
    }

    void compute(const Call& call) override {
        const std::vector<Tensor> inputs = call.inputs(DENSITY_PEAKS);
        const Tensor& metric = inputs[0];
        ailurus_cuda_density_peaks_params params = params_;
        read_grid(inputs, &params);
        int64_t rows = 0;
        check(ailurus_cuda_density_peaks_rows(&params, &rows));
        require_tokens(metric, params, "metric");
        const int64_t batch = metric.dim(0);
        int32_t* const index = static_cast<int32_t*>(call.output(0, {batch, metric.dim(1)}));
        int32_t* const anchor = static_cast<int32_t*>(call.output(1, {batch, rows}));
        float* const size = static_cast<float*>(call.output(2, {batch, rows}));
        make_map(call, params);
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
    ailurus_cuda_density_peaks_params params_ = {};
    Workspaces workspaces_;
};

// The number of a text that stands for one of two things.
int32_t choice(const Node& node, const char* attribute, const char* zero, const char* one) {
    const std::string text = node.text(attribute);
    if (text != zero && text != one) {
        throw Failure(ORT_INVALID_ARGUMENT, std::string("AIL0301: `") + attribute + "` is `" + text + "`");
    }
    return text == one ? 1 : 0;
}

class GridKMeans : public Kernel {
public:
    explicit GridKMeans(const Node& node) {
        read_attributes(node, &params_);
        params_.cluster_h = node.integer("cluster_h", 0);
        params_.cluster_w = node.integer("cluster_w", 0);
        params_.iterations = node.integer("iterations", -1);
        params_.ties = node.integer("ties", 0);
        params_.temperature = node.number("temperature", -1.0f);
        static_assert(AILURUS_CUDA_ABSOLUTE == 0 && AILURUS_CUDA_RELATIVE == 1, "order of the texts");
        params_.temperature_mode = choice(node, "temperature_mode", "absolute", "relative");
        static_assert(AILURUS_CUDA_L1 == 0 && AILURUS_CUDA_L2 == 1, "order of the texts");
        params_.norm = choice(node, "norm", "l1", "l2");
    }

    void compute(const Call& call) override {
        const std::vector<Tensor> inputs = call.inputs(GRID_KMEANS);
        const Tensor& x = inputs[0];
        ailurus_cuda_grid_kmeans_params params = params_;
        read_grid(inputs, &params);
        int64_t rows = 0;
        int64_t choices = 0;
        check(ailurus_cuda_grid_kmeans_sizes(&params, &rows, &choices));
        require_tokens(x, params, "x");
        const int64_t batch = x.dim(0);
        void* const z = call.output(0, {batch, rows, x.dim(2)});
        int32_t* const index = static_cast<int32_t*>(call.output(1, {batch, x.dim(1), choices}));
        float* const weight = static_cast<float*>(call.output(2, {batch, x.dim(1), choices}));
        make_map(call, params);
        if (batch == 0) {
            return;
        }
        size_t bytes = 0;
        check(ailurus_cuda_grid_kmeans_workspace(&params, batch, x.dim(2), type_of(call), &bytes));
        void* const stream = call.stream();
        const std::lock_guard<std::mutex> lock(workspaces_.lock);
        void* const workspace = workspaces_.find(call, x, stream, bytes);
        check(ailurus_cuda_grid_kmeans(&params, type_of(call), batch, x.dim(2), x.data, z, index, weight, workspace,
                                       bytes, stream));
    }

private:
    ailurus_cuda_grid_kmeans_params params_ = {};
    Workspaces workspaces_;
};

}  // namespace

Operator density_peaks() {
    return {"AilurusDensityPeaks",
            DENSITY_PEAKS,
            {{"index", Type::I32, false}, {"anchor", Type::I32, false}, {"size", Type::F32, false}, {"map", Type::I32, true}},
            [](const Node& node) { return std::unique_ptr<Kernel>(new DensityPeaks(node)); }};
}

Operator grid_kmeans() {
    return {"AilurusGridKMeans",
            GRID_KMEANS,
            {{"z", Type::E, false}, {"index", Type::I32, false}, {"weight", Type::F32, false}, {"map", Type::I32, true}},
            [](const Node& node) { return std::unique_ptr<Kernel>(new GridKMeans(node)); }};
}

}  // namespace ailurus_ort
