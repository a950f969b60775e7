"""Times a whole model in f16 as it is, with our kernels between two blocks, and with the same operators in PyTorch.

    endtoend.py --launcher LIBRARY [--driver LIBRARY] [--size small|usual|large] [--json FILE]

The weights are random: this tells times, and nothing of quality. All three are replayed from CUDA graphs.
"""

import sys

import torch

import operators_torch as ops
import options
import workloads
from device import TYPES, Device
from vit import OurMerging, Segmenter, TorchMerging

ELEMENT = "f16"
ROUNDS = {"small": 2, "usual": 12, "large": 30}
# A model whose clusters have one member each gives what it gave, but f16 rounds the updates another way, and the norm
# behind the masks makes more of it. What is wrong differs by as much as there is.
SAME = 5e-2


def merging(device, model, batch, cut, keep):
    sizes = workloads.clustering(batch, model.side, model.side, keep_num=keep[0], keep_den=keep[1])
    sizes["channels"] = model.width // model.heads
    return OurMerging(device, ELEMENT, cut, sizes, model.width), sizes


def fault(device, network, model):
    """What is wrong with the model when every patch is a cluster of its own."""
    image = torch.randn((1, 3, model.pixels, model.pixels), device=device.name).to(TYPES[ELEMENT])
    plain = network(image).float()
    ours, _ = merging(device, model, 1, model.depth // 2, (1, 1))
    merged = network(image, ours).float()
    difference = ((merged - plain).abs().max() / plain.abs().max()).item()
    return None if difference <= SAME else f"with all patches kept the outputs differ by {difference:.3g}"


def time_setting(device, network, model, image, cut, keep, rounds):
    ours, sizes = merging(device, model, image.shape[0], cut, keep)
    theirs = TorchMerging(device, cut, sizes, ops.squared_by_products, ops.merge_by_products)
    ways, captured = {}, []
    for name, how in (("plain", None), ("ours", ours), ("pytorch", theirs)):
        ways[name], was = device.repeated(lambda _, how=how: network(image, how), 1)
        captured += [name] if was else []
    seconds = device.interleaved(ways, rounds)
    return {
        "batch": image.shape[0],
        "cut": cut,
        "keep": keep[0] / keep[1],
        "tokens": [1 + model.side**2, ours.dims["rows"]],
        "seconds": seconds,
        "speedup": seconds["plain"] / seconds["ours"],
        "captured": captured,
    }


@torch.inference_mode()
def main():
    args = options.parse(__doc__)
    torch.manual_seed(0)
    device, model = Device(args), workloads.model(args.size)
    network = Segmenter(model).to(device.name, TYPES[ELEMENT]).eval()
    wrong = fault(device, network, model)
    if wrong:
        print(f"FAILED {wrong}")
    batches, settings = workloads.end_to_end(args.size)
    rows = []
    for batch in batches:
        image = torch.randn((batch, 3, model.pixels, model.pixels), device=device.name).to(TYPES[ELEMENT])
        for cut, keep in settings:
            row = time_setting(device, network, model, image, cut, keep, ROUNDS[args.size])
            rows.append(row)
            print(
                f"{batch} images, cut after {cut}, {row['keep']:.0%} kept: {row['seconds']['plain'] * 1e3:.2f} ms to "
                f"{row['seconds']['ours'] * 1e3:.2f} ms, {row['speedup']:.2f}x",
                flush=True,
            )
    options.write(args, {"model": model.name, "rows": rows, "faults": [wrong] if wrong else []})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
