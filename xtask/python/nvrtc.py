"""Compiles the CUDA kernels to PTX with an NVRTC library: nvrtc.py LIBRARY FOLDER ARCHITECTURE OUTPUT.

Needs no package. Headers are handed over by name, so that the result does not depend on where the folder lies."""

import ctypes
import pathlib
import sys


def main(library, folder, architecture, output):
    # Its second library lies beside it, where the system does not look; one that is loaded is found by name.
    for builtins in sorted(pathlib.Path(library).parent.glob("libnvrtc-builtins.*")):
        ctypes.CDLL(str(builtins))
    nvrtc = ctypes.CDLL(library)
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p

    def check(result, doing):
        if result != 0:
            raise SystemExit(f"{doing}: {nvrtc.nvrtcGetErrorString(result).decode()}")

    folder = pathlib.Path(folder)
    headers = sorted(p for p in folder.iterdir() if p.suffix in (".h", ".cuh"))
    texts = (ctypes.c_char_p * len(headers))(*(p.read_bytes() for p in headers))
    names = (ctypes.c_char_p * len(headers))(*(p.name.encode() for p in headers))
    program = ctypes.c_void_p()
    source = (folder / "ailurus.cu").read_bytes()
    check(
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"ailurus.cu", len(headers), texts, names),
        "creating the program",
    )
    # Nothing may be fused: the definition rounds every operation.
    options = [f"--gpu-architecture={architecture}", "--std=c++14", "--fmad=false"]
    result = nvrtc.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    )
    size = ctypes.c_size_t()
    check(nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)), "asking for the log")
    log = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetProgramLog(program, log), "reading the log")
    text = log.value.decode().strip()
    if result != 0 or text:
        raise SystemExit(f"NVRTC has something to say ({architecture}):\n{text}")
    check(nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)), "asking for the PTX")
    ptx = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetPTX(program, ptx), "reading the PTX")
    pathlib.Path(output).write_bytes(ptx.value)


main(*sys.argv[1:])
