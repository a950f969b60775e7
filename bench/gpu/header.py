"""Reads the launcher's C header and declares what it declares to ctypes, so that nothing is written down twice."""

import ctypes
import re

SCALARS = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
}


class Header:
    """Structures by name, constants of enumerations and definitions by name, functions as (result, arguments)."""

    def __init__(self, path):
        text = re.sub(r"/\*.*?\*/", "", open(path, encoding="utf-8").read(), flags=re.S)
        self.constants = {name: int(value) for name, value in re.findall(r"#define (\w+) (\d+)", text)}
        text = re.sub(r"^#.*$", "", text, flags=re.M)
        self.types = dict(SCALARS)
        for body, name in re.findall(r"typedef enum \w+ \{(.*?)\} (\w+);", text, flags=re.S):
            self.types[name] = ctypes.c_int
            self.constants.update((key, int(value)) for key, value in re.findall(r"(\w+) = (\d+)", body))
        for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", text, flags=re.S):
            fields = [(field, self.types[kind]) for kind, field in re.findall(r"(\w+) (\w+);", body)]
            self.types[name] = type(name, (ctypes.Structure,), {"_fields_": fields})
        found = re.findall(r"^(const char\*|\w+) (ailurus_cuda_\w+)\(([^)]*)\);", text, flags=re.M)
        self.functions = {
            name: (self.kind(result), [self.kind(a.rsplit(" ", 1)[0]) for a in self.split(arguments)])
            for result, name, arguments in found
        }

    @staticmethod
    def split(arguments):
        return [] if arguments.strip() == "void" else [" ".join(a.split()) for a in arguments.split(",")]

    def kind(self, text):
        """The type that a declaration in C names. Addresses, on the device or not, are addresses."""
        text = text.replace("const ", "").strip()
        if text == "char*":
            return ctypes.c_char_p
        return ctypes.c_void_p if text.endswith("*") else self.types[text]
