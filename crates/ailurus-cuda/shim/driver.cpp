// A CUDA driver without a device: the functions that the launcher looks up, executing the kernels on the host.
//
// The launcher under test is the real one; it loads this library in place of libcuda. Device memory is host memory.
// Beyond the driver's own functions there are a few to steer and to question it, ailurus_shim_*.

#include "../kernels/ailurus.cu"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "../launcher/driver_api.h"
#include "block.h"

#define SHIM_EXPORT extern "C" __attribute__((visibility("default")))

// The driver names some of these types without defining them; here they are.
struct CUctx_st {
    unsigned long long id;
};
struct CUmod_st {
    std::string image;
};
struct CUfunc_st {
    const char* name;
    void (*call)(void** parameters);
    unsigned most_threads;
};

namespace {

const CUfunc_st FUNCTIONS[] = {
#define SHIM_FUNCTION(name, arguments, threads)                                                                        \
    {"ailurus_" #name, [](void** p) { ailurus_##name(*static_cast<const arguments*>(p[0])); }, threads},
    AILURUS_CUDA_KERNELS(SHIM_FUNCTION)
#undef SHIM_FUNCTION
};

thread_local CUctx_st context_of_thread = {1};
thread_local bool has_context = true;
thread_local shim::Schedule schedule = 0;
thread_local std::string failure;
thread_local unsigned long long launches = 0;
thread_local unsigned long long modules_loaded = 0;
thread_local std::string image_loaded;
thread_local int compute_capability = 75;
// What the next call of the named function returns instead of doing its work.
thread_local std::string failing_function;
thread_local int failing_with = 0;

bool fails(const char* function, CUresult* result) {
    if (failing_function != function) {
        return false;
    }
    failing_function.clear();
    *result = failing_with;
    return true;
}

}  // namespace

#define SHIM_INJECT(function)                                                                                          \
    CUresult injected = CUDA_SUCCESS;                                                                                  \
    if (fails(#function, &injected)) {                                                                                 \
        return injected;                                                                                               \
    }

SHIM_EXPORT CUresult cuInit(unsigned) {
    SHIM_INJECT(cuInit)
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuDriverGetVersion(int* version) {
    *version = 12000;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuDeviceGetCount(int* count) {
    SHIM_INJECT(cuDeviceGetCount)
    *count = 1;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice) {
    const bool major = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
    *value = major ? compute_capability / 10 : compute_capability % 10;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuCtxGetCurrent(CUcontext* context) {
    SHIM_INJECT(cuCtxGetCurrent)
    *context = has_context ? &context_of_thread : nullptr;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuCtxGetId(CUcontext context, unsigned long long* id) {
    *id = context->id;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuCtxGetDevice(CUdevice* device) {
    *device = 0;
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, int*, void**) {
    SHIM_INJECT(cuModuleLoadDataEx)
    std::unique_ptr<CUmod_st> loaded(new CUmod_st{static_cast<const char*>(image)});
    if (loaded->image.find(".visible .entry") == std::string::npos) {
        return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    ++modules_loaded;
    image_loaded = loaded->image;
    *module = loaded.release();
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuModuleUnload(CUmodule module) {
    SHIM_INJECT(cuModuleUnload)
    delete module;
    return CUDA_SUCCESS;
}

// Finds what both the image and the host program have: kernels that are missing in the PTX are missing here.
SHIM_EXPORT CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    SHIM_INJECT(cuModuleGetFunction)
    if (module->image.find(".visible .entry " + std::string(name) + "(") == std::string::npos) {
        return CUDA_ERROR_NOT_FOUND;
    }
    for (const CUfunc_st& known : FUNCTIONS) {
        if (std::string(known.name) == name) {
            *function = const_cast<CUfunction>(&known);
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

SHIM_EXPORT CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream,
                                    void** parameters, void**) {
    SHIM_INJECT(cuLaunchKernel)
    ++launches;
    const bool sizes_are_right = grid_x > 0 && grid_x <= 0x7fffffffu && grid_y == 1 && grid_z == 1 && block_x > 0 &&
                                 block_y == 1 && block_z == 1 && shared == 0;
    if (!sizes_are_right || block_x > function->most_threads || block_x % shim::Block::WARP != 0) {
        failure = std::string(function->name) + ": " + std::to_string(grid_x) + " blocks of " + std::to_string(block_x) +
                  " threads";
        return CUDA_ERROR_INVALID_VALUE;
    }
    static thread_local shim::Block block;
    const std::string what = block.run(grid_x, block_x, schedule, [&] { function->call(parameters); });
    if (!what.empty()) {
        failure = std::string(function->name) + ": " + what;
        return CUDA_ERROR_LAUNCH_FAILED;
    }
    return CUDA_SUCCESS;
}

SHIM_EXPORT CUresult cuGetErrorName(CUresult result, const char** name) {
    switch (result) {
        case CUDA_ERROR_INVALID_VALUE:
            *name = "CUDA_ERROR_INVALID_VALUE";
            return CUDA_SUCCESS;
        case CUDA_ERROR_NO_DEVICE:
            *name = "CUDA_ERROR_NO_DEVICE";
            return CUDA_SUCCESS;
        case CUDA_ERROR_NO_BINARY_FOR_GPU:
            *name = "CUDA_ERROR_NO_BINARY_FOR_GPU";
            return CUDA_SUCCESS;
        case CUDA_ERROR_NOT_FOUND:
            *name = "CUDA_ERROR_NOT_FOUND";
            return CUDA_SUCCESS;
        case CUDA_ERROR_LAUNCH_FAILED:
            *name = "CUDA_ERROR_LAUNCH_FAILED";
            return CUDA_SUCCESS;
        default:
            // As the driver does for numbers that it does not know.
            *name = nullptr;
            return CUDA_ERROR_INVALID_VALUE;
    }
}

SHIM_EXPORT CUresult cuGetErrorString(CUresult result, const char** text) {
    if (result == CUDA_ERROR_LAUNCH_FAILED) {
        *text = failure.c_str();
        return CUDA_SUCCESS;
    }
    *text = nullptr;
    return CUDA_ERROR_INVALID_VALUE;
}

// The schedule of this thread's launches, see block.h.
SHIM_EXPORT void ailurus_shim_set_schedule(unsigned long long seed) {
    schedule = seed;
}

// Makes the next call of a driver function on this thread return an error.
SHIM_EXPORT void ailurus_shim_fail(const char* function, int with) {
    failing_function = function;
    failing_with = with;
}

// Which context is current on this thread: its id, or none for 0. All lie at the same address.
SHIM_EXPORT void ailurus_shim_set_context(unsigned long long id) {
    has_context = id != 0;
    context_of_thread.id = id;
}

// The compute capability of this thread's device, as major * 10 + minor.
SHIM_EXPORT void ailurus_shim_set_compute_capability(int arch) {
    compute_capability = arch;
}

// The image from which this thread loaded a module last.
SHIM_EXPORT const char* ailurus_shim_image_loaded() {
    return image_loaded.c_str();
}

SHIM_EXPORT unsigned long long ailurus_shim_launches() {
    return launches;
}

SHIM_EXPORT unsigned long long ailurus_shim_modules_loaded() {
    return modules_loaded;
}
