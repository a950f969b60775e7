"""Times a whole model in f16 as it is, with our kernels between two blocks, and with the same operators in PyTorch.

    endtoend.py --launcher LIBRARY [--driver LIBRARY] [--size small|usual|large] [--json FILE]

The weights are random: this tells times, and nothing of quality. All three are replayed from CUDA graphs.
"""

import sys

import torch

import options
import workloads
from device import TYPES, Device
from merging import both
from vit import Segmenter

ELEMENT = "f16"
ROUNDS = {"small": 2, "usual": 12, "large": 30}
# A model whose clusters have one member each gives what it gave, but f16 rounds the updates another way, and the norm
# behind the masks makes more of it. What is wrong differs by as much as there is.
SAME = 5e-2


def fault(device, network, model):
    """What is wrong with the model when every patch is a cluster of its own."""
    image = torch.randn((1, 3, model.pixels, model.pixels), device=device.name).to(TYPES[ELEMENT])
    plain = network(image).float()
    ours, _ = both("AiluRus", device, ELEMENT, model, 1, model.depth // 2, (1, 1))
    merged = network(image, ours).float()
    difference = ((merged - plain).abs().max() / plain.abs().max()).item()
    return None if difference <= SAME else f"with all patches kept the outputs differ by {difference:.3g}"


def unlike(device, network, model):
    """What is wrong with our kernels in the model, by the operators in PyTorch in their place."""
    image = torch.randn((2, 3, model.pixels, model.pixels), device=device.name).to(TYPES[ELEMENT])
    for method in ("AiluRus", "Expedit"):
        ours, theirs = both(method, device, ELEMENT, model, 2, model.depth // 2, (1, 2))
        a, b = network(image, ours).float(), network(image, theirs).float()
        # A patch that joins another cluster by rounding changes its own outputs most: a mean, not a maximum.
        difference = ((a - b).abs().mean() / b.abs().mean()).item()
        if difference > SAME:
            return f"{method}: the outputs differ by {difference:.3g} from those with PyTorch's operators"
    return None


def time_setting(device, network, model, image, setting, rounds):
    method, cut, keep = setting
    ours, theirs = both(method, device, ELEMENT, model, image.shape[0], cut, keep)
    ways, captured = {}, []
    for name, how in (("plain", None), ("ours", ours), ("pytorch", theirs)):
        ways[name], was = device.repeated(lambda _, how=how: network(image, how), 1)
        captured += [name] if was else []
    seconds = device.interleaved(ways, rounds)
    return {
        "method": method,
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
    wrong = [text for text in (fault(device, network, model), unlike(device, network, model)) if text]
    for text in wrong:
        print(f"FAILED {text}")
    batches, settings = workloads.end_to_end(args.size)
    rows = []
    for batch in batches:
        image = torch.randn((batch, 3, model.pixels, model.pixels), device=device.name).to(TYPES[ELEMENT])
        for setting in settings:
            row = time_setting(device, network, model, image, setting, ROUNDS[args.size])
            rows.append(row)
            seconds = row["seconds"]
            print(
                f"{row['method']}, {batch} images, cut after {row['cut']}, {row['keep']:.0%} kept: "
                f"{seconds['plain'] * 1e3:.2f} ms to {seconds['ours'] * 1e3:.2f} ms, {row['speedup']:.2f}x",
                flush=True,
            )
    options.write(args, {"model": model.name, "rows": rows, "faults": wrong})
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
