// What the library exports, under names of its own: see exports.cpp.
#ifndef AILURUS_TRT_LIBRARY_H
#define AILURUS_TRT_LIBRARY_H

#include "tensorrt.h"

namespace ailurus_trt {

#if AILURUS_TRT_V3
using Creator = nvinfer1::IPluginCreatorInterface;
#else
using Creator = nvinfer1::IPluginCreator;
#endif

// The creators of all plugins, which live as long as the process.
Creator* const* creators(int32_t* count) noexcept;

}  // namespace ailurus_trt

#endif
