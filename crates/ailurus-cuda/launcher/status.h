// Errors inside the launcher: a status to return and a sentence to remember.
#ifndef AILURUS_CUDA_STATUS_H
#define AILURUS_CUDA_STATUS_H

#include "ailurus_cuda.h"

#if defined(__GNUC__)
#define AILURUS_CUDA_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define AILURUS_CUDA_PRINTF(text, first)
#endif

namespace ailurus_cuda {

// Remembers the sentence for this thread and returns the status.
ailurus_cuda_status fail(ailurus_cuda_status status, const char* format, ...) AILURUS_CUDA_PRINTF(2, 3);

}  // namespace ailurus_cuda

#endif
