// Messages to TensorRT's logger, or to standard error where there is none.
#ifndef AILURUS_TRT_LOG_H
#define AILURUS_TRT_LOG_H

#if defined(__GNUC__)
#define AILURUS_TRT_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define AILURUS_TRT_PRINTF(text, first)
#endif

namespace ailurus_trt {

// Stable codes: docs/tensorrt.md says what they mean.
enum class Code {
    UNKNOWN_FIELD = 1001,
    FIELD_TWICE = 1002,
    MISSING_FIELD = 1003,
    WRONG_FIELD = 1004,
    BAD_PARAMETER = 1005,
    WRONG_COUNT = 1006,
    BAD_SHAPE = 1007,
    NO_GRID = 1008,
    NOT_OURS = 1009,
    LAUNCH = 1010,
    NO_MEMORY = 1011,
};

// Logs an error as "AIL1003 AilurusMerge: ..." and returns false.
bool refuse(Code code, const char* plugin, const char* format, ...) noexcept AILURUS_TRT_PRINTF(3, 4);

// Logs a warning in the same form.
void warn(Code code, const char* plugin, const char* format, ...) noexcept AILURUS_TRT_PRINTF(3, 4);

}  // namespace ailurus_trt

#endif
