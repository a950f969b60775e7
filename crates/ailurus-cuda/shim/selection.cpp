// Which of several images the launcher loads: selection DRIVER prints, for a row of devices, the first word of the image.

#include <cstdio>
#include <cstring>
#include <string>

#include <dlfcn.h>

#include "../kernels/arguments.h"
#include "../launcher/ailurus_cuda.h"
#include "../launcher/images.h"

// The driver without a device accepts as image what names all kernels.
#define SELECTION_NAME(name, arguments, threads) " .visible .entry ailurus_" #name "("
#define SELECTION_IMAGE(arch, name, text)                                                                              \
    { arch, reinterpret_cast<const unsigned char*>(name text), sizeof name text }

const ailurus_cuda_image ailurus_cuda_images[] = {
    SELECTION_IMAGE(80, "sm_80", AILURUS_CUDA_KERNELS(SELECTION_NAME)),
    SELECTION_IMAGE(0, "ptx", AILURUS_CUDA_KERNELS(SELECTION_NAME)),
    SELECTION_IMAGE(86, "sm_86", AILURUS_CUDA_KERNELS(SELECTION_NAME)),
    SELECTION_IMAGE(75, "sm_75", AILURUS_CUDA_KERNELS(SELECTION_NAME)),
    // Refused, as by a driver that is older than the assembler.
    SELECTION_IMAGE(90, "sm_90", ""),
};
const size_t ailurus_cuda_image_count = sizeof ailurus_cuda_images / sizeof ailurus_cuda_images[0];

int main(int count, char** arguments) {
    if (count != 2 || ailurus_cuda_load(arguments[1]) != AILURUS_CUDA_OK) {
        return 2;
    }
    void* const driver = dlopen(arguments[1], RTLD_NOW);
    const auto set_device = reinterpret_cast<void (*)(int)>(dlsym(driver, "ailurus_shim_set_compute_capability"));
    const auto set_context = reinterpret_cast<void (*)(unsigned long long)>(dlsym(driver, "ailurus_shim_set_context"));
    const auto image = reinterpret_cast<const char* (*)()>(dlsym(driver, "ailurus_shim_image_loaded"));
    unsigned long long context = 0;
    for (const int arch : {61, 70, 75, 80, 86, 87, 89, 90, 120}) {
        set_device(arch);
        set_context(++context);
        const ailurus_cuda_status status = ailurus_cuda_prepare();
        const std::string loaded = status == AILURUS_CUDA_OK ? image() : ailurus_cuda_status_name(status);
        std::printf("%d: %s\n", arch, loaded.substr(0, loaded.find(' ')).c_str());
    }
    return 0;
}
