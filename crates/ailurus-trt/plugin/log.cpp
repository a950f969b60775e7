#include "log.h"

#include <cstdarg>
#include <cstdio>

#include "logger_finder.h"
#include "tensorrt.h"

namespace ailurus_trt {

namespace {

using nvinfer1::ILogger;

// Longer messages are cut off.
constexpr size_t MOST_CHARACTERS = 1024;

void write(ILogger::Severity severity, Code code, const char* plugin, const char* format, va_list values) noexcept {
    char text[MOST_CHARACTERS];
    const int start = std::snprintf(text, sizeof text, "AIL%d %s: ", static_cast<int>(code), plugin);
    if (start < 0 || static_cast<size_t>(start) >= sizeof text) {
        return;
    }
    std::vsnprintf(text + start, sizeof text - static_cast<size_t>(start), format, values);
    if (ILogger* const logger = find_logger()) {
        logger->log(severity, text);
    } else {
        std::fprintf(stderr, "%s\n", text);
    }
}

}  // namespace

bool refuse(Code code, const char* plugin, const char* format, ...) noexcept {
    va_list values;
    va_start(values, format);
    write(ILogger::Severity::kERROR, code, plugin, format, values);
    va_end(values);
    return false;
}

void warn(Code code, const char* plugin, const char* format, ...) noexcept {
    va_list values;
    va_start(values, format);
    write(ILogger::Severity::kWARNING, code, plugin, format, values);
    va_end(values);
}

}  // namespace ailurus_trt
