/* The part of ONNX Runtime's C interface that the operators use, declared here so that a build needs no file of it.
 *
 * The table of functions only ever grows at its end: the places of these functions, and the layout of OrtCustomOp, are
 * those of version 17 (ONNX Runtime 1.17) and of every later one. */
#ifndef AILURUS_ORT_API_H
#define AILURUS_ORT_API_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define AILURUS_ORT_CALL __stdcall
#define AILURUS_ORT_EXPORT __declspec(dllexport)
#else
#define AILURUS_ORT_CALL
#define AILURUS_ORT_EXPORT __attribute__((visibility("default")))
#endif

/* The version of the interface that is asked for. */
#define AILURUS_ORT_API_VERSION 17

typedef struct OrtStatus OrtStatus;
typedef struct OrtValue OrtValue;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtShapeInferContext OrtShapeInferContext;

/* A table of functions; ailurus_ort_function knows the places of those below. */
typedef struct OrtApi OrtApi;

typedef struct OrtApiBase {
    const OrtApi*(AILURUS_ORT_CALL* GetApi)(uint32_t version);
    const char*(AILURUS_ORT_CALL* GetVersionString)(void);
} OrtApiBase;

typedef struct OrtCustomOp OrtCustomOp;
struct OrtCustomOp {
    uint32_t version;
    void*(AILURUS_ORT_CALL* CreateKernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
    const char*(AILURUS_ORT_CALL* GetName)(const OrtCustomOp*);
    const char*(AILURUS_ORT_CALL* GetExecutionProviderType)(const OrtCustomOp*);
    int(AILURUS_ORT_CALL* GetInputType)(const OrtCustomOp*, size_t);
    size_t(AILURUS_ORT_CALL* GetInputTypeCount)(const OrtCustomOp*);
    int(AILURUS_ORT_CALL* GetOutputType)(const OrtCustomOp*, size_t);
    size_t(AILURUS_ORT_CALL* GetOutputTypeCount)(const OrtCustomOp*);
    void(AILURUS_ORT_CALL* KernelCompute)(void*, OrtKernelContext*);
    void(AILURUS_ORT_CALL* KernelDestroy)(void*);
    int(AILURUS_ORT_CALL* GetInputCharacteristic)(const OrtCustomOp*, size_t);
    int(AILURUS_ORT_CALL* GetOutputCharacteristic)(const OrtCustomOp*, size_t);
    int(AILURUS_ORT_CALL* GetInputMemoryType)(const OrtCustomOp*, size_t);
    int(AILURUS_ORT_CALL* GetVariadicInputMinArity)(const OrtCustomOp*);
    int(AILURUS_ORT_CALL* GetVariadicInputHomogeneity)(const OrtCustomOp*);
    int(AILURUS_ORT_CALL* GetVariadicOutputMinArity)(const OrtCustomOp*);
    int(AILURUS_ORT_CALL* GetVariadicOutputHomogeneity)(const OrtCustomOp*);
    OrtStatus*(AILURUS_ORT_CALL* CreateKernelV2)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void**);
    OrtStatus*(AILURUS_ORT_CALL* KernelComputeV2)(void*, OrtKernelContext*);
    OrtStatus*(AILURUS_ORT_CALL* InferOutputShapeFn)(const OrtCustomOp*, OrtShapeInferContext*);
    int(AILURUS_ORT_CALL* GetStartVersion)(const OrtCustomOp*);
    int(AILURUS_ORT_CALL* GetEndVersion)(const OrtCustomOp*);
};

/* Numbers of enumerations. */
enum { ORT_FAIL = 1, ORT_INVALID_ARGUMENT = 2, ORT_RUNTIME_EXCEPTION = 6, ORT_NOT_IMPLEMENTED = 9 };
enum { ORT_TYPE_FLOAT = 1, ORT_TYPE_INT32 = 6, ORT_TYPE_INT64 = 7, ORT_TYPE_FLOAT16 = 10 };
enum { ORT_PORT_REQUIRED = 0, ORT_PORT_OPTIONAL = 1 };
enum { ORT_MEMORY_DEFAULT = 0, ORT_MEMORY_CPU_INPUT = -2 };

/* X(name, place in the table, result, types of the parameters) */
#define AILURUS_ORT_FUNCTIONS(X)                                                                                       \
    X(CreateStatus, 0, OrtStatus*, (int, const char*))                                                                 \
    X(GetErrorMessage, 2, const char*, (const OrtStatus*))                                                             \
    X(CreateCustomOpDomain, 26, OrtStatus*, (const char*, OrtCustomOpDomain**))                                        \
    X(CustomOpDomain_Add, 27, OrtStatus*, (OrtCustomOpDomain*, const OrtCustomOp*))                                    \
    X(AddCustomOpDomain, 28, OrtStatus*, (OrtSessionOptions*, OrtCustomOpDomain*))                                     \
    X(GetTensorMutableData, 51, OrtStatus*, (OrtValue*, void**))                                                       \
    X(GetTensorElementType, 60, OrtStatus*, (const OrtTensorTypeAndShapeInfo*, int*))                                  \
    X(GetDimensionsCount, 61, OrtStatus*, (const OrtTensorTypeAndShapeInfo*, size_t*))                                 \
    X(GetDimensions, 62, OrtStatus*, (const OrtTensorTypeAndShapeInfo*, int64_t*, size_t))                             \
    X(GetTensorTypeAndShape, 65, OrtStatus*, (const OrtValue*, OrtTensorTypeAndShapeInfo**))                           \
    X(AllocatorAlloc, 75, OrtStatus*, (OrtAllocator*, size_t, void**))                                                 \
    X(AllocatorFree, 76, OrtStatus*, (OrtAllocator*, void*))                                                           \
    X(KernelInfoGetAttribute_float, 85, OrtStatus*, (const OrtKernelInfo*, const char*, float*))                       \
    X(KernelInfoGetAttribute_int64, 86, OrtStatus*, (const OrtKernelInfo*, const char*, int64_t*))                     \
    X(KernelInfoGetAttribute_string, 87, OrtStatus*, (const OrtKernelInfo*, const char*, char*, size_t*))              \
    X(KernelContext_GetInputCount, 88, OrtStatus*, (const OrtKernelContext*, size_t*))                                 \
    X(KernelContext_GetOutputCount, 89, OrtStatus*, (const OrtKernelContext*, size_t*))                                \
    X(KernelContext_GetInput, 90, OrtStatus*, (const OrtKernelContext*, size_t, const OrtValue**))                     \
    X(KernelContext_GetOutput, 91, OrtStatus*, (OrtKernelContext*, size_t, const int64_t*, size_t, OrtValue**))        \
    X(ReleaseStatus, 93, void, (OrtStatus*))                                                                           \
    X(ReleaseTensorTypeAndShapeInfo, 99, void, (OrtTensorTypeAndShapeInfo*))                                          \
    X(GetAvailableProviders, 125, OrtStatus*, (char***, int*))                                                         \
    X(ReleaseAvailableProviders, 126, OrtStatus*, (char**, int))                                                       \
    X(ReleaseAllocator, 132, void, (OrtAllocator*))                                                                    \
    X(KernelContext_GetGPUComputeStream, 193, OrtStatus*, (const OrtKernelContext*, void**))                           \
    X(GetTensorMemoryInfo, 194, OrtStatus*, (const OrtValue*, const OrtMemoryInfo**))                                  \
    X(KernelInfo_GetNodeName, 244, OrtStatus*, (const OrtKernelInfo*, char*, size_t*))                                 \
    X(KernelContext_GetAllocator, 253, OrtStatus*, (const OrtKernelContext*, const OrtMemoryInfo*, OrtAllocator**))

#endif
