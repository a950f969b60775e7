#!/usr/bin/env bash
# Builds the CUDA kernels on a machine with an NVIDIA GPU, checks each against the reference, runs compute-sanitizer
# where it is installed, and times: operators against what they have to move, against PyTorch, and in a ViT-L/16.
#
#   bench/gpu.sh [--size small|usual|large] [--only check|time] [--compile] [--out FOLDER] [--write] [--rehearse]
#
# Needs a C++ compiler and Python 3.9 or later with PyTorch 2 and NumPy (with NumPy alone it only checks); no Rust, no
# nvcc, no network. PYTHON names the Python. A few minutes; results go to target/gpu as Markdown and JSON, with --write
# into docs/benchmarks.md. --rehearse tries the script on the processor.
#
# Status: 0 done (bars that were missed are in the results), 1 something is wrong, 2 wrong arguments, 77 no GPU.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python; do
        if command -v "$candidate" >/dev/null; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ]; then
    echo "Python 3 is needed; PYTHON names it" >&2
    exit 1
fi
if ! "$python" -c "import numpy" 2>/dev/null; then
    echo "$python has no NumPy; name a Python that has it and PyTorch with PYTHON=..." >&2
    exit 1
fi
export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec "$python" "$here/gpu/run.py" "$@"
