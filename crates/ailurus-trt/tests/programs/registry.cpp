// Loads a plugin library through the registry of one of TensorRT's libraries, and takes every plugin through what can
// happen to it without a device: made from fields, written, made again from what was written, copied, destroyed.
//
// Usage: registry LIBNVINFER LIBAILURUS_TRT. Prints what it finds; the exit status is 0 if all went well.
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

using namespace nvinfer1;

namespace {

int failures = 0;

void expect(bool holds, const std::string& what) {
    if (!holds) {
        std::printf("FAILED: %s\n", what.c_str());
        ++failures;
    }
}

struct Value {
    const char* name;
    int32_t integer;
};

void take_through(IPluginCreatorV3One* creator, const std::vector<PluginField>& fields) {
    const std::string name = creator->getPluginName();
    PluginFieldCollection given = {static_cast<int32_t>(fields.size()), fields.data()};
    IPluginV3* const plugin = creator->createPlugin("node", &given, TensorRTPhase::kBUILD);
    expect(plugin != nullptr, name + " is made from fields");
    if (plugin == nullptr) {
        return;
    }
    auto* const runtime =
        static_cast<IPluginV3OneRuntime*>(plugin->getCapabilityInterface(PluginCapabilityType::kRUNTIME));
    const PluginFieldCollection* const written = runtime->getFieldsToSerialize();
    std::printf("%s writes %d fields\n", name.c_str(), written->nbFields);
    expect(written->nbFields == given.nbFields, name + " writes the fields it was made from");
    IPluginV3* const again = creator->createPlugin("node", written, TensorRTPhase::kRUNTIME);
    expect(again != nullptr, name + " is made from what was written");
    IPluginV3* const copy = plugin->clone();
    expect(copy != nullptr, name + " is copied");
    auto* const core = static_cast<IPluginV3OneCore*>(copy->getCapabilityInterface(PluginCapabilityType::kCORE));
    expect(name == core->getPluginName(), name + " keeps its name");
    delete copy;
    delete again;
    delete plugin;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 3) {
        return 2;
    }
    void* const library = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        std::printf("FAILED: %s\n", dlerror());
        return 1;
    }
    const auto version = reinterpret_cast<int32_t (*)()>(dlsym(library, "getInferLibVersion"));
    const auto find_registry = reinterpret_cast<IPluginRegistry* (*)()>(dlsym(library, "getPluginRegistry"));
    IPluginRegistry* const registry = find_registry();
    std::printf("version %d\n", version());

    int32_t before = 0;
    registry->getAllCreators(&before);
    IPluginRegistry::PluginLibraryHandle const plugins = registry->loadLibrary(arguments[2]);
    expect(plugins != nullptr, "the registry loads the library");
    int32_t after = 0;
    registry->getAllCreators(&after);
    expect(after == before + 5, "five creators are added");

    const Value integers[] = {{"prefix", 1}, {"suffix", 0},    {"grid_h", 4},    {"grid_w", 5},
                              {"keep_num", 1}, {"keep_den", 2}, {"neighbors", 1}, {"window", 9}};
    const float mix = 0.5f;
    std::vector<PluginField> fields;
    for (const Value& value : integers) {
        fields.emplace_back(value.name, &value.integer, PluginFieldType::kINT32, 1);
    }
    fields.emplace_back("spatial_mix", &mix, PluginFieldType::kFLOAT32, 1);

    const Value grid_integers[] = {{"prefix", 1},     {"suffix", 0}, {"grid_h", 4}, {"grid_w", 5},    {"cluster_h", 2},
                                   {"cluster_w", 2},  {"iterations", 5}, {"window", 5}, {"neighbors", 4}, {"ties", 0}};
    const float temperature = 5.0f;
    std::vector<PluginField> grid_fields;
    for (const Value& value : grid_integers) {
        grid_fields.emplace_back(value.name, &value.integer, PluginFieldType::kINT32, 1);
    }
    grid_fields.emplace_back("temperature", &temperature, PluginFieldType::kFLOAT32, 1);
    grid_fields.emplace_back("temperature_mode", "relative", PluginFieldType::kCHAR, 8);
    grid_fields.emplace_back("norm", "l1", PluginFieldType::kCHAR, 2);
    const std::map<std::string, std::vector<PluginField>> fields_of = {{"AilurusDensityPeaks", fields},
                                                                       {"AilurusGridKMeans", grid_fields}};

    for (const char* const name : {"AilurusDensityPeaks", "AilurusGridKMeans", "AilurusMerge", "AilurusUnfold", "AilurusUnfoldResidual"}) {
        auto* const creator = static_cast<IPluginCreatorV3One*>(registry->getCreator(name, "1", "ailurus"));
        expect(creator != nullptr, std::string(name) + " has a creator");
        if (creator != nullptr) {
            const auto found = fields_of.find(name);
            take_through(creator, found == fields_of.end() ? std::vector<PluginField>() : found->second);
        }
        expect(registry->getCreator(name, "1", "") == nullptr, std::string(name) + " is in its namespace only");
    }
    auto* const peaks =
        static_cast<IPluginCreatorV3One*>(registry->getCreator("AilurusDensityPeaks", "1", "ailurus"));
    PluginFieldCollection none = {0, nullptr};
    expect(peaks->createPlugin("node", &none, TensorRTPhase::kBUILD) == nullptr, "without fields it is refused");

    registry->deregisterLibrary(plugins);
    registry->getAllCreators(&after);
    expect(after == before, "the creators are gone with the library");
    // The library may be loaded again.
    IPluginRegistry::PluginLibraryHandle const again = registry->loadLibrary(arguments[2]);
    expect(again != nullptr && registry->getCreator("AilurusMerge", "1", "ailurus") != nullptr, "loaded again");
    std::printf("%s\n", failures == 0 ? "all went well" : "something failed");
    return failures == 0 ? 0 : 1;
}
