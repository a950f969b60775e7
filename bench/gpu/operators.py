"""The operators: which tensors each takes and gives, how the launcher is asked for it, and the bytes it has to move.

An operator is one class here and its name in OPERATORS. `sizes` is a dict of numbers, `t` a dict of addresses by the
names of the tensors. A tensor is described by its shape and its type; "E" is the element type of the call.
"""

import ctypes

ELEMENTS = {"f32": 4, "f16": 2, "bf16": 2}
WIDTHS = {**ELEMENTS, "i32": 4}


class Operator:
    elements = tuple(ELEMENTS)

    def workspace(self, launcher, element, s):
        """Bytes of memory that a call needs besides its tensors."""
        return 0

    def bytes(self, element, s):
        """Bytes that have to be read and written at least."""
        tensors = {**self.inputs(s), **self.outputs(s)}.values()
        width = lambda kind: WIDTHS[element if kind == "E" else kind]
        return sum(width(kind) * product(shape) for shape, kind in tensors)


def product(shape):
    count = 1
    for size in shape:
        count *= size
    return count


class Clustering(Operator):
    """What clusters the patches of a grid."""

    @staticmethod
    def patches(s):
        return s["grid_h"] * s["grid_w"]

    def tokens(self, s):
        return s["prefix"] + self.patches(s) + s["suffix"]

    def workspace(self, launcher, element, s):
        needed = ctypes.c_size_t()
        params = launcher.params(self.name, s)
        kind = launcher.constant(element.upper())
        launcher.call(f"{self.name}_workspace", params, s["batch"], s["channels"], kind, ctypes.byref(needed))
        return needed.value


class DensityPeaks(Clustering):
    name = "density_peaks"

    def rows(self, s):
        kept = s["tokens"] or max(1, -(-self.patches(s) * s["keep_num"] // s["keep_den"]))
        return s["prefix"] + kept + s["suffix"]

    def inputs(self, s):
        return {"metric": ((s["batch"], self.tokens(s), s["channels"]), "E")}

    def outputs(self, s):
        rows = (s["batch"], self.rows(s))
        return {"index": ((s["batch"], self.tokens(s)), "i32"), "anchor": (rows, "i32"), "size": (rows, "f32")}

    def enqueue(self, launcher, element, s, t, stream):
        launcher.call(
            self.name, launcher.params(self.name, s), launcher.constant(element.upper()), s["batch"], s["channels"],
            t["metric"], t["index"], t["anchor"], t["size"], t["workspace"], t["workspace_bytes"], stream,
        )  # fmt: skip

    def bytes(self, element, s):
        # The table of windows once, the distances in windows written once and read twice; see docs/cuda.md.
        patches, window = self.patches(s), min(s["window"], self.patches(s))
        return 4 * patches * window + s["batch"] * patches * (s["channels"] * ELEMENTS[element] + 20 * window + 4)


class GridKMeans(Clustering):
    name = "grid_kmeans"
    elements = ("f32", "f16")

    def inputs(self, s):
        return {"x": ((s["batch"], self.tokens(s), s["channels"]), "E")}

    def outputs(self, s):
        clusters = s["cluster_h"] * s["cluster_w"]
        rows = s["prefix"] + clusters + s["suffix"]
        choices = (s["batch"], self.tokens(s), min(s["neighbors"] + s["ties"], clusters))
        return {"z": ((s["batch"], rows, s["channels"]), "E"), "index": (choices, "i32"), "weight": (choices, "f32")}

    def enqueue(self, launcher, element, s, t, stream):
        launcher.call(
            self.name, launcher.params(self.name, s), launcher.constant(element.upper()), s["batch"], s["channels"],
            t["x"], t["z"], t["index"], t["weight"], t["workspace"], t["workspace_bytes"], stream,
        )  # fmt: skip


class Merge(Operator):
    name = "merge"

    def inputs(self, s):
        return {
            "x": ((s["batch"], s["tokens"], s["channels"]), "E"),
            "index": ((s["batch"], s["tokens"]), "i32"),
            "size": ((s["batch"], s["rows"]), "f32"),
        }

    def outputs(self, s):
        return {"y": ((s["batch"], s["rows"], s["channels"]), "E")}

    def enqueue(self, launcher, element, s, t, stream):
        launcher.call(
            self.name, launcher.constant(element.upper()), s["batch"], s["tokens"], s["rows"], s["channels"],
            t["x"], t["index"], t["size"], t["y"], stream,
        )  # fmt: skip


class Unfold(Operator):
    name = "unfold"

    def inputs(self, s):
        choices = (s["batch"], s["tokens"], s["choices"])
        tensors = {"z": ((s["batch"], s["rows"], s["channels"]), "E"), "index": (choices, "i32")}
        return {**tensors, "weight": (choices, "f32")} if s["weighted"] else tensors

    def outputs(self, s):
        return {"y": ((s["batch"], s["tokens"], s["channels"]), "E")}

    def enqueue(self, launcher, element, s, t, stream):
        launcher.call(
            self.name, launcher.constant(element.upper()), s["batch"], s["rows"], s["tokens"], s["choices"],
            s["channels"], t["z"], t["index"], t.get("weight"), t["y"], stream,
        )  # fmt: skip


class UnfoldResidual(Unfold):
    name = "unfold_residual"

    def inputs(self, s):
        rows, tokens = (s["batch"], s["rows"], s["channels"]), (s["batch"], s["tokens"], s["channels"])
        return {**super().inputs(s), "start": (rows, "E"), "base": (tokens, "E")}

    def enqueue(self, launcher, element, s, t, stream):
        launcher.call(
            self.name, launcher.constant(element.upper()), s["batch"], s["rows"], s["tokens"], s["choices"],
            s["channels"], t["z"], t["start"], t["base"], t["index"], t.get("weight"), t["y"], stream,
        )  # fmt: skip


ALL = (DensityPeaks(), GridKMeans(), Merge(), Unfold(), UnfoldResidual())
OPERATORS = {operator.name: operator for operator in ALL}
