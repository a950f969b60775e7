"""Builds, checks and times the CUDA kernels on this machine's GPU; bench/gpu.sh calls it and says more."""

import argparse
import json
import os
import subprocess
import sys
import time

import build
import machine
import options
import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# In the order in which they run. What fails does not stop the others: time on a device is dear.
STEPS = {"check": "check", "sanitize": "check", "cross": "check", "kernels": "time", "endtoend": "time"}
NO_DEVICE = 77
BUILD = os.path.join(ROOT, "target/gpu-build")
# A step that takes longer hangs.
LONGEST = {"small": 900, "usual": 900, "large": 3600}


def arguments():
    parser = argparse.ArgumentParser(prog="bench/gpu.sh", description=__doc__)
    parser.add_argument(
        "--out", default=os.path.join(ROOT, "target/gpu"), help="folder for results [default: target/gpu]"
    )
    parser.add_argument(
        "--size", choices=options.SIZES, help="how much is measured [default: usual; small in a rehearsal]"
    )
    parser.add_argument("--only", choices=("check", "time"), help="check without timing, or the other way round")
    parser.add_argument("--compile", action="store_true", help="time PyTorch's operators through torch.compile too")
    parser.add_argument("--write", action="store_true", help="put the results into docs/benchmarks.md")
    parser.add_argument(
        "--rehearse", action="store_true", help="no GPU: run everything on the processor, to try the script"
    )
    args = parser.parse_args()
    args.size = args.size or ("small" if args.rehearse else "usual")
    return args


def has_torch(args):
    """Whether this Python has PyTorch, and but for a rehearsal one that works with the GPU."""
    test = "import torch" if args.rehearse else "import torch; assert torch.cuda.is_available()"
    return subprocess.run([sys.executable, "-c", test], stderr=subprocess.DEVNULL).returncode == 0


def steps(args, torch):
    chosen = [step for step, kind in STEPS.items() if args.only in (None, kind)]
    if args.rehearse:
        # It examines code that runs on a GPU, and there is none.
        chosen = [step for step in chosen if step != "sanitize"]
    if not torch:
        if args.only == "time":
            raise SystemExit("timing needs PyTorch for CUDA; name a Python that has it with PYTHON=...")
        print("this Python has no PyTorch for CUDA: only checks that need none will run", flush=True)
        chosen = [step for step in chosen if step in ("check", "sanitize")]
    return chosen


def run(step, args, common):
    """One step in a process of its own, as a fault of a kernel ends all work of its process; its status and results."""
    path = os.path.join(args.out, f"{step}.json")
    if os.path.exists(path):
        os.remove(path)
    command = [sys.executable, os.path.join(HERE, f"{step}.py"), *common, "--json", path]
    command += ["--compile"] if step == "kernels" and args.compile else []
    print(f"\n== {step}", flush=True)
    start = time.monotonic()
    try:
        status = subprocess.run(command, timeout=LONGEST[args.size]).returncode
    except subprocess.TimeoutExpired:
        status = "none, as it took too long"
    print(
        f"== {step}: {'done' if status == 0 else f'FAILED with status {status}'}, {time.monotonic() - start:.0f} s",
        flush=True,
    )
    if not os.path.exists(path):
        return status, None
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    # It goes into the one file of all steps.
    os.remove(path)
    return status, found


def main():
    args = arguments()
    if not args.rehearse:
        count, why = machine.devices()
        if count == 0:
            print(
                f"no GPU: {why}. Nothing was checked or measured. (--rehearse tries the script without one.)",
                file=sys.stderr,
            )
            return NO_DEVICE
    os.makedirs(args.out, exist_ok=True)
    torch = has_torch(args)
    chosen = steps(args, torch)
    print("building the launcher", flush=True)
    os.makedirs(BUILD, exist_ok=True)
    common = ["--launcher", build.launcher(BUILD), "--size", args.size]
    common += ["--driver", build.driver(BUILD)] if args.rehearse else []
    results, failed = {}, []
    for step in chosen:
        status, found = run(step, args, common)
        failed += [step] if status != 0 else []
        if found is not None:
            results[step] = found
    results["failed"] = failed
    if torch:
        results["machine"] = machine.describe(args.rehearse)
        text = report.markdown(results)
        print(f"\n{text}")
        with open(os.path.join(args.out, "gpu.md"), "w", encoding="utf-8") as file:
            file.write(text)
        if args.write and not args.rehearse:
            report.put(text, os.path.join(ROOT, "docs/benchmarks.md"))
    with open(os.path.join(args.out, "gpu.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    print(f"results: {args.out}/gpu.json" + (" and gpu.md" if torch else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
