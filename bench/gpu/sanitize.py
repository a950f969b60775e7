"""Runs the check of small cases under the tools of NVIDIA's compute-sanitizer, where that is installed.

    sanitize.py --launcher LIBRARY [--json FILE]

It is looked for in PATH, below CUDA_HOME and /usr/local/cuda, and among Python's packages (nvidia-cuda-sanitizer-api).
Status 1 if a tool found something.
"""

import glob
import os
import shutil
import subprocess
import sys
import sysconfig

import options

TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
NAME = "compute-sanitizer"
# What the tool gives when it found something; the check itself gives 1 for wrong results.
FOUND = 86


def find():
    found = shutil.which(NAME)
    if found:
        return found
    folders = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    patterns = [
        os.path.join(folder, where, NAME) for folder in folders if folder for where in ("bin", "compute-sanitizer")
    ]
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path}
    patterns += [os.path.join(folder, "nvidia/*/compute-sanitizer", NAME) for folder in packages if folder]
    for pattern in patterns:
        for path in glob.glob(pattern):
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None


def run(sanitizer, tool, args):
    check = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check.py")
    command = [sanitizer, "--tool", tool, "--error-exitcode", str(FOUND), "--kernel-name", "kns=ailurus_"]
    command += [sys.executable, check, "--launcher", args.launcher, "--size", "small", "--bare"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.stdout.strip().splitlines()
    summary = next((line.strip("= ") for line in reversed(said) if "SUMMARY" in line), said[-1] if said else "")
    return {
        "tool": tool,
        "status": done.returncode,
        "summary": summary,
        "output": said[:200] if done.returncode else [],
    }


def main():
    args = options.parse(__doc__)
    sanitizer = find()
    if sanitizer is None:
        print("compute-sanitizer is not installed; nothing was checked")
        options.write(args, {"sanitizer": None, "tools": []})
        return 0
    results = []
    for tool in TOOLS:
        results.append(run(sanitizer, tool, args))
        print(f"{tool}: {results[-1]['summary']}", flush=True)
        for line in results[-1]["output"][:20]:
            print(f"  {line}")
    options.write(args, {"sanitizer": sanitizer, "tools": results})
    return 1 if any(result["status"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
