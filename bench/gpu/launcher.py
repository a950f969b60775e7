"""The launcher's C interface, for Python. Tensors are given by their addresses on the device."""

import ctypes
import os

from header import Header

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER = os.path.join(ROOT, "crates/ailurus-cuda/launcher/ailurus_cuda.h")

PREFIX = "ailurus_cuda_"


class LauncherError(Exception):
    """A call that did not return OK: code and name of the status, and what the launcher has to say in particular."""


class Launcher:
    """The library; `driver` is the CUDA driver to use, the system's if it is not given."""

    def __init__(self, library, driver=None):
        header = Header(HEADER)
        self.constants = header.constants
        self.types = header.types
        self.library = ctypes.CDLL(library)
        for name, (result, arguments) in header.functions.items():
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments
        version = self.library.ailurus_cuda_abi_version()
        if version != self.constants["AILURUS_CUDA_ABI_VERSION"]:
            raise LauncherError(f"{library} has version {version} of the interface, not that of {HEADER}")
        self.call("load", None if driver is None else os.fsencode(driver))

    def constant(self, name):
        return self.constants["AILURUS_CUDA_" + name]

    def params(self, operator, sizes):
        """The parameters of an operator, those that `sizes` names, by reference."""
        kind = self.types[f"{PREFIX}{operator}_params"]
        return ctypes.byref(kind(**{field: sizes[field] for field, _ in kind._fields_}))

    def call(self, name, *arguments):
        """Calls a function that returns a status."""
        status = getattr(self.library, PREFIX + name)(*arguments)
        if status != 0:
            about = [getattr(self.library, f"{PREFIX}status_{part}")(status) for part in ("code", "name", "message")]
            about.append(self.library.ailurus_cuda_last_error())
            code, label, message, detail = (text.decode() for text in about)
            raise LauncherError(f"{PREFIX}{name}: {code} {label}: {message}: {detail}")
