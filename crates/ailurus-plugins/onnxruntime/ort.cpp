#include "ort.h"

#include <limits>

namespace ailurus_ort {

void Ort::check(OrtStatus* status) const {
    if (status != nullptr) {
        const std::string text = GetErrorMessage()(status);
        ReleaseStatus()(status);
        throw Failure(ORT_FAIL, "AIL0903: ONNX Runtime: " + text);
    }
}

int number_of(Type type, int element) {
    switch (type) {
        case Type::I32:
            return ORT_TYPE_INT32;
        case Type::F32:
            return ORT_TYPE_FLOAT;
        case Type::I64:
            return ORT_TYPE_INT64;
        default:
            return element;
    }
}

std::string Node::name() const {
    size_t length = 0;
    ort_.check(ort_.KernelInfo_GetNodeName()(info_, nullptr, &length));
    std::vector<char> text(length + 1);
    ort_.check(ort_.KernelInfo_GetNodeName()(info_, text.data(), &length));
    return text.data();
}

int32_t Node::integer(const char* name, int32_t otherwise) const {
    int64_t value = 0;
    OrtStatus* const status = ort_.KernelInfoGetAttribute_int64()(info_, name, &value);
    if (status != nullptr) {
        ort_.ReleaseStatus()(status);
        return otherwise;
    }
    if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max()) {
        throw Failure(ORT_INVALID_ARGUMENT, std::string("AIL0301: `") + name + "` does not fit in 31 bits");
    }
    return static_cast<int32_t>(value);
}

float Node::number(const char* name, float otherwise) const {
    float value = 0;
    OrtStatus* const status = ort_.KernelInfoGetAttribute_float()(info_, name, &value);
    if (status != nullptr) {
        ort_.ReleaseStatus()(status);
        return otherwise;
    }
    return value;
}

std::string Node::text(const char* name) const {
    size_t length = 0;
    ort_.check(ort_.KernelInfoGetAttribute_string()(info_, name, nullptr, &length));
    std::vector<char> text(length + 1);
    ort_.check(ort_.KernelInfoGetAttribute_string()(info_, name, text.data(), &length));
    return text.data();
}

std::vector<Tensor> Call::inputs(const std::vector<Port>& ports) const {
    size_t count = 0;
    ort.check(ort.KernelContext_GetInputCount()(context_, &count));
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < ports.size(); ++i) {
        const OrtValue* value = nullptr;
        if (i < count) {
            ort.check(ort.KernelContext_GetInput()(context_, i, &value));
        }
        if (value == nullptr) {
            if (ports[i].optional) {
                break;
            }
            throw Failure(ORT_INVALID_ARGUMENT, std::string("AIL0905: input `") + ports[i].name + "` is missing");
        }
        int number = 0;
        inputs.push_back(read(value, &number));
        const int expected = number_of(ports[i].type, element);
        if (number != expected) {
            throw Failure(ORT_INVALID_ARGUMENT, std::string("AIL0904: input `") + ports[i].name +
                                                    "` has the element type number " + std::to_string(number) +
                                                    ", not " + std::to_string(expected));
        }
    }
    return inputs;
}

Tensor Call::read(const OrtValue* value, int* number) const {
    struct Description {
        const Ort& ort;
        OrtTensorTypeAndShapeInfo* info;
        ~Description() { ort.ReleaseTensorTypeAndShapeInfo()(info); }
    };
    OrtTensorTypeAndShapeInfo* info = nullptr;
    ort.check(ort.GetTensorTypeAndShape()(value, &info));
    const Description description = {ort, info};
    size_t rank = 0;
    Tensor tensor;
    ort.check(ort.GetDimensionsCount()(info, &rank));
    tensor.dims.resize(rank);
    ort.check(ort.GetDimensions()(info, tensor.dims.data(), rank));
    ort.check(ort.GetTensorElementType()(info, number));
    tensor.value = value;
    // Only read, whatever the function's name says.
    ort.check(ort.GetTensorMutableData()(const_cast<OrtValue*>(value), &tensor.data));
    return tensor;
}

size_t Call::output_count() const {
    size_t count = 0;
    ort.check(ort.KernelContext_GetOutputCount()(context_, &count));
    return count;
}

void* Call::output(size_t number, const std::vector<int64_t>& dims) const {
    OrtValue* value = nullptr;
    ort.check(ort.KernelContext_GetOutput()(context_, number, dims.data(), dims.size(), &value));
    if (value == nullptr) {
        throw Failure(ORT_FAIL, "AIL0903: ONNX Runtime: output " + std::to_string(number) + " was not created");
    }
    void* data = nullptr;
    ort.check(ort.GetTensorMutableData()(value, &data));
    return data;
}

void* Call::stream() const {
    void* stream = nullptr;
    ort.check(ort.KernelContext_GetGPUComputeStream()(context_, &stream));
    return stream;
}

OrtAllocator* Call::allocator(const Tensor& near) const {
    const OrtMemoryInfo* info = nullptr;
    OrtAllocator* allocator = nullptr;
    ort.check(ort.GetTensorMemoryInfo()(near.value, &info));
    ort.check(ort.KernelContext_GetAllocator()(context_, info, &allocator));
    return allocator;
}

}  // namespace ailurus_ort
