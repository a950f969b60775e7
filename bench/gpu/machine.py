"""What the measurements were made on."""

import ctypes
import datetime
import platform
import subprocess


def devices():
    """How many CUDA devices there are, and if none, why."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0, "libcuda.so.1, the CUDA driver, cannot be loaded"
    count = ctypes.c_int()
    result = library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))
    if result:
        name = ctypes.c_char_p()
        library.cuGetErrorName(result, ctypes.byref(name))
        return 0, f"the CUDA driver says {(name.value or b'an unknown error').decode()}"
    return count.value, None if count.value else "the CUDA driver finds no device"


def driver_version():
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


def describe(rehearsal):
    import torch

    found = {
        "date": datetime.date.today().isoformat(),
        "pytorch": torch.__version__,
        "python": platform.python_version(),
    }
    found["system"] = f"{platform.system()} {platform.release()}"
    if rehearsal:
        return {**found, "device": "rehearsal on a processor", "driver": "none", "cuda": "none"}
    card = torch.cuda.get_device_properties(0)
    return {
        **found,
        "device": card.name,
        "compute_capability": f"{card.major}.{card.minor}",
        "memory_gib": round(card.total_memory / 2**30, 1),
        "multiprocessors": card.multi_processor_count,
        "cache_mib": round(card.L2_cache_size / 2**20, 1),
        "driver": driver_version(),
        "cuda": torch.version.cuda,
    }
