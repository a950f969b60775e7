"""Times every operator against the bytes it has to move, against a transformer block, and against PyTorch.

    kernels.py --launcher LIBRARY [--driver LIBRARY] [--size small|usual|large] [--compile] [--json FILE]

Inputs rotate among sets that are larger than the last-level cache together. Calls are replayed from CUDA graphs, ours
and PyTorch's alike, so that the time Python takes does not count.
"""

import sys

import torch

import grid_torch
import operators_torch as ops
import options
import workloads
from device import TYPES, Device
from operators import OPERATORS
from profile_kernels import seconds_of_kernels
from vit import Block

ROUNDS = {"small": 3, "usual": 20, "large": 40}
# Calls in one graph.
CALLS = 24
# Bars that were set before anything was measured.
COPY_SHARE, BLOCK_SHARE, TIMES_PYTORCH = 0.6, 0.03, 10


def bandwidth(device, rounds):
    """Bytes a second of a large copy, counting those read and those written."""
    count = 1 << (20 if device.rehearsal else 30)
    source = torch.empty(count, dtype=torch.uint8, device=device.name).random_()
    target = torch.empty_like(source)
    seconds = device.interleaved({"copy": lambda: target.copy_(source)}, rounds)["copy"]
    return 2 * count / seconds


class Sets:
    """Tensors of one workload, several times over."""

    def __init__(self, device, element, batch, side, width):
        self.device, self.element = device, element
        self.sizes = workloads.clustering(batch, side, side)
        self.windows = ops.Windows(self.sizes, device.name)
        density = OPERATORS["density_peaks"]
        self.grid = workloads.gridded(self.sizes, width)
        self.cells = grid_torch.Cells(self.grid, device.name)
        tokens, rows = density.tokens(self.sizes), density.rows(self.sizes)
        self.dims = {"batch": batch, "tokens": tokens, "rows": rows, "channels": width, "choices": 1, "weighted": False}
        self.sets = [self.make() for _ in range(self.count())]

    def count(self):
        # The smallest traffic among the operators on the stream decides.
        least = OPERATORS["merge"].bytes(self.element, self.dims)
        return max(2, min(CALLS, -(-3 * self.device.cache_bytes() // least)))

    def make(self):
        d, device = self.dims, self.device
        random = lambda *shape: torch.randn(shape, device=device.name).to(TYPES[self.element])
        made = {
            "density_peaks": {"metric": random(d["batch"], d["tokens"], self.sizes["channels"])},
            "grid_kmeans": {"x": random(d["batch"], d["tokens"], d["channels"])},
            "merge": {"x": random(d["batch"], d["tokens"], d["channels"])},
            "unfold": {"z": random(d["batch"], d["rows"], d["channels"])},
            "unfold_residual": {
                "z": random(d["batch"], d["rows"], d["channels"]),
                "start": random(d["batch"], d["rows"], d["channels"]),
                "base": random(d["batch"], d["tokens"], d["channels"]),
            },
        }
        found = device.outputs("density_peaks", self.element, self.sizes)
        made["density_peaks"] |= found
        device.enqueue("density_peaks", self.element, self.sizes, made["density_peaks"])
        made["grid_kmeans"] |= device.outputs("grid_kmeans", self.element, self.grid)
        for name in ("merge", "unfold", "unfold_residual"):
            made[name] |= {"index": found["index"], **device.outputs(name, self.element, d)}
        made["merge"]["size"] = found["size"]
        return made

    def of(self, operator):
        return {"density_peaks": self.sizes, "grid_kmeans": self.grid}.get(operator, self.dims)

    def ours(self, operator):
        def call(i):
            tensors = self.sets[i % len(self.sets)][operator]
            self.device.enqueue(operator, self.element, self.of(operator), tensors)

        return call

    def in_pytorch(self, operator, compile_):
        """Ways by name, each a function of the number of the call."""
        at = lambda i: self.sets[i % len(self.sets)][operator]
        ways = {}
        if operator == "density_peaks":
            for name, squared in ops.DENSITY_PEAKS.items():
                function = lambda metric, by=squared: ops.density_peaks(metric, self.sizes, self.windows, by)
                ways[name] = (function, lambda t: (t["metric"],))
        elif operator == "grid_kmeans":
            for name, dtype in grid_torch.WAYS.items():
                function = lambda x, by=dtype: grid_torch.grid_kmeans(x, self.grid, self.cells, by)
                ways[name] = (function, lambda t: (t["x"],))
        elif operator == "merge":
            for name, function in ops.MERGE.items():
                ways[name] = (function, lambda t: (t["x"], t["index"], t["size"]))
        elif operator == "unfold":
            for name, function in ops.UNFOLD.items():
                ways[name] = (function, lambda t: (t["z"], t["index"]))
        else:
            for name, unfold in ops.UNFOLD.items():
                function = lambda z, start, base, index, by=unfold: ops.unfold_residual(z, start, base, index, by)
                ways[name] = (function, lambda t: (t["z"], t["start"], t["base"], t["index"]))
        if compile_:
            ways |= {f"{name}, compiled": (torch.compile(f), pick) for name, (f, pick) in ways.items()}
        return {name: (lambda i, f=f, pick=pick: f(*pick(at(i)))) for name, (f, pick) in ways.items()}


def time_operator(device, sets, operator, copy, rounds, compile_):
    """A row of the table. The sets of the clustering's inputs are small: it is fed from the cache, as in a model."""
    moved = OPERATORS[operator].bytes(sets.element, sets.of(operator))
    # A copy of as many bytes meets the same ends of launches, waves and caches.
    halves = [torch.empty((2, moved // 2), dtype=torch.uint8, device=device.name).random_() for _ in sets.sets]
    calls = {
        "ours": sets.ours(operator),
        "copy": lambda i: halves[i % len(halves)][0].copy_(halves[i % len(halves)][1]),
    }
    calls |= sets.in_pytorch(operator, compile_)
    ways, captured = {}, {}
    for name, call in calls.items():
        ways[name], captured[name] = device.repeated(call, CALLS)
    seconds = device.interleaved(ways, rounds, CALLS)
    pytorch = {name: value for name, value in seconds.items() if name not in ("ours", "copy")}
    return {
        "operator": operator,
        "element": sets.element,
        "seconds": seconds["ours"],
        "bytes": moved,
        "copy_share": moved / copy / seconds["ours"],
        "same_copy_share": seconds["copy"] / seconds["ours"],
        "pytorch": pytorch,
        "kernels": seconds_of_kernels(device, sets.ours(operator), CALLS),
        "times_pytorch": min(pytorch.values()) / seconds["ours"],
        "not_captured": [name for name, was in captured.items() if not was],
    }


def time_block(device, element, batch, side, width, rounds):
    """Seconds of one block on all tokens."""
    heads = max(1, width // 64)
    block = Block(width, heads).to(device.name, TYPES[element])
    x = torch.randn((batch, 1 + side * side, width), device=device.name).to(TYPES[element])
    way, _ = device.repeated(lambda _: block(x), 4)
    return device.interleaved({"block": way}, rounds, 4)["block"]


def bars(rows):
    """What was promised, for the workload the promises are about: ViT-L at 640 px, 8 images, f16."""
    found = []

    def bar(what, wanted, got, met):
        found.append({"bar": what, "wanted": wanted, "got": got, "met": met})

    for row in (r for r in rows if r["batch"] == 8 and r["element"] == "f16"):
        name = row["operator"]
        if name == "density_peaks":
            share = row["seconds"] / row["block_seconds"]
            bar(f"{name}, of a block", BLOCK_SHARE, share, share < BLOCK_SHARE)
        if name in ("density_peaks", "grid_kmeans"):
            bar(f"{name}, times PyTorch", TIMES_PYTORCH, row["times_pytorch"], row["times_pytorch"] >= TIMES_PYTORCH)
        else:
            bar(f"{name}, of copy bandwidth", COPY_SHARE, row["copy_share"], row["copy_share"] >= COPY_SHARE)
    return found


@torch.inference_mode()
def main():
    parser = options.parser(__doc__)
    parser.add_argument(
        "--compile", action="store_true", help="time the operators in PyTorch through torch.compile too"
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    device, rounds = Device(args), ROUNDS[args.size]
    copy = bandwidth(device, rounds)
    print(f"copy: {copy / 1e12:.2f} TB/s", flush=True)
    rows = []
    for name, batch, side, width in workloads.to_time(args.size):
        for element in ("f16", "f32"):
            block = time_block(device, element, batch, side, width, rounds)
            sets = Sets(device, element, batch, side, width)
            for operator in OPERATORS:
                row = time_operator(device, sets, operator, copy, rounds, args.compile)
                row |= {"workload": name, "batch": batch, "block_seconds": block}
                rows.append(row)
                print(
                    f"{name}, {batch} images, {element}, {operator}: {row['seconds'] * 1e6:.1f} us, "
                    f"{row['copy_share']:.0%} of copy bandwidth, PyTorch x {row['times_pytorch']:.1f}",
                    flush=True,
                )
            del sets
    options.write(args, {"copy_bytes_per_second": copy, "rows": rows, "bars": bars(rows)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
