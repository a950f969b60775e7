// The kernels, loaded once into every context that uses them.

#include <cstdio>
#include <mutex>
#include <vector>

#include "driver.h"
#include "images.h"
#include "status.h"

namespace ailurus_cuda {

namespace {

const char* const NAMES[] = {
#define AILURUS_CUDA_NAME(name, arguments, threads) "ailurus_" #name,
    AILURUS_CUDA_KERNELS(AILURUS_CUDA_NAME)
#undef AILURUS_CUDA_NAME
};

struct Loaded {
    CUcontext context;
    unsigned long long id;
    Module module;
};

// Never destroyed, like the driver: contexts take their modules with them when the program ends.
std::mutex& mutex() {
    static std::mutex* const mutex = new std::mutex;
    return *mutex;
}

std::vector<Loaded>& cache() {
    static std::vector<Loaded>* const cache = new std::vector<Loaded>;
    return *cache;
}

ailurus_cuda_status current_context(const Driver& driver, CUcontext* context, unsigned long long* id) {
    *context = nullptr;
    const CUresult result = driver.cuCtxGetCurrent(context);
    if (result != CUDA_SUCCESS) {
        return driver_error(driver, "asking for the current context", result);
    }
    if (*context == nullptr) {
        return fail(AILURUS_CUDA_NO_CONTEXT, "make a context current before calling an operator");
    }
    *id = 0;
    if (driver.cuCtxGetId != nullptr && driver.cuCtxGetId(*context, id) != CUDA_SUCCESS) {
        *id = 0;
    }
    return AILURUS_CUDA_OK;
}

// Compute capability of the current device as major * 10 + minor; 0 if it cannot be told.
int architecture(const Driver& driver) {
    CUdevice device = 0;
    int major = 0;
    int minor = 0;
    if (driver.cuCtxGetDevice(&device) != CUDA_SUCCESS ||
        driver.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device) != CUDA_SUCCESS ||
        driver.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device) != CUDA_SUCCESS) {
        return 0;
    }
    return major * 10 + minor;
}

// The machine code that suits best: made for the same major version and no later minor one. Null if there is none.
const ailurus_cuda_image* best_code(int arch) {
    const ailurus_cuda_image* best = nullptr;
    for (size_t i = 0; i < ailurus_cuda_image_count; ++i) {
        const ailurus_cuda_image& image = ailurus_cuda_images[i];
        const bool runs = image.arch != 0 && image.arch / 10 == arch / 10 && image.arch <= arch;
        if (runs && (best == nullptr || image.arch > best->arch)) {
            best = &image;
        }
    }
    return best;
}

ailurus_cuda_status load_ptx(const Driver& driver, int arch, CUmodule* module) {
    for (size_t i = 0; i < ailurus_cuda_image_count; ++i) {
        if (ailurus_cuda_images[i].arch != 0) {
            continue;
        }
        char log[512] = "";
        int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
        void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
        const CUresult result = driver.cuModuleLoadDataEx(module, ailurus_cuda_images[i].data, 2, options, values);
        if (result == CUDA_SUCCESS) {
            return AILURUS_CUDA_OK;
        }
        int version = 0;
        driver.cuDriverGetVersion(&version);
        const char* name = nullptr;
        if (driver.cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) {
            name = "an error without a name";
        }
        return fail(AILURUS_CUDA_NO_KERNELS, "compute capability %d.%d, driver for CUDA %d.%d: %s (%d)%s%s", arch / 10,
                    arch % 10, version / 1000, version % 1000 / 10, name, result, log[0] != '\0' ? ": " : "", log);
    }
    return fail(AILURUS_CUDA_NO_KERNELS, "the library was built without PTX");
}

ailurus_cuda_status load_module(const Driver& driver, Module* module) {
    const int arch = architecture(driver);
    const ailurus_cuda_image* const code = best_code(arch);
    // Machine code that this driver does not take is no misfortune: PTX will do.
    if (code == nullptr || driver.cuModuleLoadDataEx(&module->module, code->data, 0, nullptr, nullptr) != CUDA_SUCCESS) {
        const ailurus_cuda_status status = load_ptx(driver, arch, &module->module);
        if (status != AILURUS_CUDA_OK) {
            return status;
        }
    }
    for (int kernel = 0; kernel < KERNEL_COUNT; ++kernel) {
        const CUresult result =
            driver.cuModuleGetFunction(&module->functions[kernel], module->module, NAMES[kernel]);
        if (result != CUDA_SUCCESS) {
            driver_error(driver, NAMES[kernel], result);
            driver.cuModuleUnload(module->module);
            return AILURUS_CUDA_NO_KERNELS;
        }
    }
    return AILURUS_CUDA_OK;
}

}  // namespace

ailurus_cuda_status current_module(const Driver** driver, Module* module) {
    ailurus_cuda_status status = load_driver(nullptr, driver);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    Loaded wanted = {};
    status = current_context(**driver, &wanted.context, &wanted.id);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const std::lock_guard<std::mutex> lock(mutex());
    for (Loaded& loaded : cache()) {
        if (loaded.context == wanted.context && loaded.id == wanted.id) {
            *module = loaded.module;
            return AILURUS_CUDA_OK;
        }
    }
    status = load_module(**driver, &wanted.module);
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    *module = wanted.module;
    // What is known of a context that lay at this address before went with it.
    for (Loaded& loaded : cache()) {
        if (loaded.context == wanted.context) {
            loaded = wanted;
            return AILURUS_CUDA_OK;
        }
    }
    cache().push_back(wanted);
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status release_module() {
    const Driver* driver = nullptr;
    ailurus_cuda_status status = load_driver(nullptr, &driver);
    CUcontext context = nullptr;
    unsigned long long id = 0;
    if (status == AILURUS_CUDA_OK) {
        status = current_context(*driver, &context, &id);
    }
    if (status != AILURUS_CUDA_OK) {
        return status;
    }
    const std::lock_guard<std::mutex> lock(mutex());
    for (size_t i = 0; i < cache().size(); ++i) {
        const Loaded loaded = cache()[i];
        if (loaded.context == context && loaded.id == id) {
            cache().erase(cache().begin() + static_cast<std::ptrdiff_t>(i));
            const CUresult result = driver->cuModuleUnload(loaded.module.module);
            return result == CUDA_SUCCESS ? AILURUS_CUDA_OK : driver_error(*driver, "unloading the kernels", result);
        }
    }
    return AILURUS_CUDA_OK;
}

}  // namespace ailurus_cuda

ailurus_cuda_status ailurus_cuda_prepare(void) {
    const ailurus_cuda::Driver* driver = nullptr;
    ailurus_cuda::Module module;
    return ailurus_cuda::current_module(&driver, &module);
}

ailurus_cuda_status ailurus_cuda_release(void) {
    return ailurus_cuda::release_module();
}
