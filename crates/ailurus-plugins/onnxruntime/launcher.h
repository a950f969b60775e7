// What the operators share on their way to the launcher.
#ifndef AILURUS_ORT_LAUNCHER_H
#define AILURUS_ORT_LAUNCHER_H

#include <string>

#include "ailurus_cuda.h"
#include "ort.h"

namespace ailurus_ort {

inline void check(ailurus_cuda_status status) {
    if (status != AILURUS_CUDA_OK) {
        throw Failure(ORT_INVALID_ARGUMENT, std::string(ailurus_cuda_status_code(status)) + ": " +
                                                ailurus_cuda_status_message(status) + ": " + ailurus_cuda_last_error());
    }
}

inline ailurus_cuda_type type_of(const Call& call) {
    return call.element == ORT_TYPE_FLOAT16 ? AILURUS_CUDA_F16 : AILURUS_CUDA_F32;
}

// Kernels on a device cannot object: shapes are compared before they start.
inline void require(bool holds, const char* input, const char* what) {
    if (!holds) {
        throw Failure(ORT_INVALID_ARGUMENT, std::string("AIL0306: input `") + input + "`: " + what);
    }
}

}  // namespace ailurus_ort

#endif
