// What the plugins need to know of an operator, whichever interface of TensorRT they implement.
#ifndef AILURUS_TRT_OPERATOR_H
#define AILURUS_TRT_OPERATOR_H

#include <cstddef>
#include <cstdint>

#include "ailurus_cuda.h"
#include "tensorrt.h"

namespace ailurus_trt {

// The attributes of a node, those of its operator; all others, and a field that is absent, are 0.
struct Params {
    ailurus_cuda_density_peaks_params peaks;
    ailurus_cuda_grid_kmeans_params means;
};

// What an attribute holds.
enum class Kind {
    INTEGER,
    FLOAT,
    CHOICE,  // one of some names; kept as its number among them
};

struct Attribute {
    const char* name;
    Kind kind;
    bool required;
    // Where it lies in Params.
    size_t offset;
    // What may be chosen, and null.
    const char* const* choices;
};

// What a tensor may hold.
enum class Port {
    ELEMENT,  // f32 or f16, the same for all of a node
    F32,
    I32,
    GRID,  // height and width: known on the host, not on the device
};

// Shapes and types of a call, and where the tensors are.
struct Tensors {
    const nvinfer1::PluginTensorDesc* in_desc;
    const nvinfer1::PluginTensorDesc* out_desc;
    const void* const* in;
    void* const* out;
    void* workspace;
    void* stream;

    int64_t in_size(int32_t input, int32_t axis) const { return in_desc[input].dims.d[axis]; }
    int64_t out_size(int32_t output, int32_t axis) const { return out_desc[output].dims.d[axis]; }
    ailurus_cuda_type type() const {
        return in_desc[0].type == nvinfer1::DataType::kHALF ? AILURUS_CUDA_F16 : AILURUS_CUDA_F32;
    }
};

// Shapes while an engine is built: sizes are expressions.
struct Shapes {
    const nvinfer1::DimsExprs* in;
    int32_t in_count;
    // Values of inputs that are shapes themselves.
    const nvinfer1::DimsExprs* values;
    int32_t value_count;
    nvinfer1::DimsExprs* out;
    nvinfer1::IExprBuilder& build;
};

struct Operator {
    const char* name;
    const Attribute* attributes;
    int32_t attribute_count;
    const Port* inputs;
    int32_t required_inputs;
    int32_t most_inputs;
    const Port* outputs;

    // Checks attributes against each other; logs what is wrong.
    bool (*check)(const Params& params);
    int32_t (*output_count)(const Params& params);
    // Fills in the shapes of the outputs; logs what is wrong.
    bool (*shapes)(const Params& params, const Shapes& shapes);
    // Checks the sizes of a call against each other; logs what is wrong.
    bool (*sizes)(const Params& params, const Tensors& tensors);
    // Device memory for calls of at most these sizes.
    size_t (*workspace)(const Params& params, const nvinfer1::Dims* in);
    ailurus_cuda_status (*enqueue)(const Params& params, const Tensors& tensors);
};

constexpr int32_t MOST_ATTRIBUTES = 13;
constexpr int32_t MOST_INPUTS = 5;
constexpr int32_t MOST_OUTPUTS = 4;

extern const Operator DENSITY_PEAKS;
extern const Operator GRID_KMEANS;
extern const Operator MERGE;
extern const Operator UNFOLD;
extern const Operator UNFOLD_RESIDUAL;

constexpr const char* PLUGIN_VERSION = "1";
constexpr const char* PLUGIN_NAMESPACE = "ailurus";

// For operators without attributes and workspace.
bool no_attributes(const Params& params);
int32_t one_output(const Params& params);
size_t no_workspace(const Params& params, const nvinfer1::Dims* in);

// Refuses a tensor that does not have as many axes; logs that.
bool check_rank(const Operator& op, const char* tensor, int32_t rank, int32_t expected);

// Refuses two sizes that differ; logs that.
struct Agreement {
    const char* what;
    int64_t a;
    int64_t b;
};
bool check_sizes(const Operator& op, const Agreement* agreements, int32_t count);

// Whether a type and layout suits the tensor at `position`, inputs first; `descs` are those up to there.
bool supports(const Operator& op, int32_t position, int32_t inputs, nvinfer1::PluginTensorDesc const& tensor,
              nvinfer1::DataType element);

// The type of an output.
nvinfer1::DataType output_type(const Operator& op, int32_t output, nvinfer1::DataType element);

// Refuses counts of inputs and outputs that the operator does not have; logs that. Shape inputs are not counted.
bool check_counts(const Operator& op, const Params& params, int32_t inputs, int32_t outputs);

// Runs the operator; logs why it cannot.
bool run(const Operator& op, const Params& params, const Tensors& tensors);

// Loads the kernels into the current context, so that no later call has to: loading cannot be captured into a graph.
void prepare(const Operator& op);

}  // namespace ailurus_trt

#endif
