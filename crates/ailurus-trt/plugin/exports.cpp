// The functions that TensorRT looks up in a plugin library. Cargo's library has them from src/exports.rs instead, because
// rustc exports nothing of C++.
#include "library.h"
#include "logger_finder.h"

#if defined(_WIN32)
#define AILURUS_TRT_EXPORT extern "C" __declspec(dllexport)
#else
#define AILURUS_TRT_EXPORT extern "C" __attribute__((visibility("default")))
#endif

#if AILURUS_TRT_V3
AILURUS_TRT_EXPORT ailurus_trt::Creator* const* getCreators(int32_t& count) {
#else
AILURUS_TRT_EXPORT ailurus_trt::Creator* const* getPluginCreators(int32_t& count) {
#endif
    return ailurus_trt::creators(&count);
}

AILURUS_TRT_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
    ailurus_trt::set_logger_finder(finder);
}
