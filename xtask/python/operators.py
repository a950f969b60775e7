#!/usr/bin/env python3
"""What merging costs beside a transformer block: the operators as kernels, as functions of standard operators, and as a
user would write them in NumPy (and PyTorch, where it is installed), against one block of the same size, in one run. Of a
model that merges to a grid (`--method expedit`), the clustering alone, as kernel and as function.

    operators.py --original vit.onnx --rewritten merged.onnx --plugin libailurus_ort.so [--threads 1 2]

Both models come from `cargo xtask generate-vit`; the rewritten one merges behind block 1. Prints JSON: medians in
milliseconds, ways taken in turn, and for each way the memory that a process needs beyond what it held before its first
run (peak resident set, inputs and outputs included).
"""
import argparse
import ctypes
import json
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

import vision

DOMAIN, GRID = "ai.ailurus", "AilurusGridKMeans"
FIRST, SECOND = "/blocks/blocks.0/Add_1_output_0", "/blocks/blocks.1/Add_1_output_0"


def operators(path, names=None):
    """The operators of a rewritten model as a model of their own: metric, stream and refined rows in, full stream out."""
    model = onnx.load(path)
    nodes = [n for n in model.graph.node if n.domain == DOMAIN and n.op_type in (names or [n.op_type])]
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    types = {v.name: v for v in [*inferred.value_info, *inferred.output, *inferred.input]}
    made = {o for n in nodes for o in n.output}
    given = list(dict.fromkeys(i for n in nodes for i in n.input if i not in made))
    graph = helper.make_graph(
        nodes, "operators", [types[i] for i in given], [types[o] for n in nodes for o in n.output if o in types]
    )
    return helper.make_model(
        graph, functions=list(model.functions), opset_imports=list(model.opset_import), ir_version=model.ir_version
    ), [(n.op_type, list(n.input), list(n.output)) for n in nodes], attributes(nodes)


def attributes(nodes):
    clustering = next(n for n in nodes if n.op_type in ("AilurusDensityPeaks", GRID))
    return {a.name: helper.get_attribute_value(a) for a in clustering.attribute}


def block(path):
    """The second block."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path), data_prop=True)
    return onnx.utils.Extractor(model).extract_model([FIRST], [SECOND])


def obvious(xp, metric, x, z, p):
    """Clustering, merging and unfolding the way one writes them first: whole distance matrices, one-hot products."""
    prefix, h, w = p["prefix"], p["grid_h"], p["grid_w"]
    n, m, k, lam, alpha = h * w, clusters(p), p["neighbors"], p["window"], p["spatial_mix"]
    tokens, inf = metric[prefix : prefix + n], float("inf")
    grid = xp.stack(xp.meshgrid(xp.arange(h), xp.arange(w), indexing="ij"), -1).reshape(n, 2)
    space = ((grid[:, None] - grid[None]) ** 2).sum(-1)
    order = np.argsort(space, 1, stable=True) if xp is np else xp.argsort(space, dim=1, stable=True)
    rank = xp.argsort(order, 1)
    square = (tokens**2).sum(1)
    distance = square[:, None] + square[None] - 2 * tokens @ tokens.T
    scale = ((1 - alpha) * rank / lam + alpha) ** 2 / tokens.shape[1]
    distance = xp.where(rank < lam, distance * scale, inf)
    # The patch itself is at rank 0.
    near = xp.sort(xp.where(rank == 0, inf, distance), 1)
    near = near if xp is np else near[0]
    mean = near[:, :k].mean(1)
    denser = mean[None] < mean[:, None]
    away = xp.where(denser, distance, inf)
    away = away.min(1) if xp is np else away.min(1)[0]
    score = 0.5 * xp.log(xp.where(away < inf, away, distance[distance < inf].max()) + 1e-30) - mean
    anchors = xp.sort(xp.argsort(-score)[:m])
    anchors = anchors if xp is np else anchors[0]
    joins = xp.where(distance[:, anchors] < inf, distance[:, anchors], 1e9 + space[:, anchors]).argmin(1)
    joins[anchors] = xp.arange(m)
    index = xp.concatenate([xp.arange(prefix), prefix + joins])
    one_hot = (index[None] == xp.arange(prefix + m)[:, None]) * xp.ones(1, dtype=x.dtype)
    merged = one_hot @ x / one_hot.sum(1)[:, None]
    # The full stream, and for every patch the patch that stands for it.
    return x + (z - merged)[index], anchors[joins]


def anchors(index, anchor):
    """For every token the token that stands for it."""
    return anchor[0][index[0]]


def clusters(p):
    n = p["grid_h"] * p["grid_w"]
    return p["tokens"] if p.get("tokens") else -(-n * p["keep_num"] // p["keep_den"])


def bound(s, outputs, feed):
    """Runs a session on memory of ONNX Runtime, as within a model: nothing is copied to and from Python. Gives the outputs."""
    binding = s.io_binding()
    for name, array in feed.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for name in outputs:
        binding.bind_output(name)

    def run():
        s.run_with_iobinding(binding)
        return binding.get_outputs()

    return run


class Problem:
    """The ways to compute the same, by name."""

    def __init__(self, o, threads):
        model, nodes, self.params = operators(o.rewritten)
        inputs = {n: i for n, i, _ in nodes}
        metric, x, z = inputs["AilurusDensityPeaks"][0], inputs["AilurusMerge"][0], inputs["AilurusUnfoldResidual"][0]
        shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
        random = np.random.default_rng(0)
        self.feed = {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
        outputs = {n: outs for n, _, outs in nodes}
        self.out, (self.index, self.anchor) = outputs["AilurusUnfoldResidual"][0], outputs["AilurusDensityPeaks"][:2]
        self.arrays = [self.feed[name][0] for name in (metric, x, z)]
        self.model, self.o, self.threads = model, o, threads

    def way(self, name):
        """A function that does it once."""
        if name in ("kernels", "functions"):
            plugin = self.o.plugin if name == "kernels" else None
            s = vision.session(self.model.SerializeToString(), plugin, self.threads)
            return bound(s, [self.out, self.index, self.anchor], self.feed)
        if name == "numpy":
            return lambda: obvious(np, *self.arrays, self.params)
        if name == "torch":
            import torch

            torch.set_num_threads(self.threads)
            tensors = [torch.from_numpy(a) for a in self.arrays]
            return lambda: obvious(torch, *tensors, self.params)
        s = vision.session(block(self.o.original).SerializeToString(), None, self.threads)
        return bound(s, [o.name for o in s.get_outputs()], {s.get_inputs()[0].name: self.arrays[1][None]})


class GridProblem(Problem):
    """Clustering to a grid."""

    def __init__(self, o, threads):
        self.model, nodes, self.params = operators(o.rewritten, [GRID])
        ((_, inputs, (self.out, self.index, self.anchor)),) = nodes
        value = next(i for i in self.model.graph.input if i.name == inputs[0])
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        self.feed = {inputs[0]: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
        self.arrays = [None, self.feed[inputs[0]][0]]
        self.o, self.threads = o, threads


def problem(o, threads):
    grid = any(n.op_type == GRID for n in onnx.load(o.rewritten, load_external_data=False).graph.node)
    return (GridProblem if grid else Problem)(o, threads)


def ways(params):
    if "cluster_h" in params:
        return ["kernels", "functions", "block"]
    try:
        import torch  # noqa: F401

        return ["kernels", "functions", "numpy", "torch", "block"]
    except ImportError:
        return ["kernels", "functions", "numpy", "block"]


def peak():
    """Peak resident set of this process in megabytes."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def memory(o):
    run = problem(o, 1).way(o.memory)
    # What was freed while the models were read would be used again unseen.
    ctypes.CDLL(None).malloc_trim(0)
    before = resident()
    # From here on the peak is that of the run.
    open("/proc/self/clear_refs", "w").write("5")
    run()
    print(peak() - before)


def measure(o, threads):
    case = problem(o, threads)
    runs = {name: case.way(name) for name in ways(case.params)}
    times = {name: [] for name in runs}
    for r in range(o.rounds + 1):
        for name in list(runs)[:: 1 if r % 2 else -1]:
            # Short ones often, so that one disturbance does not decide; whole rounds stay interleaved.
            start = time.perf_counter()
            count = 1
            runs[name]()
            while time.perf_counter() - start < 0.02:
                runs[name]()
                count += 1
            if r:
                times[name].append((time.perf_counter() - start) / count)
    return {name: 1e3 * float(np.median(t)) for name, t in times.items()}, case


def agreement(case):
    """Share of tokens for which the other ways come to what the kernels do. NumPy adds distances up in another order, which
    moves a few anchors; so does the function of clustering to a grid."""
    if isinstance(case, GridProblem):
        kernels, functions = (case.way(way)()[1].numpy() for way in ("kernels", "functions"))
        return {"functions": float((functions[..., 0] == kernels[..., 0]).mean())}
    prefix = case.params["prefix"]
    kernels, functions = (anchors(*(v.numpy() for v in case.way(way)()[1:])) for way in ("kernels", "functions"))
    return {
        "functions": float((functions == kernels).mean()),
        "numpy": float((case.way("numpy")()[1] + prefix == kernels[prefix:]).mean()),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--original", required=True)
    p.add_argument("--rewritten", required=True)
    p.add_argument("--plugin", required=True)
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--memory", help=argparse.SUPPRESS)
    o = p.parse_args()
    if o.memory:
        return memory(o)
    measured = []
    for threads in o.threads:
        ms, case = measure(o, threads)
        measured.append({"threads": threads, "ms": ms})
        print(f"{threads} threads: {ms}", file=sys.stderr)
    equal = agreement(case)
    needs = {}
    for name in ways(case.params)[:-1]:
        command = [sys.executable, __file__, *sys.argv[1:], "--memory", name]
        needs[name] = float(subprocess.check_output(command, text=True))
    print(json.dumps({
        "params": {k: v for k, v in case.params.items() if not isinstance(v, bytes)},
        "shapes": {k: list(v.shape) for k, v in case.feed.items()},
        "onnxruntime": ort.__version__,
        "numpy": np.__version__,
        "measured": measured,
        "memory_mb": needs,
        "equal": equal,
    }, indent=1))


if __name__ == "__main__":
    main()
