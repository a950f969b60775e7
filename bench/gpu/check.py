"""Compares every kernel with the scalar reference, bit for bit.

    check.py --launcher LIBRARY [--driver LIBRARY] [--size small|usual|large] [--bare] [--json FILE]

cases.json holds parameters, how the inputs are made, and digests of what the reference gives; it is made by
`AILURUS_BLESS=1 cargo test -p ailurus-cuda --test bench_cases`. Needs NumPy and no PyTorch. Status 1 if anything
differs.
"""

import hashlib
import json
import os
import sys
import time

import numpy as np

import options
import values
from driver import Driver
from launcher import Launcher
from operators import OPERATORS, WIDTHS, product

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.json")
# Orders in which the driver without a device runs threads; a device has one of its own.
SCHEDULES = (0, 1, 7)
# Differences where the reference's results are given in full; there are few, and far from one another.
NEAR = {"f32": 1e-5, "f16": 1e-3, "i32": 0}


def run(launcher, driver, case):
    """Runs a case; returns the outputs' bytes by name, and what was wrong with the guards."""
    operator, element, sizes = OPERATORS[case["operator"]], case["element"], case["sizes"]
    shift = case.get("misaligned", 0) * WIDTHS[element]
    inputs, outputs, tensors = operator.inputs(sizes), operator.outputs(sizes), {}
    for name, (shape, kind) in inputs.items():
        array = values.make(case["inputs"][name], shape, element, sizes)
        tensors[name] = driver.tensor(array, shift if kind == "E" else 0)
    for name, (shape, kind) in outputs.items():
        bytes_ = product(shape) * WIDTHS[element if kind == "E" else kind]
        tensors[name] = driver.empty(bytes_, shift if kind == "E" else 0)
    addresses = {name: tensor.address for name, tensor in tensors.items()}
    if case.get("in_place"):
        # Writes its result over one of its inputs.
        addresses["y"] = addresses[case["in_place"]]
    workspace = operator.workspace(launcher, element, sizes)
    if workspace:
        tensors["workspace"] = driver.empty(workspace)
        addresses.update(workspace=tensors["workspace"].address, workspace_bytes=workspace)
    operator.enqueue(launcher, element, sizes, addresses, driver.stream)
    driver.synchronize()
    faults = [f"memory around {name} was written to" for name, tensor in tensors.items() if not tensor.intact()]
    results = {name: tensors[case["in_place"] if case.get("in_place") else name].read() for name in outputs}
    for tensor in tensors.values():
        tensor.free()
    return results, faults


def compare(case, results):
    """What differs from the reference."""
    faults = []
    outputs = OPERATORS[case["operator"]].outputs(case["sizes"])
    for name, expected in case["outputs"].items():
        raw = results[name]
        if hashlib.sha256(raw.tobytes()).hexdigest() == expected["sha256"]:
            continue
        kind = outputs[name][1]
        kind = case["element"] if kind == "E" else kind
        got = values.widen(raw, kind)
        if "values" in expected and near(got, expected["values"], kind):
            continue
        at = sample_positions(len(got))
        faults.append(f"{name} differs; at {at} expected {expected['sample']}, got {[float(got[i]) for i in at]}")
    return faults


def near(got, expected, kind):
    """For what goes through an exponential: a device may round it the other way in the last bit."""
    got, expected = got.astype(np.float64), np.array(expected, np.float64)
    return bool((np.abs(got - expected) <= NEAR[kind] * np.maximum(1, np.abs(expected))).all())


def sample_positions(count):
    return [i * (count - 1) // 7 for i in range(8)]


def main():
    parser = options.parser(__doc__)
    parser.add_argument("--bare", action="store_true", help="no guards and no garbage: for runs under a sanitizer")
    args = parser.parse_args()
    driver = Driver(args.driver, args.bare)
    launcher = Launcher(args.launcher, args.driver)
    cases = json.load(open(CASES, encoding="utf-8"))["cases"]
    cases = [case for case in cases if args.size != "small" or not case["large"]]
    schedule = getattr(driver.library, "ailurus_shim_set_schedule", None) if args.driver else None
    faults, start = [], time.monotonic()
    for case in cases:
        for seed in SCHEDULES if schedule and not case["large"] else SCHEDULES[:1]:
            if schedule:
                schedule(seed)
            try:
                results, wrong = run(launcher, driver, case)
                wrong += compare(case, results)
            except Exception as error:
                wrong = [f"{type(error).__name__}: {error}"]
            for fault in wrong:
                faults.append(f"{case['name']}: {fault}")
                print(f"FAILED {faults[-1]}", flush=True)
            if wrong:
                break
    seconds = time.monotonic() - start
    print(f"{len(cases)} cases, {len(faults)} faults, {seconds:.1f} s")
    options.write(args, {"cases": len(cases), "faults": faults, "seconds": seconds})
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
