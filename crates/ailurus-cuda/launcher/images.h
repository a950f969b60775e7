// The compiled kernels that are part of the library: PTX, which every driver can compile for its device, and perhaps
// machine code for some devices. Defined in a file that the build generates.
#ifndef AILURUS_CUDA_IMAGES_H
#define AILURUS_CUDA_IMAGES_H

#include <stddef.h>

struct ailurus_cuda_image {
    int arch;  // compute capability as major * 10 + minor, or 0 for PTX
    const unsigned char* data;  // PTX ends with a zero
    size_t size;
};

extern const ailurus_cuda_image ailurus_cuda_images[];
extern const size_t ailurus_cuda_image_count;

#endif
