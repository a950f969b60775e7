// The operators as ONNX Runtime's tables of functions, and the entry point that it calls.

#include <cstdlib>
#include <cstring>
#include <limits>
#include <list>
#include <mutex>

#include "operators.h"

// The provider whose kernels these are. Tests define it as empty, which means the processor's, and give the launcher a
// driver that works there.
#ifndef AILURUS_ORT_PROVIDER
#define AILURUS_ORT_PROVIDER "CUDAExecutionProvider"
#endif

namespace ailurus_ort {

namespace {

const char* const DOMAIN_NAME = "ai.ailurus";
const char* const PROVIDER = AILURUS_ORT_PROVIDER;

// One operator in one element type. The table comes first, so that a pointer to it is a pointer to the whole.
struct Op {
    OrtCustomOp table;
    const Ort* ort;
    const Operator* op;
    int element;
};

const Op& of(const OrtCustomOp* table) {
    return *reinterpret_cast<const Op*>(table);
}

struct Instance {
    const Op* op;
    std::string node;
    std::unique_ptr<Kernel> kernel;
};

// Does something that may throw, and tells ONNX Runtime what it threw.
template <typename Work>
OrtStatus* guarded(const Ort& ort, const std::string& place, const Work& work) noexcept {
    int kind = ORT_RUNTIME_EXCEPTION;
    std::string text;
    try {
        work();
        return nullptr;
    } catch (const Failure& failure) {
        kind = failure.kind;
        text = failure.what();
    } catch (const std::exception& error) {
        text = std::string("AIL0902: internal error: ") + error.what();
    }
    const std::string where = place.empty() ? "" : " (" + place + ")";
    return ort.CreateStatus()(kind, ("ailurus " + text + where).c_str());
}

const char* AILURUS_ORT_CALL name(const OrtCustomOp* table) {
    return of(table).op->name;
}

const char* AILURUS_ORT_CALL provider(const OrtCustomOp*) {
    // No name means the processor.
    return PROVIDER[0] == '\0' ? nullptr : PROVIDER;
}

int AILURUS_ORT_CALL input_type(const OrtCustomOp* table, size_t i) {
    return number_of(of(table).op->inputs[i].type, of(table).element);
}

size_t AILURUS_ORT_CALL input_count(const OrtCustomOp* table) {
    return of(table).op->inputs.size();
}

int AILURUS_ORT_CALL output_type(const OrtCustomOp* table, size_t i) {
    return number_of(of(table).op->outputs[i].type, of(table).element);
}

size_t AILURUS_ORT_CALL output_count(const OrtCustomOp* table) {
    return of(table).op->outputs.size();
}

int AILURUS_ORT_CALL input_characteristic(const OrtCustomOp* table, size_t i) {
    return of(table).op->inputs[i].optional ? ORT_PORT_OPTIONAL : ORT_PORT_REQUIRED;
}

int AILURUS_ORT_CALL output_characteristic(const OrtCustomOp* table, size_t i) {
    return of(table).op->outputs[i].optional ? ORT_PORT_OPTIONAL : ORT_PORT_REQUIRED;
}

// Tensors are on the device, but for sizes, which decide what is launched.
int AILURUS_ORT_CALL input_memory(const OrtCustomOp* table, size_t i) {
    return of(table).op->inputs[i].type == Type::I64 ? ORT_MEMORY_CPU_INPUT : ORT_MEMORY_DEFAULT;
}

int AILURUS_ORT_CALL one(const OrtCustomOp*) {
    return 1;
}

int AILURUS_ORT_CALL newest(const OrtCustomOp*) {
    return std::numeric_limits<int>::max();
}

OrtStatus* AILURUS_ORT_CALL create(const OrtCustomOp* table, const OrtApi*, const OrtKernelInfo* info, void** kernel) {
    const Op& op = of(table);
    return guarded(*op.ort, op.op->name, [&] {
        const Node node(*op.ort, info);
        std::unique_ptr<Instance> instance(new Instance);
        instance->op = &op;
        instance->node = "node `" + node.name() + "`";
        instance->kernel = op.op->create(node);
        *kernel = instance.release();
    });
}

void AILURUS_ORT_CALL destroy(void* kernel) {
    delete static_cast<Instance*>(kernel);
}

OrtStatus* AILURUS_ORT_CALL compute(void* kernel, OrtKernelContext* context) {
    Instance& instance = *static_cast<Instance*>(kernel);
    const Ort& ort = *instance.op->ort;
    return guarded(ort, instance.node, [&] { instance.kernel->compute(Call(ort, context, instance.op->element)); });
}

// What shapes follow from what is written in the file: the rewriter gives every tensor its shape.
OrtCustomOp table() {
    OrtCustomOp t = {};
    t.version = AILURUS_ORT_API_VERSION;
    t.GetName = name;
    t.GetExecutionProviderType = provider;
    t.GetInputType = input_type;
    t.GetInputTypeCount = input_count;
    t.GetOutputType = output_type;
    t.GetOutputTypeCount = output_count;
    t.KernelDestroy = destroy;
    t.GetInputCharacteristic = input_characteristic;
    t.GetOutputCharacteristic = output_characteristic;
    t.GetInputMemoryType = input_memory;
    t.GetVariadicInputMinArity = one;
    t.GetVariadicInputHomogeneity = one;
    t.GetVariadicOutputMinArity = one;
    t.GetVariadicOutputHomogeneity = one;
    t.CreateKernelV2 = create;
    t.KernelComputeV2 = compute;
    t.GetStartVersion = one;
    t.GetEndVersion = newest;
    return t;
}

// What was made for one ONNX Runtime. Sessions keep pointers to it, so it is never freed.
struct Registered {
    explicit Registered(const OrtApi* api) : ort(api) {}
    const Ort ort;
    std::list<Op> ops;
    OrtCustomOpDomain* domain = nullptr;
};

// Whether this ONNX Runtime was built with the provider.
bool has_provider(const Ort& ort) {
    if (PROVIDER[0] == '\0') {
        return true;
    }
    char** names = nullptr;
    int count = 0;
    ort.check(ort.GetAvailableProviders()(&names, &count));
    bool found = false;
    for (int i = 0; i < count; ++i) {
        found = found || std::strcmp(names[i], PROVIDER) == 0;
    }
    ort.check(ort.ReleaseAvailableProviders()(names, count));
    return found;
}

// All of them; sessions may look at them while the program ends, so they are never destroyed.
const std::vector<Operator>& operators() {
    static const std::vector<Operator>* const all =
        new std::vector<Operator>{density_peaks(), grid_kmeans(), merge(), unfold(), unfold_residual()};
    return *all;
}

void make(Registered* registered) {
    const Ort& ort = registered->ort;
    OrtCustomOpDomain* domain = nullptr;
    ort.check(ort.CreateCustomOpDomain()(DOMAIN_NAME, &domain));
    for (const Operator& op : operators()) {
        for (const int element : {int(ORT_TYPE_FLOAT), int(ORT_TYPE_FLOAT16)}) {
            registered->ops.push_back({table(), &ort, &op, element});
            ort.check(ort.CustomOpDomain_Add()(domain, &registered->ops.back().table));
        }
    }
    registered->domain = domain;
}

void add(const OrtApi* api, OrtSessionOptions* options) {
    // An operator that is known, but has no kernel for any provider there is, is an error, also where the file has a
    // function for it. One that is not known is the function.
    if (!has_provider(Ort(api))) {
        return;
    }
    static std::mutex* const mutex = new std::mutex;
    static std::list<Registered>* const all = new std::list<Registered>;
    const std::lock_guard<std::mutex> lock(*mutex);
    for (const Registered& known : *all) {
        if (known.ort.is(api) && known.domain != nullptr) {
            return known.ort.check(known.ort.AddCustomOpDomain()(options, known.domain));
        }
    }
    all->emplace_back(api);
    make(&all->back());
    all->back().ort.check(all->back().ort.AddCustomOpDomain()(options, all->back().domain));
}

}  // namespace

}  // namespace ailurus_ort

// Makes the operators known to sessions that are created with these options; ONNX Runtime calls it when the library is
// registered. Returns null, or a status that the caller releases.
extern "C" AILURUS_ORT_EXPORT OrtStatus* AILURUS_ORT_CALL RegisterCustomOps(OrtSessionOptions* options,
                                                                            const OrtApiBase* base) {
    using namespace ailurus_ort;
    // An old release complains on the error stream when it is asked for what it does not have: the second number of its
    // version is that of its interface.
    const std::string version = base->GetVersionString();
    const size_t dot = version.find('.');
    const long minor = dot == std::string::npos ? 0 : std::strtol(version.c_str() + dot + 1, nullptr, 10);
    const OrtApi* const api = minor < AILURUS_ORT_API_VERSION ? nullptr : base->GetApi(AILURUS_ORT_API_VERSION);
    if (api == nullptr) {
        // The first function of the first version has never moved.
        const std::string text =
            "ailurus AIL0901: ONNX Runtime " + version + " is too old for this library: 1.17 or newer is needed";
        return Ort(base->GetApi(1)).CreateStatus()(ORT_NOT_IMPLEMENTED, text.c_str());
    }
    return guarded(Ort(api), "", [&] { add(api, options); });
}
