// ILoggerFinder is laid out in one way up to TensorRT 10 and in another from 11 on, where it has a version. All other
// interfaces are the same in both, so that a library may serve both; but the wrong guess about this one ends in a crash
// instead of a message. The object itself tells: its class derives from the one or from the other.
#include "logger_finder.h"

#include <atomic>
#include <cstring>
#include <typeinfo>

#if defined(__GLIBCXX__) && !defined(_WIN32)
#include <cxxabi.h>
#define AILURUS_TRT_FINDER_TELLS 1
#else
#define AILURUS_TRT_FINDER_TELLS 0
#endif

namespace ailurus_trt {

namespace {

using nvinfer1::ILogger;
using nvinfer1::ILoggerFinder;
using Find = ILogger* (*)(void* finder);

struct Source {
    ILoggerFinder* finder;
    // Its function, or null to call it as the headers declare it.
    Find find;
};

#if AILURUS_TRT_FINDER_TELLS

struct Layout {
    const char* type_name;
    // Position of findLogger among the functions.
    size_t slot;
};

constexpr Layout LAYOUTS[] = {
    {"N8nvinfer113ILoggerFinderE", 0},
    // After getAPILanguage, getInterfaceInfo and two forms of the destructor.
    {"N8nvinfer15v_1_013ILoggerFinderE", 4},
};

bool derives_from(const std::type_info* type, const char* name) {
    if (std::strcmp(type->name(), name) == 0) {
        return true;
    }
    if (const auto* const single = dynamic_cast<const abi::__si_class_type_info*>(type)) {
        return derives_from(single->__base_type, name);
    }
    if (const auto* const several = dynamic_cast<const abi::__vmi_class_type_info*>(type)) {
        for (unsigned i = 0; i < several->__base_count; ++i) {
            if (derives_from(several->__base_info[i].__base_type, name)) {
                return true;
            }
        }
    }
    return false;
}

Source inspect(ILoggerFinder* finder) {
    // The functions of an object; before them, what class it is.
    const void* const* functions;
    std::memcpy(&functions, static_cast<const void*>(finder), sizeof functions);
    const auto* const type = static_cast<const std::type_info*>(functions[-1]);
    if (type != nullptr) {
        for (const Layout& layout : LAYOUTS) {
            if (derives_from(type, layout.type_name)) {
                Find find;
                std::memcpy(&find, &functions[layout.slot], sizeof find);
                return Source{finder, find};
            }
        }
    }
    return Source{nullptr, nullptr};
}

#else

Source inspect(ILoggerFinder* finder) {
    return Source{finder, nullptr};
}

#endif

std::atomic<ILoggerFinder*> current_finder{nullptr};
std::atomic<Find> current_find{nullptr};

}  // namespace

void set_logger_finder(ILoggerFinder* finder) noexcept {
    const Source source = finder == nullptr ? Source{nullptr, nullptr} : inspect(finder);
    // In this order no thread pairs the new object with the old function.
    current_finder.store(nullptr);
    current_find.store(source.find);
    current_finder.store(source.finder);
}

ILogger* find_logger() noexcept {
    ILoggerFinder* const finder = current_finder.load();
    if (finder == nullptr) {
        return nullptr;
    }
    const Find find = current_find.load();
    // The one function called from here that is not declared to throw nothing.
    try {
        return find == nullptr ? finder->findLogger() : find(finder);
    } catch (...) {
        return nullptr;
    }
}

}  // namespace ailurus_trt
