#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace {

struct Entry {
    const char* name;
    const char* code;
    const char* message;
};

// In the order of ailurus_cuda_status.
const Entry ENTRIES[] = {
    {"OK", "", "no error"},
    {"NO_LIBRARY", "AIL0801", "the CUDA driver library cannot be loaded"},
    {"OLD_LIBRARY", "AIL0802", "the CUDA driver library lacks a function; the driver is too old"},
    {"NO_DEVICE", "AIL0803", "the CUDA driver finds no usable device"},
    {"NO_CONTEXT", "AIL0804", "no CUDA context is current on this thread"},
    {"NO_KERNELS", "AIL0805", "the kernels cannot be loaded into the CUDA context"},
    {"BAD_PARAMETER", "AIL0806", "a parameter is outside its range"},
    {"BAD_SHAPE", "AIL0807", "a size is not positive, or sizes contradict each other"},
    {"TOO_LARGE", "AIL0808", "sizes are beyond what the kernels can count"},
    {"BAD_POINTER", "AIL0809", "a pointer is null or not aligned to its elements"},
    {"SMALL_WORKSPACE", "AIL0810", "the workspace is too small"},
    {"BAD_TYPE", "AIL0811", "the element type is unknown"},
    {"DRIVER", "AIL0812", "the CUDA driver returned an error"},
};

const Entry UNKNOWN = {"UNKNOWN", "AIL0899", "not a status of this library"};

const Entry& entry(ailurus_cuda_status status) {
    const int at = static_cast<int>(status);
    const int count = static_cast<int>(sizeof ENTRIES / sizeof ENTRIES[0]);
    return at >= 0 && at < count ? ENTRIES[at] : UNKNOWN;
}

thread_local char last_error[1024] = "";

}  // namespace

namespace ailurus_cuda {

ailurus_cuda_status fail(ailurus_cuda_status status, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

}  // namespace ailurus_cuda

int32_t ailurus_cuda_abi_version(void) {
    return AILURUS_CUDA_ABI_VERSION;
}

const char* ailurus_cuda_status_name(ailurus_cuda_status status) {
    return entry(status).name;
}

const char* ailurus_cuda_status_message(ailurus_cuda_status status) {
    return entry(status).message;
}

const char* ailurus_cuda_status_code(ailurus_cuda_status status) {
    return entry(status).code;
}

const char* ailurus_cuda_last_error(void) {
    return last_error;
}
