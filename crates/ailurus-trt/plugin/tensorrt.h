// Which interface of TensorRT the plugins implement, by the headers they are compiled with.
#ifndef AILURUS_TRT_TENSORRT_H
#define AILURUS_TRT_TENSORRT_H

#include <NvInferRuntime.h>

// TensorRT for RTX counts its versions from 1 and has the interface of TensorRT 10. AILURUS_TRT_FORCE_V2 compiles the
// older one with newer headers, which is for tests only: the layout of its classes is not that of TensorRT 8.
#if !defined(AILURUS_TRT_FORCE_V2) && (NV_TENSORRT_MAJOR >= 10 || defined(TRT_MAJOR_RTX))
#define AILURUS_TRT_V3 1
#else
#define AILURUS_TRT_V3 0
#endif

// TensorRT 8 has neither 64-bit sizes nor 64-bit fields.
#if NV_TENSORRT_MAJOR >= 10 || defined(TRT_MAJOR_RTX)
#define AILURUS_TRT_INT64 1
#else
#define AILURUS_TRT_INT64 0
#endif

#endif
