// Asks TensorRT for its logger, whichever version of TensorRT it is.
#ifndef AILURUS_TRT_LOGGER_FINDER_H
#define AILURUS_TRT_LOGGER_FINDER_H

#include "tensorrt.h"

namespace ailurus_trt {

// Null takes the finder back.
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

// The logger of what calls a plugin on this thread, or null if there is none.
nvinfer1::ILogger* find_logger() noexcept;

}  // namespace ailurus_trt

#endif
