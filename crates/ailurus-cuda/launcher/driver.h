// The driver library, loaded while the program runs, and the kernels in the current context.
#ifndef AILURUS_CUDA_DRIVER_H
#define AILURUS_CUDA_DRIVER_H

#include "../kernels/arguments.h"
#include "ailurus_cuda.h"
#include "driver_api.h"

namespace ailurus_cuda {

struct Driver {
#define AILURUS_CUDA_MEMBER(name, parameters) CUresult(*name) parameters;
    AILURUS_CUDA_DRIVER_FUNCTIONS(AILURUS_CUDA_MEMBER)
#undef AILURUS_CUDA_MEMBER
    // Since CUDA 12, else null: tells contexts apart that came to lie at the same address.
    CUresult (*cuCtxGetId)(CUcontext, unsigned long long*);
};

enum Kernel {
#define AILURUS_CUDA_MEMBER(name, arguments, threads) KERNEL_##name,
    AILURUS_CUDA_KERNELS(AILURUS_CUDA_MEMBER)
#undef AILURUS_CUDA_MEMBER
    KERNEL_COUNT
};

// The kernels in one context.
struct Module {
    CUmodule module;
    CUfunction functions[KERNEL_COUNT];
};

// Loads the library if it is not; null for the system's.
ailurus_cuda_status load_driver(const char* library, const Driver** driver);

// The kernels in the current context; loads what is not there yet.
ailurus_cuda_status current_module(const Driver** driver, Module* module);

// Forgets and unloads the kernels of the current context.
ailurus_cuda_status release_module();

// Remembers an error of the driver by name.
ailurus_cuda_status driver_error(const Driver& driver, const char* doing, CUresult result);

// What one call of an operator launches with.
class Launcher {
public:
    explicit Launcher(void* stream) : stream_(static_cast<CUstream>(stream)) {}

    ailurus_cuda_status open() { return current_module(&driver_, &module_); }

    // Enqueues `blocks` blocks. `arguments` is copied by the driver before this returns.
    template <class Arguments>
    ailurus_cuda_status launch(Kernel kernel, unsigned long long blocks, unsigned threads, Arguments& arguments) {
        return launch_with(kernel, blocks, threads, &arguments);
    }

private:
    ailurus_cuda_status launch_with(Kernel kernel, unsigned long long blocks, unsigned threads, void* arguments);

    CUstream stream_;
    const Driver* driver_ = nullptr;
    Module module_ = {};
};

}  // namespace ailurus_cuda

#endif
