#include "operator.h"

#include "log.h"

namespace ailurus_trt {

using nvinfer1::DataType;

bool no_attributes(const Params&) {
    return true;
}

int32_t one_output(const Params&) {
    return 1;
}

size_t no_workspace(const Params&, const nvinfer1::Dims*) {
    return 0;
}

bool check_rank(const Operator& op, const char* tensor, int32_t rank, int32_t expected) {
    return rank == expected ||
           refuse(Code::BAD_SHAPE, op.name, "`%s` has %d axes, not %d", tensor, rank, expected);
}

bool check_sizes(const Operator& op, const Agreement* agreements, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        const Agreement& pair = agreements[i];
        if (pair.a != pair.b) {
            return refuse(Code::BAD_SHAPE, op.name, "%s: %lld and %lld", pair.what, static_cast<long long>(pair.a),
                          static_cast<long long>(pair.b));
        }
    }
    return true;
}

bool supports(const Operator& op, int32_t position, int32_t inputs, nvinfer1::PluginTensorDesc const& tensor,
              DataType element) {
    if (tensor.format != nvinfer1::TensorFormat::kLINEAR) {
        return false;
    }
    const bool is_input = position < inputs;
    if (is_input ? position >= op.most_inputs : position - inputs >= MOST_OUTPUTS) {
        return false;
    }
    switch (is_input ? op.inputs[position] : op.outputs[position - inputs]) {
        case Port::ELEMENT:
            // The first input is one for every operator, and the others follow it.
            return position == 0 ? tensor.type == DataType::kFLOAT || tensor.type == DataType::kHALF
                                 : tensor.type == element;
        case Port::F32:
            return tensor.type == DataType::kFLOAT;
        case Port::I32:
            return tensor.type == DataType::kINT32;
        case Port::GRID:
#if AILURUS_TRT_INT64
            return tensor.type == DataType::kINT64 || tensor.type == DataType::kINT32;
#else
            return tensor.type == DataType::kINT32;
#endif
    }
    return false;
}

DataType output_type(const Operator& op, int32_t output, DataType element) {
    switch (op.outputs[output]) {
        case Port::ELEMENT:
            return element;
        case Port::F32:
            return DataType::kFLOAT;
        default:
            return DataType::kINT32;
    }
}

bool check_counts(const Operator& op, const Params& params, int32_t inputs, int32_t outputs) {
    if (inputs < op.required_inputs || inputs > op.most_inputs) {
        return refuse(Code::WRONG_COUNT, op.name, "%d inputs, not %d to %d", inputs, op.required_inputs,
                      op.most_inputs);
    }
    const int32_t expected = op.output_count(params);
    return outputs == expected || refuse(Code::WRONG_COUNT, op.name, "%d outputs, not %d", outputs, expected);
}

bool run(const Operator& op, const Params& params, const Tensors& tensors) {
    if (!op.sizes(params, tensors)) {
        return false;
    }
    const ailurus_cuda_status status = op.enqueue(params, tensors);
    return status == AILURUS_CUDA_OK ||
           refuse(Code::LAUNCH, op.name, "%s, %s: %s", ailurus_cuda_status_code(status),
                  ailurus_cuda_status_message(status), ailurus_cuda_last_error());
}

void prepare(const Operator& op) {
    const ailurus_cuda_status status = ailurus_cuda_prepare();
    if (status != AILURUS_CUDA_OK) {
        warn(Code::LAUNCH, op.name, "%s, %s: %s", ailurus_cuda_status_code(status), ailurus_cuda_status_message(status),
             ailurus_cuda_last_error());
    }
}

}  // namespace ailurus_trt
