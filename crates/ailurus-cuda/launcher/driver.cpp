#include "driver.h"

#include <cstdio>
#include <mutex>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include "status.h"

namespace ailurus_cuda {

namespace {

#if defined(_WIN32)
const char* const LIBRARIES[] = {"nvcuda.dll"};

void* open_library(const char* name) {
    return reinterpret_cast<void*>(LoadLibraryA(name));
}

void* find(void* library, const char* name) {
    return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

void close_library(void* library) {
    FreeLibrary(static_cast<HMODULE>(library));
}

const char* open_error() {
    return "the system cannot load it";
}
#else
// The second name is there with development packages only, but on some systems it is the one that is found.
const char* const LIBRARIES[] = {"libcuda.so.1", "libcuda.so"};

void* open_library(const char* name) {
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void* find(void* library, const char* name) {
    return dlsym(library, name);
}

void close_library(void* library) {
    dlclose(library);
}

const char* open_error() {
    const char* const error = dlerror();
    return error != nullptr ? error : "the system gives no reason";
}
#endif

// Looks all functions up. Returns the name of one that is missing, or null.
const char* look_up(void* library, Driver* driver) {
#define AILURUS_CUDA_LOOK_UP(name, parameters)                                                                         \
    driver->name = reinterpret_cast<CUresult(*) parameters>(find(library, #name));                                     \
    if (driver->name == nullptr) {                                                                                     \
        return #name;                                                                                                  \
    }
    AILURUS_CUDA_DRIVER_FUNCTIONS(AILURUS_CUDA_LOOK_UP)
#undef AILURUS_CUDA_LOOK_UP
    driver->cuCtxGetId = reinterpret_cast<CUresult (*)(CUcontext, unsigned long long*)>(find(library, "cuCtxGetId"));
    return nullptr;
}

ailurus_cuda_status open_driver(const char* name, Driver* driver, void** library) {
    *library = nullptr;
    // The reason of the first name is kept: it is the one that is expected to be there.
    char reason[400] = "";
    if (name != nullptr) {
        *library = open_library(name);
        if (*library == nullptr) {
            std::snprintf(reason, sizeof reason, "%s", open_error());
        }
    } else {
        for (const char* const usual : LIBRARIES) {
            *library = open_library(usual);
            if (*library != nullptr) {
                break;
            }
            const char* const error = open_error();
            if (reason[0] == '\0') {
                std::snprintf(reason, sizeof reason, "%s", error);
            }
        }
    }
    if (*library == nullptr) {
        return fail(AILURUS_CUDA_NO_LIBRARY, "%s", reason);
    }
    const char* const missing = look_up(*library, driver);
    if (missing != nullptr) {
        return fail(AILURUS_CUDA_OLD_LIBRARY, "%s has no function %s", name != nullptr ? name : LIBRARIES[0], missing);
    }
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status start(const Driver& driver) {
    CUresult result = driver.cuInit(0);
    int devices = 0;
    if (result == CUDA_SUCCESS) {
        result = driver.cuDeviceGetCount(&devices);
    }
    if (result != CUDA_SUCCESS || devices == 0) {
        driver_error(driver, "starting the driver", result != CUDA_SUCCESS ? result : int(CUDA_ERROR_NO_DEVICE));
        return AILURUS_CUDA_NO_DEVICE;
    }
    return AILURUS_CUDA_OK;
}

}  // namespace

ailurus_cuda_status load_driver(const char* library, const Driver** driver) {
    // Never destroyed: other libraries may call us while the program ends.
    static std::mutex* const mutex = new std::mutex;
    static Driver loaded;
    static bool ready = false;
    const std::lock_guard<std::mutex> lock(*mutex);
    if (!ready) {
        void* handle = nullptr;
        ailurus_cuda_status status = open_driver(library, &loaded, &handle);
        if (status == AILURUS_CUDA_OK) {
            status = start(loaded);
        }
        if (status != AILURUS_CUDA_OK) {
            // A later call may find what was missing now.
            if (handle != nullptr) {
                close_library(handle);
            }
            return status;
        }
        ready = true;
    }
    *driver = &loaded;
    return AILURUS_CUDA_OK;
}

ailurus_cuda_status driver_error(const Driver& driver, const char* doing, CUresult result) {
    const char* name = nullptr;
    const char* text = nullptr;
    if (driver.cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) {
        name = "an error without a name";
    }
    if (driver.cuGetErrorString(result, &text) != CUDA_SUCCESS || text == nullptr) {
        text = "no description";
    }
    return fail(AILURUS_CUDA_DRIVER, "%s: %s (%d): %s", doing, name, result, text);
}

ailurus_cuda_status Launcher::launch_with(Kernel kernel, unsigned long long blocks, unsigned threads, void* arguments) {
    void* parameters[] = {arguments};
    const CUresult result =
        driver_->cuLaunchKernel(module_.functions[kernel], static_cast<unsigned>(blocks), 1, 1, threads, 1, 1, 0,
                                stream_, parameters, nullptr);
    return result == CUDA_SUCCESS ? AILURUS_CUDA_OK : driver_error(*driver_, "launching a kernel", result);
}

}  // namespace ailurus_cuda

ailurus_cuda_status ailurus_cuda_load(const char* library) {
    const ailurus_cuda::Driver* driver = nullptr;
    return ailurus_cuda::load_driver(library, &driver);
}

int32_t ailurus_cuda_available(void) {
    return ailurus_cuda_load(nullptr) == AILURUS_CUDA_OK ? 1 : 0;
}
