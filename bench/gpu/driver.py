"""Memory on a device, through the driver: enough to check kernels with NumPy alone, under a sanitizer too.

Every tensor lies between guards. Memory is filled with garbage first, so that what was not written shows.
"""

import ctypes

import numpy as np

GUARD = 256
GARBAGE = 0xA5


class DriverError(Exception):
    pass


class Tensor:
    """`count` bytes on the device, `shift` bytes beyond an address aligned to 16."""

    def __init__(self, driver, count, shift, data=None):
        self.driver, self.count, self.start = driver, count, GUARD + shift
        whole = np.full(self.start + count + GUARD, GARBAGE, np.uint8)
        if data is not None:
            whole[self.start : self.start + count] = data
        self.bytes = len(whole)
        address = ctypes.c_uint64()
        driver.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(self.bytes))
        self.whole = address.value
        driver.call("cuMemcpyHtoD_v2", ctypes.c_uint64(self.whole), whole.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(self.bytes))

    @property
    def address(self):
        return self.whole + self.start

    def read(self):
        """What it holds, as bytes, and whether the guards are as they were."""
        whole = np.empty(self.bytes, np.uint8)
        self.driver.call("cuMemcpyDtoH_v2", whole.ctypes.data_as(ctypes.c_void_p), ctypes.c_uint64(self.whole), ctypes.c_size_t(self.bytes))
        end = self.start + self.count
        intact = bool((whole[: self.start] == GARBAGE).all() and (whole[end:] == GARBAGE).all())
        return whole[self.start : end], intact

    def free(self):
        self.driver.call("cuMemFree_v2", ctypes.c_uint64(self.whole))


class Driver:
    """The CUDA driver with the first device's context current on this thread, and a stream."""

    def __init__(self, library=None):
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
