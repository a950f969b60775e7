"""Writes a vision transformer that adds its positions in every block instead of once in front of them.

    positions.py MODEL OUT

The function stays the same, and so do the learnt weights; only the residual stream is kept without positions, and what
reads it adds them first, as some models do by design. That puts a table with a row per token into every block, whose
treatment can then be measured on a model that was trained. The script runs both files and fails where they differ.
"""

import argparse
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

# Of the largest output: another order of additions in 32 bits.
CLOSE = 1e-3


class Graph:
    def __init__(self, graph):
        self.producer = {out: node for node in graph.node for out in node.output}
        self.ancestors = {}
        for node in graph.node:
            above = set().union(*(self.above(name) | {name} for name in node.input))
            if node.op_type == "Shape":
                # Sizes are no data.
                above = set()
            for out in node.output:
                self.ancestors[out] = above

    def above(self, name):
        return self.ancestors.get(name, set())

    def step_back(self, name):
        """What a block's branch was added to, if this value is such a sum."""
        node = self.producer.get(name)
        if node is None or node.op_type != "Add":
            return None
        a, b = node.input
        if a in self.above(b):
            return a
        return b if b in self.above(a) else None


def stream(graph):
    """The residual stream: the longest chain of sums, from the first value on."""
    index = Graph(graph)
    longest = []
    for node in graph.node:
        chain = [node.output[0]]
        while (before := index.step_back(chain[-1])) is not None:
            chain.append(before)
        longest = max(longest, chain, key=len)
    chain = longest[::-1]
    if len(chain) < 5:
        sys.exit("no chain of residual sums was found")
    return index, chain


def table_of(index, first, model):
    """The sum above the first value of the stream that adds positions to tokens, and the tokens in it."""
    image = model.graph.input[0].name
    for name in [first, *index.above(first)]:
        node = index.producer.get(name)
        if node is None or node.op_type != "Add":
            continue
        fixed = [v for v in node.input if v != image and image not in index.above(v)]
        tokens = [v for v in node.input if v not in fixed]
        if len(fixed) == len(tokens) == 1:
            table = run(showing(model, fixed[0]), noise(model))[-1]
            if table.ndim == 3 and table.shape[1] > 16:
                return name, tokens[0]
    sys.exit(f"no table of positions is added in front of `{first}`")


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def noise(model):
    value = model.graph.input[0]
    sizes = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
    return {value.name: np.random.default_rng(0).standard_normal(sizes).astype(np.float32)}


def without_positions(model, total, tokens):
    """A copy whose tokens are not added to positions."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        if node.output[0] == total:
            node.CopyFrom(helper.make_node("Identity", [tokens], [total], node.name))
    return copy


def showing(model, value):
    """A copy that also returns a value."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if value in {t.name for t in model.graph.initializer}:
        copy.graph.node.append(helper.make_node("Identity", [value], [f"{value}/shown"]))
        value = f"{value}/shown"
    copy.graph.output.append(helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None))
    return copy


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model")
    options.add_argument("out")
    options = options.parse_args()

    model = onnx.load(options.model)
    index, chain = stream(model.graph)
    feeds = noise(model)
    plain = without_positions(model, *table_of(index, chain[0], model))
    # What the table adds to the stream, whatever joins or reorders tokens in between.
    with_table = run(showing(model, chain[0]), feeds)[-1]
    without = run(showing(plain, chain[0]), feeds)[-1]
    plain.graph.initializer.append(numpy_helper.from_array(with_table - without, "positions"))

    nodes = []
    links = {(before, after) for before, after in zip(chain, chain[1:])}
    for node in plain.graph.node:
        for at, name in enumerate(node.input):
            if name in chain and not any((name, out) in links for out in node.output):
                added = f"{name}/with_positions"
                if not any(added in made.output for made in nodes):
                    nodes.append(helper.make_node("Add", [name, "positions"], [added], added))
                node.input[at] = added
        nodes.append(node)
    del plain.graph.node[:]
    plain.graph.node.extend(nodes)

    wanted, got = run(model, feeds), run(plain, feeds)
    error = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(wanted, got))
    if not error <= CLOSE:
        sys.exit(f"with positions in every block the outputs are off by {error:.1e}")
    onnx.save(plain, options.out)
    print(f"{len(chain) // 2} blocks, outputs off by {error:.1e} of the largest", file=sys.stderr)


if __name__ == "__main__":
    main()
