"""Memory on a device, through the driver: enough to check kernels with NumPy alone, under a sanitizer too.

Every tensor lies between guards. Memory is filled with garbage first, so that what was not written shows. Bare memory
has neither: a sanitizer sees for itself what is beyond it and what was never written.
"""

import ctypes

import numpy as np

GUARD = 256
GARBAGE = 0xA5


class DriverError(Exception):
    pass


class Tensor:
    """`count` bytes on the device, `shift` bytes beyond an aligned address."""

    def __init__(self, driver, count, shift, data=None):
        guard = 0 if driver.bare else GUARD
        self.driver, self.count, self.start = driver, count, guard + shift
        self.bytes = self.start + count + guard
        address = ctypes.c_uint64()
        driver.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(self.bytes))
        self.whole = address.value
        if not driver.bare:
            self.upload(self.whole, np.full(self.bytes, GARBAGE, np.uint8))
        if data is not None:
            self.upload(self.address, data)

    @property
    def address(self):
        return self.whole + self.start

    def upload(self, address, data):
        source, count = data.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(data))
        self.driver.call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), source, count)

    def download(self, address, count):
        data = np.empty(count, np.uint8)
        target, count = data.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(count)
        self.driver.call("cuMemcpyDtoH_v2", target, ctypes.c_uint64(address), count)
        return data

    def read(self):
        """What it holds, as bytes."""
        return self.download(self.address, self.count)

    def intact(self):
        """Whether the guards are as they were."""
        if self.driver.bare:
            return True
        whole = self.download(self.whole, self.bytes)
        outside = np.concatenate([whole[: self.start], whole[self.start + self.count :]])
        return bool((outside == GARBAGE).all())

    def free(self):
        self.driver.call("cuMemFree_v2", ctypes.c_uint64(self.whole))


class Driver:
    """The CUDA driver with the first device's context current on this thread, and a stream."""

    def __init__(self, library=None, bare=False):
        self.bare = bare
        self.library = ctypes.CDLL(library or "libcuda.so.1")
        device, context, stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.call("cuStreamCreate", ctypes.byref(stream), 0)
        self.stream = stream.value

    def call(self, name, *arguments):
        result = getattr(self.library, name)(*arguments)
        if result != 0:
            text = ctypes.c_char_p()
            self.library.cuGetErrorName(result, ctypes.byref(text))
            raise DriverError(f"{name}: {(text.value or b'an error without a name').decode()} ({result})")

    def tensor(self, array, shift=0):
        """A copy of an array."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return Tensor(self, len(data), shift, data)

    def empty(self, count, shift=0):
        return Tensor(self, count, shift)

    def synchronize(self):
        self.call("cuStreamSynchronize", ctypes.c_void_p(self.stream))
