// ONNX Runtime as the operators see it: functions that throw, nodes, calls.
#ifndef AILURUS_ORT_H
#define AILURUS_ORT_H

#include <stdexcept>
#include <string>
#include <vector>

#include "ort_api.h"

namespace ailurus_ort {

// Something to tell ONNX Runtime; the text begins with a code.
class Failure : public std::runtime_error {
public:
    Failure(int kind, const std::string& text) : std::runtime_error(text), kind(kind) {}
    const int kind;
};

// The functions of one ONNX Runtime.
class Ort {
public:
    explicit Ort(const OrtApi* api) : api_(api) {}

#define AILURUS_ORT_DECLARE(name, place, result, parameters)                                                           \
    using name##_function = result(AILURUS_ORT_CALL*) parameters;                                                      \
    name##_function name() const { return reinterpret_cast<name##_function>(functions()[place]); }
    AILURUS_ORT_FUNCTIONS(AILURUS_ORT_DECLARE)
#undef AILURUS_ORT_DECLARE

    // Frees a status, and throws what it says.
    void check(OrtStatus* status) const;

    bool is(const OrtApi* api) const { return api == api_; }

private:
    using Function = void (*)();
    const Function* functions() const { return reinterpret_cast<const Function*>(api_); }

    const OrtApi* api_;
};

// What an element of a tensor is; E is the type that a node was made for.
enum class Type { E, I32, F32, I64 };

// Its number, for nodes of this type.
int number_of(Type type, int element);

struct Port {
    const char* name;
    Type type;
    bool optional;
};

// A node whose kernel is being made.
class Node {
public:
    Node(const Ort& ort, const OrtKernelInfo* info) : ort_(ort), info_(info) {}
    std::string name() const;
    // An attribute, or if it is absent `otherwise`.
    int32_t integer(const char* name, int32_t otherwise) const;
    float number(const char* name, float otherwise) const;
    std::string text(const char* name) const;

private:
    const Ort& ort_;
    const OrtKernelInfo* info_;
};

// An input or output. Its memory is the device's.
struct Tensor {
    const OrtValue* value = nullptr;
    void* data = nullptr;
    std::vector<int64_t> dims;

    int64_t dim(size_t axis) const { return axis < dims.size() ? dims[axis] : -1; }
};

// A call under way.
class Call {
public:
    Call(const Ort& ort, OrtKernelContext* context, int element) : ort(ort), element(element), context_(context) {}

    // The inputs, optional ones as far as they are there; their types are compared.
    std::vector<Tensor> inputs(const std::vector<Port>& ports) const;
    size_t output_count() const;
    // Makes an output and returns its memory.
    void* output(size_t number, const std::vector<int64_t>& dims) const;
    void* stream() const;
    // The allocator of the memory that a tensor lies in; the caller releases it.
    OrtAllocator* allocator(const Tensor& near) const;

    const Ort& ort;
    const int element;

private:
    Tensor read(const OrtValue* value, int* number) const;

    OrtKernelContext* context_;
};

}  // namespace ailurus_ort

#endif
