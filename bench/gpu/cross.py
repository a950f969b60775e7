"""Compares our kernels with the operators in PyTorch on fresh random inputs, and calls from a CUDA graph with direct
ones.

    cross.py --launcher LIBRARY [--driver LIBRARY] [--size small|usual|large] [--json FILE]

That the kernels equal the reference is for check.py to say; this says that PyTorch computes the same thing, so that
times can be compared, and that what a graph replays is what a call gives. Status 1 if not.
"""

import secrets
import sys

import torch

import grid_torch
import operators_torch as ops
import options
import workloads
from device import TYPES, Device
from operators import OPERATORS

# Rounding may move a patch whose two nearest anchors are almost equally near, and with it a mean.
SAME_CLUSTERS = 0.995
TOLERANCE = {"f32": 1e-5, "f16": 2e-3, "bf16": 2e-2}


def share(a, b):
    return (a == b).double().mean().item()


def close(ours, theirs, element):
    ours, theirs = ours.double(), theirs.double()
    return ((ours - theirs).abs().max() / theirs.abs().max()).item() <= TOLERANCE[element]


def clusters(device, element, sizes):
    """Faults of clustering random keys; (index, size, rows) of one that is right."""
    shape = (sizes["batch"], sizes["prefix"] + sizes["grid_h"] * sizes["grid_w"] + sizes["suffix"], sizes["channels"])
    metric = torch.randn(shape, device=device.name).to(TYPES[element])
    ours = device.outputs("density_peaks", element, sizes)
    device.enqueue("density_peaks", element, sizes, {"metric": metric, **ours})
    device.synchronize()
    faults = []
    windows = ops.Windows(sizes, device.name)
    for name, squared in ops.DENSITY_PEAKS.items():
        # Wide, so that the comparison is not one of rounding.
        theirs = ops.density_peaks(metric.float(), sizes, windows, squared)
        for part, value in zip(("index", "anchor", "size"), theirs):
            if part == "size" and value.sum().item() != shape[0] * shape[1]:
                faults.append(f"sizes in PyTorch ({name}) do not add up")
        # Rows shift when one anchor differs: compare which patches are anchors.
        marks = [
            torch.zeros(shape[:2], device=device.name).scatter_(1, a.long(), 1) for a in (ours["anchor"], theirs[1])
        ]
        same = share(*marks)
        joined = [
            anchor.long().gather(1, index.long()) for index, anchor in ((ours["index"], ours["anchor"]), theirs[:2])
        ]
        joins = share(*joined)
        if same < SAME_CLUSTERS or joins < SAME_CLUSTERS:
            faults.append(f"{name}: {same:.2%} of the anchors and {joins:.2%} of the members are PyTorch's")
    return faults, ours, metric


def grid(device, element, sizes):
    """Faults of grid k-means on random tokens. Centres first: a patch may have another fourth nearest by rounding."""
    tokens = sizes["prefix"] + sizes["grid_h"] * sizes["grid_w"] + sizes["suffix"]
    x = torch.randn((sizes["batch"], tokens, sizes["channels"]), device=device.name).to(TYPES[element])
    ours = device.outputs("grid_kmeans", element, sizes)
    device.enqueue("grid_kmeans", element, sizes, {"x": x, **ours})
    device.synchronize()
    z, index, weight = grid_torch.grid_kmeans(x.float(), sizes, grid_torch.Cells(sizes, device.name))
    faults = []
    error = ((ours["z"].double() - z.double()).norm() / z.double().norm()).item()
    if error > TOLERANCE[element]:
        faults.append(f"centres differ by {error:.2g}")
    same = share(ours["index"], index)
    alike = ((ours["weight"] - weight).abs() <= 1e-3).double().mean().item()
    if min(same, alike) < SAME_CLUSTERS:
        faults.append(f"{same:.2%} of the nearest centres and {alike:.2%} of the weights are PyTorch's")
    return faults


def streams(device, element, sizes, channels, found):
    """Faults of merging and unfolding along these clusters."""
    batch, rows = found["size"].shape
    tokens = found["index"].shape[1]
    random = lambda count: torch.randn((batch, count, channels), device=device.name).to(TYPES[element])
    x, z = random(tokens), random(rows)
    dims = {"batch": batch, "tokens": tokens, "rows": rows, "channels": channels, "choices": 1, "weighted": False}
    merged = device.outputs("merge", element, dims)
    device.enqueue("merge", element, dims, {"x": x, "index": found["index"], "size": found["size"], **merged})
    copied = device.outputs("unfold", element, dims)
    device.enqueue("unfold", element, dims, {"z": z, "index": found["index"], **copied})
    added = device.outputs("unfold_residual", element, dims)
    tensors = {"z": z, "start": merged["y"], "base": x, "index": found["index"]}
    device.enqueue("unfold_residual", element, dims, {**tensors, **added})
    device.synchronize()
    theirs = {f"merge ({n})": (merged["y"], f(x.float(), found["index"], found["size"])) for n, f in ops.MERGE.items()}
    theirs |= {f"unfold ({n})": (copied["y"], f(z, found["index"])) for n, f in ops.UNFOLD.items()}
    wide = [t.float() for t in (z, merged["y"], x)]
    theirs["unfold_residual"] = (added["y"], ops.unfold_residual(*wide, found["index"]))
    return [f"{name} is not PyTorch's" for name, (a, b) in theirs.items() if not close(a, b, element)]


def graph(device, element, sizes, found, metric):
    """Faults of replaying a call on another input."""
    if device.rehearsal:
        return []
    replayed = {name: tensor.clone() for name, tensor in found.items()}
    call = lambda _: device.enqueue("density_peaks", element, sizes, {"metric": metric, **replayed})
    replay, captured = device.repeated(call, 1)
    if not captured:
        return ["calls cannot be captured in a graph"]
    metric.copy_(torch.randn_like(metric))
    replay()
    direct = device.outputs("density_peaks", element, sizes)
    device.enqueue("density_peaks", element, sizes, {"metric": metric, **direct})
    device.synchronize()
    same = all(torch.equal(direct[n], replayed[n]) for n in ("index", "anchor", "size"))
    return [] if same else ["a replayed graph gives something else"]


def main():
    args = options.parse(__doc__)
    device = Device(args)
    seed = secrets.randbits(32)
    torch.manual_seed(seed)
    faults = []
    for element in ("f32", "f16", "bf16"):
        for sizes, channels in workloads.to_check(args.size):
            found_faults, found, metric = clusters(device, element, sizes)
            here = (
                found_faults
                + streams(device, element, sizes, channels, found)
                + graph(device, element, sizes, found, metric)
            )
            if element in OPERATORS["grid_kmeans"].elements:
                here += [
                    f"grid k-means: {fault}" for fault in grid(device, element, workloads.gridded(sizes, channels))
                ]
            faults += [f"{element} {sizes['batch']} x {sizes['grid_h']} x {sizes['grid_w']}: {fault}" for fault in here]
    for fault in faults:
        print(f"FAILED {fault}")
    print(f"compared with PyTorch, seed {seed}: {len(faults)} faults")
    options.write(args, {"seed": seed, "faults": faults, "graphs": not device.rehearsal})
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
