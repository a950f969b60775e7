// The plugins as IPluginV3: TensorRT 10 and later, TensorRT for RTX.
#include "tensorrt.h"

#if AILURUS_TRT_V3

#include <algorithm>
#include <new>

#include "creators.h"
#include "fields.h"
#include "log.h"

namespace ailurus_trt {

namespace {

using namespace nvinfer1;

class Plugin final : public IPluginV3, public IPluginV3OneCore, public IPluginV3OneBuild, public IPluginV3OneRuntime {
  public:
    Plugin(const Operator& op, const Params& params) noexcept : op_(op), params_(params), fields_(op, params_) {
        describe(op_, params_, &text_);
    }

    IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept override {
        switch (type) {
            case PluginCapabilityType::kCORE:
                return static_cast<IPluginV3OneCore*>(this);
            case PluginCapabilityType::kBUILD:
                return static_cast<IPluginV3OneBuild*>(this);
            case PluginCapabilityType::kRUNTIME:
                return static_cast<IPluginV3OneRuntime*>(this);
        }
        return nullptr;
    }

    IPluginV3* clone() noexcept override {
        Plugin* const copy = new (std::nothrow) Plugin(op_, params_);
        if (copy == nullptr) {
            refuse(Code::NO_MEMORY, op_.name, "no memory for a copy of the plugin");
        }
        return copy;
    }

    AsciiChar const* getPluginName() const noexcept override { return op_.name; }
    AsciiChar const* getPluginVersion() const noexcept override { return PLUGIN_VERSION; }
    AsciiChar const* getPluginNamespace() const noexcept override { return PLUGIN_NAMESPACE; }

    int32_t getNbOutputs() const noexcept override { return op_.output_count(params_); }

    int32_t getOutputDataTypes(DataType* out, int32_t outputs, DataType const* in, int32_t inputs) const
        noexcept override {
        if (!check_counts(op_, params_, inputs, outputs)) {
            return -1;
        }
        for (int32_t i = 0; i < outputs; ++i) {
            out[i] = output_type(op_, i, in[0]);
        }
        return 0;
    }

    int32_t getOutputShapes(DimsExprs const* in, int32_t inputs, DimsExprs const* values, int32_t value_count,
                            DimsExprs* out, int32_t outputs, IExprBuilder& build) noexcept override {
        if (!check_counts(op_, params_, inputs, outputs)) {
            return -1;
        }
        return op_.shapes(params_, Shapes{in, inputs, values, value_count, out, build}) ? 0 : -1;
    }

    bool supportsFormatCombination(int32_t position, DynamicPluginTensorDesc const* all, int32_t inputs,
                                   int32_t) noexcept override {
        return supports(op_, position, inputs, all[position].desc, all[0].desc.type);
    }

    int32_t configurePlugin(DynamicPluginTensorDesc const*, int32_t inputs, DynamicPluginTensorDesc const*,
                            int32_t outputs) noexcept override {
        return check_counts(op_, params_, inputs, outputs) ? 0 : -1;
    }

    size_t getWorkspaceSize(DynamicPluginTensorDesc const* in, int32_t inputs, DynamicPluginTensorDesc const*,
                            int32_t) const noexcept override {
        Dims largest[MOST_INPUTS] = {};
        for (int32_t i = 0; i < std::min(inputs, MOST_INPUTS); ++i) {
            // The sizes of one call, or the limits of a profile; sizes that are open are negative.
            largest[i] = in[i].desc.dims;
            for (int32_t axis = 0; axis < std::min(in[i].max.nbDims, largest[i].nbDims); ++axis) {
                largest[i].d[axis] = std::max(largest[i].d[axis], in[i].max.d[axis]);
            }
        }
        return op_.workspace(params_, largest);
    }

    int32_t onShapeChange(PluginTensorDesc const* in, int32_t inputs, PluginTensorDesc const* out,
                          int32_t outputs) noexcept override {
        const Tensors tensors = {in, out, nullptr, nullptr, nullptr, nullptr};
        return check_counts(op_, params_, inputs, outputs) && op_.sizes(params_, tensors) ? 0 : -1;
    }

    int32_t enqueue(PluginTensorDesc const* in_desc, PluginTensorDesc const* out_desc, void const* const* in,
                    void* const* out, void* workspace, cudaStream_t stream) noexcept override {
        return run(op_, params_, Tensors{in_desc, out_desc, in, out, workspace, stream}) ? 0 : -1;
    }

    IPluginV3* attachToContext(IPluginResourceContext*) noexcept override {
        prepare(op_);
        return clone();
    }

    PluginFieldCollection const* getFieldsToSerialize() noexcept override { return fields_.collection(); }

    // The plugin has one way to do its work, but formats are timed against each other.
    char const* getTimingCacheID() noexcept override { return text_; }
    char const* getMetadataString() noexcept override { return text_; }

  private:
    const Operator& op_;
    const Params params_;
    const Fields fields_;
    Text text_;
};

class PluginCreator final : public IPluginCreatorV3One {
  public:
    explicit PluginCreator(const Operator& op) noexcept : op_(op), fields_(op) {}

    AsciiChar const* getPluginName() const noexcept override { return op_.name; }
    AsciiChar const* getPluginVersion() const noexcept override { return PLUGIN_VERSION; }
    AsciiChar const* getPluginNamespace() const noexcept override { return PLUGIN_NAMESPACE; }
    PluginFieldCollection const* getFieldNames() noexcept override { return fields_.collection(); }

    // A plugin is written as its fields, so it is read the same way in both phases.
    IPluginV3* createPlugin(AsciiChar const*, PluginFieldCollection const* fields,
                            TensorRTPhase) noexcept override {
        Params params;
        if (!read_fields(op_, fields, &params)) {
            return nullptr;
        }
        Plugin* const plugin = new (std::nothrow) Plugin(op_, params);
        if (plugin == nullptr) {
            refuse(Code::NO_MEMORY, op_.name, "no memory for the plugin");
        }
        return plugin;
    }

  private:
    const Operator& op_;
    const Fields fields_;
};

}  // namespace

Creator* const* creators(int32_t* count) noexcept {
    static const Creators<PluginCreator> all;
    *count = Creators<PluginCreator>::COUNT;
    return all.list();
}

}  // namespace ailurus_trt

#endif
