// Drives the plugins as TensorRT does, for tests: creators found by name, plugins made from fields, written and read back,
// copied; shapes computed with expressions that keep their texts; operators run. One file for both interfaces, under the
// names that AILURUS_TRT_BRIDGE makes.
#include <NvInferImpl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "library.h"
#include "logger_finder.h"

using namespace nvinfer1;

namespace {

// Everything that was logged since the last look.
struct Log final : ILogger {
    std::string text;

    void log(Severity severity, AsciiChar const* message) noexcept override {
        text += severity == Severity::kERROR ? "E " : severity == Severity::kWARNING ? "W " : "? ";
        text += message;
        text += '\n';
    }
};

thread_local Log log_of_thread;

// Hands out the logger of the calling thread, as TensorRT does.
struct Finder final : ILoggerFinder {
    ILogger* findLogger() override { return &log_of_thread; }
};

Finder finder;

struct Expression final : IDimensionExpr, apiv::VDimensionExpr {
    int64_t value;
    bool constant;
    std::string text;

    Expression(int64_t v, bool c, std::string t) : value(v), constant(c), text(std::move(t)) { mImpl = this; }
    bool isConstant() const noexcept override { return constant; }
    int64_t getConstantValue() const noexcept override { return constant ? value : INT64_MIN; }
    bool isSizeTensor() const noexcept override { return false; }
    ~Expression() noexcept override = default;
};

struct Builder final : IExprBuilder, apiv::VExprBuilder {
    std::vector<std::unique_ptr<Expression>> all;

    Builder() { mImpl = this; }
    ~Builder() noexcept override = default;

    const Expression* make(int64_t value, bool constant, std::string text) {
        all.emplace_back(new Expression(value, constant, std::move(text)));
        return all.back().get();
    }
    IDimensionExpr const* constant(int64_t value) noexcept override { return make(value, true, std::to_string(value)); }
    IDimensionExpr const* operation(DimensionOperation operation, IDimensionExpr const& first,
                                    IDimensionExpr const& second) noexcept override {
        const Expression& a = static_cast<Expression const&>(first);
        const Expression& b = static_cast<Expression const&>(second);
        const auto apply = [&](const char* name, int64_t value) {
            const std::string text = std::string(name) + "(" + a.text + ", " + b.text + ")";
            return make(value, a.constant && b.constant, text);
        };
        switch (operation) {
            case DimensionOperation::kSUM:
                return apply("sum", a.value + b.value);
            case DimensionOperation::kPROD:
                return apply("prod", a.value * b.value);
            case DimensionOperation::kMAX:
                return apply("max", std::max(a.value, b.value));
            case DimensionOperation::kSUB:
                return apply("sub", a.value - b.value);
            case DimensionOperation::kCEIL_DIV:
                return apply("ceil_div", (a.value + b.value - 1) / b.value);
            default:
                // The plugins use no others.
                return nullptr;
        }
    }
    IDimensionExpr const* declareSizeTensor(int32_t, IDimensionExpr const&, IDimensionExpr const&) override {
        return nullptr;
    }
};

Dims to_dims(const int64_t* sizes, int32_t rank) {
    Dims dims = {};
    dims.nbDims = rank;
    for (int32_t axis = 0; axis < rank; ++axis) {
        dims.d[axis] = static_cast<std::remove_reference<decltype(dims.d[0])>::type>(sizes[axis]);
    }
    return dims;
}

ailurus_trt::Creator* find(const char* name);

}  // namespace

extern "C" {

// A field, and a tensor, in C.
struct ailurus_trt_field {
    const char* name;
    int32_t type;
    const void* data;
    int32_t length;
};
struct ailurus_trt_tensor {
    int32_t type;
    int32_t format;
    int32_t rank;
    int64_t sizes[4];
    // For expressions: not known while the engine is built. The values are those of one call.
    int32_t open[4];
    void* data;
};

}  // extern "C"

namespace {

PluginTensorDesc describe(const ailurus_trt_tensor& tensor) {
    PluginTensorDesc desc = {};
    desc.dims = to_dims(tensor.sizes, tensor.rank);
    desc.type = static_cast<DataType>(tensor.type);
    desc.format = static_cast<TensorFormat>(tensor.format);
    return desc;
}

std::vector<PluginTensorDesc> describe_all(const ailurus_trt_tensor* tensors, int32_t count) {
    std::vector<PluginTensorDesc> all;
    for (int32_t i = 0; i < count; ++i) {
        all.push_back(describe(tensors[i]));
    }
    return all;
}

std::vector<DynamicPluginTensorDesc> describe_open(const ailurus_trt_tensor* tensors, int32_t count) {
    std::vector<DynamicPluginTensorDesc> all(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; ++i) {
        DynamicPluginTensorDesc& desc = all[static_cast<size_t>(i)];
        desc.desc = describe(tensors[i]);
        desc.min = desc.max = desc.desc.dims;
        for (int32_t axis = 0; axis < tensors[i].rank; ++axis) {
            if (tensors[i].open[axis] != 0) {
                desc.desc.dims.d[axis] = -1;
                desc.min.d[axis] = 1;
            }
        }
    }
    return all;
}

DimsExprs express(const ailurus_trt_tensor& tensor, const std::string& name, Builder* build) {
    DimsExprs dims = {};
    dims.nbDims = tensor.rank;
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
        const bool open = tensor.open[axis] != 0;
        const std::string symbol = name + "." + std::to_string(axis);
        dims.d[axis] = build->make(tensor.sizes[axis], !open, open ? symbol : std::to_string(tensor.sizes[axis]));
    }
    return dims;
}

std::string to_text(const DimsExprs& dims) {
    if (dims.nbDims < 0) {
        return "none";
    }
    std::string text = "[";
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) {
        const Expression& e = *static_cast<Expression const*>(dims.d[axis]);
        text += axis == 0 ? "" : ", ";
        text += e.text;
        if (!e.constant) {
            text += " = " + std::to_string(e.value);
        }
    }
    return text + "]";
}

std::vector<PluginField> to_fields(const ailurus_trt_field* fields, int32_t count) {
    std::vector<PluginField> all;
    for (int32_t i = 0; i < count; ++i) {
        all.emplace_back(fields[i].name, fields[i].data, static_cast<PluginFieldType>(fields[i].type),
                         fields[i].length);
    }
    return all;
}

// Copies a text into a caller's buffer, as far as it fits.
void hand_out(const std::string& text, char* to, size_t room) {
    std::snprintf(to, room, "%s", text.c_str());
}

#if AILURUS_TRT_V3

using Plugin = IPluginV3;

IPluginCreatorV3One* creator(const char* name) {
    return static_cast<IPluginCreatorV3One*>(find(name));
}
IPluginV3OneBuild* build_of(Plugin* plugin) {
    return static_cast<IPluginV3OneBuild*>(plugin->getCapabilityInterface(PluginCapabilityType::kBUILD));
}
IPluginV3OneRuntime* runtime_of(Plugin* plugin) {
    return static_cast<IPluginV3OneRuntime*>(plugin->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
}
IPluginV3OneCore* core_of(Plugin* plugin) {
    return static_cast<IPluginV3OneCore*>(plugin->getCapabilityInterface(PluginCapabilityType::kCORE));
}
const char* name_of(ailurus_trt::Creator* c) {
    return static_cast<IPluginCreatorV3One*>(c)->getPluginName();
}

#else

using Plugin = IPluginV2DynamicExt;

IPluginCreator* creator(const char* name) {
    return find(name);
}
const char* name_of(ailurus_trt::Creator* c) {
    return c->getPluginName();
}

#endif

ailurus_trt::Creator* find(const char* name) {
    int32_t count = 0;
    ailurus_trt::Creator* const* const all = ailurus_trt::creators(&count);
    for (int32_t i = 0; i < count; ++i) {
        if (std::strcmp(name_of(all[i]), name) == 0) {
            return all[i];
        }
    }
    return nullptr;
}

}  // namespace

extern "C" {

// Directs messages to the log below, or with 0 to where they go without a logger.
void AILURUS_TRT_BRIDGE(attach_log)(int32_t on) {
    ailurus_trt::set_logger_finder(on != 0 ? &finder : nullptr);
}

// What was logged on this thread since the last call.
void AILURUS_TRT_BRIDGE(take_log)(char* to, size_t room) {
    hand_out(log_of_thread.text, to, room);
    log_of_thread.text.clear();
}

// Names, versions, namespaces and fields of the creators, a line each.
void AILURUS_TRT_BRIDGE(creators)(char* to, size_t room) {
    int32_t count = 0;
    ailurus_trt::Creator* const* const all = ailurus_trt::creators(&count);
    std::string text;
    for (int32_t i = 0; i < count; ++i) {
        auto* const c = creator(name_of(all[i]));
        text += std::string(c->getPluginName()) + " " + c->getPluginVersion() + " " + c->getPluginNamespace();
        const PluginFieldCollection* const fields = c->getFieldNames();
        for (int32_t f = 0; f < fields->nbFields; ++f) {
            text += std::string(" ") + fields->fields[f].name + ":" +
                    std::to_string(static_cast<int>(fields->fields[f].type));
        }
        text += '\n';
    }
    hand_out(text, to, room);
}

void* AILURUS_TRT_BRIDGE(create)(const char* name, const ailurus_trt_field* fields, int32_t count) {
    const std::vector<PluginField> all = to_fields(fields, count);
    PluginFieldCollection collection = {count, all.data()};
    auto* const c = creator(name);
    if (c == nullptr) {
        return nullptr;
    }
#if AILURUS_TRT_V3
    return c->createPlugin("node", &collection, TensorRTPhase::kBUILD);
#else
    return static_cast<Plugin*>(c->createPlugin("node", &collection));
#endif
}

void AILURUS_TRT_BRIDGE(destroy)(void* plugin) {
#if AILURUS_TRT_V3
    delete static_cast<Plugin*>(plugin);
#else
    static_cast<Plugin*>(plugin)->destroy();
#endif
}

// A copy: 0 as TensorRT copies while it builds, 1 as it does for a context.
void* AILURUS_TRT_BRIDGE(copy)(void* plugin, int32_t for_context) {
    Plugin* const p = static_cast<Plugin*>(plugin);
#if AILURUS_TRT_V3
    return for_context != 0 ? runtime_of(p)->attachToContext(nullptr) : p->clone();
#else
    Plugin* const copy = p->clone();
    if (for_context != 0) {
        copy->initialize();
    }
    return copy;
#endif
}

// Writes the plugin and reads it back, after a change to what was written: bytes cut off its end, or nothing for 0.
void* AILURUS_TRT_BRIDGE(round_trip)(void* plugin, int32_t cut) {
    Plugin* const p = static_cast<Plugin*>(plugin);
#if AILURUS_TRT_V3
    const PluginFieldCollection* const written = runtime_of(p)->getFieldsToSerialize();
    // What TensorRT keeps are copies.
    std::vector<PluginField> fields(written->fields, written->fields + written->nbFields);
    std::vector<std::vector<char>> values;
    for (PluginField& field : fields) {
        const char* const data = static_cast<const char*>(field.data);
        const int32_t bytes = field.type == PluginFieldType::kCHAR ? field.length : 4 * field.length;
        values.emplace_back(data, data + bytes);
        field.data = values.back().data();
    }
    PluginFieldCollection collection = {static_cast<int32_t>(fields.size()) - cut, fields.data()};
    return creator(core_of(p)->getPluginName())->createPlugin("node", &collection, TensorRTPhase::kRUNTIME);
#else
    std::vector<char> bytes(p->getSerializationSize());
    p->serialize(bytes.data());
    const size_t left = bytes.size() - static_cast<size_t>(cut);
    return static_cast<Plugin*>(creator(p->getPluginType())->deserializePlugin("node", bytes.data(), left));
#endif
}

// Name, version, namespace and all attributes.
void AILURUS_TRT_BRIDGE(describe)(void* plugin, char* to, size_t room) {
    Plugin* const p = static_cast<Plugin*>(plugin);
#if AILURUS_TRT_V3
    IPluginV3OneCore* const core = core_of(p);
    hand_out(std::string(core->getPluginName()) + " " + core->getPluginVersion() + " " + core->getPluginNamespace() +
                 " " + build_of(p)->getTimingCacheID(),
             to, room);
#else
    std::vector<unsigned char> bytes(p->getSerializationSize());
    p->serialize(bytes.data());
    std::string text =
        std::string(p->getPluginType()) + " " + p->getPluginVersion() + " " + p->getPluginNamespace() + " ";
    for (const unsigned char byte : bytes) {
        text += std::to_string(byte) + ",";
    }
    hand_out(text, to, room);
#endif
}

// Types and shapes of the outputs, a line each; "refused" if there are none.
void AILURUS_TRT_BRIDGE(shapes)(void* plugin, const ailurus_trt_tensor* in, int32_t inputs,
                                const ailurus_trt_tensor* value, char* to, size_t room) {
    Plugin* const p = static_cast<Plugin*>(plugin);
    Builder build;
    std::vector<DimsExprs> dims;
    std::vector<DataType> types;
    for (int32_t i = 0; i < inputs; ++i) {
        dims.push_back(express(in[i], "in" + std::to_string(i), &build));
        types.push_back(static_cast<DataType>(in[i].type));
    }
    std::string text;
#if AILURUS_TRT_V3
    const DimsExprs values = value == nullptr ? DimsExprs{} : express(*value, "grid", &build);
    IPluginV3OneBuild* const builds = build_of(p);
    const int32_t outputs = builds->getNbOutputs();
    std::vector<DimsExprs> out(static_cast<size_t>(outputs));
    std::vector<DataType> out_types(static_cast<size_t>(outputs));
    if (builds->getOutputDataTypes(out_types.data(), outputs, types.data(), inputs) != 0 ||
        builds->getOutputShapes(dims.data(), inputs, &values, value == nullptr ? 0 : 1, out.data(), outputs, build) != 0) {
        hand_out("refused", to, room);
        return;
    }
#else
    (void)value;
    std::vector<DimsExprs> out;
    std::vector<DataType> out_types;
    for (int32_t i = 0; i < p->getNbOutputs(); ++i) {
        out.push_back(p->getOutputDimensions(i, dims.data(), inputs, build));
        out_types.push_back(p->getOutputDataType(i, types.data(), inputs));
        if (out.back().nbDims < 0) {
            hand_out("refused", to, room);
            return;
        }
    }
#endif
    for (size_t i = 0; i < out.size(); ++i) {
        text += std::to_string(static_cast<int>(out_types[i])) + " " + to_text(out[i]) + "\n";
    }
    hand_out(text, to, room);
}

// Whether the last of these tensors may be as it is, if the others are.
int32_t AILURUS_TRT_BRIDGE(supports)(void* plugin, const ailurus_trt_tensor* all, int32_t count, int32_t inputs,
                                     int32_t outputs) {
    Plugin* const p = static_cast<Plugin*>(plugin);
#if AILURUS_TRT_V3
    const std::vector<DynamicPluginTensorDesc> descs = describe_open(all, count);
    return build_of(p)->supportsFormatCombination(count - 1, descs.data(), inputs, outputs);
#else
    const std::vector<PluginTensorDesc> descs = describe_all(all, count);
    return p->supportsFormatCombination(count - 1, descs.data(), inputs, outputs);
#endif
}

size_t AILURUS_TRT_BRIDGE(workspace)(void* plugin, const ailurus_trt_tensor* in, int32_t inputs,
                                     const ailurus_trt_tensor* out, int32_t outputs) {
    Plugin* const p = static_cast<Plugin*>(plugin);
#if AILURUS_TRT_V3
    const std::vector<DynamicPluginTensorDesc> ins = describe_open(in, inputs);
    const std::vector<DynamicPluginTensorDesc> outs = describe_open(out, outputs);
    return build_of(p)->getWorkspaceSize(ins.data(), inputs, outs.data(), outputs);
#else
    const std::vector<PluginTensorDesc> ins = describe_all(in, inputs);
    const std::vector<PluginTensorDesc> outs = describe_all(out, outputs);
    return p->getWorkspaceSize(ins.data(), inputs, outs.data(), outputs);
#endif
}

// Prepares and runs; 0 if both went well.
int32_t AILURUS_TRT_BRIDGE(enqueue)(void* plugin, const ailurus_trt_tensor* in, int32_t inputs,
                                    const ailurus_trt_tensor* out, int32_t outputs, void* workspace) {
    Plugin* const p = static_cast<Plugin*>(plugin);
    const std::vector<PluginTensorDesc> ins = describe_all(in, inputs);
    const std::vector<PluginTensorDesc> outs = describe_all(out, outputs);
    std::vector<void const*> from;
    std::vector<void*> to;
    for (int32_t i = 0; i < inputs; ++i) {
        from.push_back(in[i].data);
    }
    for (int32_t i = 0; i < outputs; ++i) {
        to.push_back(out[i].data);
    }
#if AILURUS_TRT_V3
    const std::vector<DynamicPluginTensorDesc> open_ins = describe_open(in, inputs);
    const std::vector<DynamicPluginTensorDesc> open_outs = describe_open(out, outputs);
    if (build_of(p)->configurePlugin(open_ins.data(), inputs, open_outs.data(), outputs) != 0 ||
        runtime_of(p)->onShapeChange(ins.data(), inputs, outs.data(), outputs) != 0) {
        return -2;
    }
    return runtime_of(p)->enqueue(ins.data(), outs.data(), from.data(), to.data(), workspace, nullptr);
#else
    const std::vector<DynamicPluginTensorDesc> open_ins = describe_open(in, inputs);
    const std::vector<DynamicPluginTensorDesc> open_outs = describe_open(out, outputs);
    p->configurePlugin(open_ins.data(), inputs, open_outs.data(), outputs);
    return p->enqueue(ins.data(), outs.data(), from.data(), to.data(), workspace, nullptr);
#endif
}

}  // extern "C"
