// The plugins as IPluginV2DynamicExt: TensorRT 8.
#include "tensorrt.h"

#if !AILURUS_TRT_V3

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

#include "creators.h"
#include "fields.h"
#include "log.h"

namespace ailurus_trt {

namespace {

using namespace nvinfer1;

// A namespace that TensorRT sets: the one it was registered with.
class Namespace {
  public:
    Namespace() noexcept { set(PLUGIN_NAMESPACE); }
    const char* get() const noexcept { return text_; }
    void set(const char* text) noexcept { std::snprintf(text_, sizeof text_, "%s", text == nullptr ? "" : text); }

  private:
    char text_[128];
};

class Plugin final : public IPluginV2DynamicExt {
  public:
    Plugin(const Operator& op, const Params& params, const Namespace& where) noexcept
        : op_(op), params_(params), namespace_(where) {}

    IPluginV2DynamicExt* clone() const noexcept override {
        Plugin* const copy = new (std::nothrow) Plugin(op_, params_, namespace_);
        if (copy == nullptr) {
            refuse(Code::NO_MEMORY, op_.name, "no memory for a copy of the plugin");
        }
        return copy;
    }

    AsciiChar const* getPluginType() const noexcept override { return op_.name; }
    AsciiChar const* getPluginVersion() const noexcept override { return PLUGIN_VERSION; }
    AsciiChar const* getPluginNamespace() const noexcept override { return namespace_.get(); }
    void setPluginNamespace(AsciiChar const* where) noexcept override { namespace_.set(where); }

    int32_t getNbOutputs() const noexcept override { return op_.output_count(params_); }

    DataType getOutputDataType(int32_t output, DataType const* in, int32_t) const noexcept override {
        return output_type(op_, output, in[0]);
    }

    DimsExprs getOutputDimensions(int32_t output, DimsExprs const* in, int32_t inputs,
                                  IExprBuilder& build) noexcept override {
        DimsExprs out[MOST_OUTPUTS] = {};
        const bool known = check_counts(op_, params_, inputs, getNbOutputs()) &&
                           op_.shapes(params_, Shapes{in, inputs, nullptr, 0, out, build});
        DimsExprs none = {};
        none.nbDims = -1;
        return known ? out[output] : none;
    }

    bool supportsFormatCombination(int32_t position, PluginTensorDesc const* all, int32_t inputs,
                                   int32_t) noexcept override {
        return supports(op_, position, inputs, all[position], all[0].type);
    }

    void configurePlugin(DynamicPluginTensorDesc const*, int32_t inputs, DynamicPluginTensorDesc const*,
                         int32_t outputs) noexcept override {
        check_counts(op_, params_, inputs, outputs);
    }

    size_t getWorkspaceSize(PluginTensorDesc const* in, int32_t inputs, PluginTensorDesc const*,
                            int32_t) const noexcept override {
        Dims largest[MOST_INPUTS] = {};
        for (int32_t i = 0; i < std::min(inputs, MOST_INPUTS); ++i) {
            largest[i] = in[i].dims;
        }
        return op_.workspace(params_, largest);
    }

    int32_t enqueue(PluginTensorDesc const* in_desc, PluginTensorDesc const* out_desc, void const* const* in,
                    void* const* out, void* workspace, cudaStream_t stream) noexcept override {
        return run(op_, params_, Tensors{in_desc, out_desc, in, out, workspace, stream}) ? 0 : -1;
    }

    int32_t initialize() noexcept override {
        prepare(op_);
        return 0;
    }
    void terminate() noexcept override {}
    void destroy() noexcept override { delete this; }

    size_t getSerializationSize() const noexcept override { return sizeof(Bytes); }
    void serialize(void* to) const noexcept override {
        const Bytes bytes = to_bytes(params_);
        std::memcpy(to, &bytes, sizeof bytes);
    }

  private:
    const Operator& op_;
    const Params params_;
    Namespace namespace_;
};

class PluginCreator final : public IPluginCreator {
  public:
    explicit PluginCreator(const Operator& op) noexcept : op_(op), fields_(op) {}

    AsciiChar const* getPluginName() const noexcept override { return op_.name; }
    AsciiChar const* getPluginVersion() const noexcept override { return PLUGIN_VERSION; }
    AsciiChar const* getPluginNamespace() const noexcept override { return namespace_.get(); }
    void setPluginNamespace(AsciiChar const* where) noexcept override { namespace_.set(where); }
    PluginFieldCollection const* getFieldNames() noexcept override { return fields_.collection(); }

    IPluginV2* createPlugin(AsciiChar const*, PluginFieldCollection const* fields) noexcept override {
        Params params;
        return read_fields(op_, fields, &params) ? make(params) : nullptr;
    }

    IPluginV2* deserializePlugin(AsciiChar const*, void const* data, size_t length) noexcept override {
        Params params;
        return from_bytes(op_, data, length, &params) ? make(params) : nullptr;
    }

  private:
    IPluginV2* make(const Params& params) const noexcept {
        Plugin* const plugin = new (std::nothrow) Plugin(op_, params, namespace_);
        if (plugin == nullptr) {
            refuse(Code::NO_MEMORY, op_.name, "no memory for the plugin");
        }
        return plugin;
    }

    const Operator& op_;
    const Fields fields_;
    Namespace namespace_;
};

}  // namespace

Creator* const* creators(int32_t* count) noexcept {
    static const Creators<PluginCreator> all;
    *count = Creators<PluginCreator>::COUNT;
    return all.list();
}

}  // namespace ailurus_trt

#endif
