"""Builds the launcher with a C++ compiler: no Rust, nothing of CUDA. The kernels go in as PTX, which the driver
compiles.

    build.py FOLDER [--rehearse]

Prints the paths of the launcher and, with --rehearse, of a driver that executes the kernels on the processor.
"""

import argparse
import glob
import os
import shlex
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
CUDA = os.path.join(os.path.dirname(os.path.dirname(HERE)), "crates/ailurus-cuda")
FLAGS = ["-std=c++14", "-O2", "-fPIC", "-shared", "-fvisibility-inlines-hidden"]


def images(path):
    """The PTX as a C++ file, as `images.h` declares it; it ends with a zero."""
    with open(os.path.join(CUDA, "kernels/ailurus.ptx"), "rb") as file:
        data = file.read() + b"\0"
    with open(path, "w", encoding="ascii") as file:
        file.write('#include "images.h"\nalignas(16) static const unsigned char PTX[] = {')
        file.write(",".join(map(str, data)))
        file.write("};\nconst ailurus_cuda_image ailurus_cuda_images[] = {{0, PTX, sizeof PTX}};\n")
        file.write("const size_t ailurus_cuda_image_count = 1;\n")


def compile_(to, sources, flags):
    compiler = shlex.split(os.environ.get("CXX") or "c++")
    command = compiler + FLAGS + flags + ["-o", to] + sorted(sources) + ["-ldl", "-lpthread"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}\n{done.stdout}")
    return to


def launcher(folder):
    made = os.path.join(folder, "images.cpp")
    images(made)
    sources = glob.glob(os.path.join(CUDA, "launcher/*.cpp")) + [made]
    return compile_(os.path.join(folder, "libailurus_cuda.so"), sources, ["-I" + os.path.join(CUDA, "launcher")])


def driver(folder):
    """Results are compared bit for bit: no products and sums may be fused."""
    sources = [os.path.join(CUDA, f"shim/{name}.cpp") for name in ("block", "driver", "fiber", "memory")]
    flags = ["-ffp-contract=off", "-fvisibility=hidden", "-Wno-unknown-pragmas"]
    return compile_(os.path.join(folder, "libailurus_cuda_rehearsal.so"), sources, flags)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder")
    options.add_argument("--rehearse", action="store_true")
    args = options.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    print(launcher(args.folder))
    if args.rehearse:
        print(driver(args.folder))


if __name__ == "__main__":
    main()
