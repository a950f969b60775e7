"""What acts between the blocks of a model: after block `cut` the stream becomes shorter, and where the encoder ends
every token receives the update of its cluster. By AiluRus or Expedit, by our kernels or by the same operators in
PyTorch."""

import torch.nn.functional as F

import grid_torch
import operators_torch as ops
import workloads


class Merging:
    def __init__(self, cut, sizes):
        self.cut, self.sizes, self.keys = cut, sizes, None

    def metric(self, x, block):
        """The mean of the keys of all heads of the next block."""
        if self.keys is None:
            # A constant of the model, as it is in a rewritten file.
            self.keys = block.mean_keys().contiguous()
        return F.linear(block.norm1(x), self.keys)


class Ours(Merging):
    """Memory is taken once. What `unfold_residual` needs stands in `unfold` from `reduce` on."""

    def __init__(self, device, element, cut, sizes, width, clustering):
        super().__init__(cut, sizes)
        self.device, self.element = device, element
        self.found = device.outputs(clustering, element, sizes)
        index = self.found["index"]
        self.dims = {"batch": index.shape[0], "tokens": index.shape[1], "channels": width}

    def restore(self, z):
        # In place: the stream at the cut is not needed again.
        tensors = {"z": z.contiguous(), **self.unfold, "y": self.unfold["base"]}
        self.device.enqueue("unfold_residual", self.element, self.dims, tensors)
        return tensors["y"]


class OurAilurus(Ours):
    def __init__(self, device, element, cut, sizes, width):
        super().__init__(device, element, cut, sizes, width, "density_peaks")
        self.dims |= {"rows": self.found["size"].shape[1], "choices": 1, "weighted": False}
        self.merged = device.outputs("merge", element, self.dims)

    def reduce(self, x, block):
        x, metric = x.contiguous(), self.metric(x, block).contiguous()
        self.device.enqueue("density_peaks", self.element, self.sizes, {"metric": metric, **self.found})
        index, start = self.found["index"], self.merged["y"]
        tensors = {"x": x, "index": index, "size": self.found["size"], "y": start}
        self.device.enqueue("merge", self.element, self.dims, tensors)
        self.unfold = {"start": start, "base": x, "index": index}
        return start


class OurExpedit(Ours):
    def __init__(self, device, element, cut, sizes, width):
        super().__init__(device, element, cut, sizes, width, "grid_kmeans")
        self.dims |= {"rows": self.found["z"].shape[1], "choices": self.found["index"].shape[2], "weighted": True}

    def reduce(self, x, block):
        x = x.contiguous()
        self.device.enqueue("grid_kmeans", self.element, self.sizes, {"x": x, **self.found})
        found = self.found
        self.unfold = {"start": found["z"], "base": x, "index": found["index"], "weight": found["weight"]}
        return found["z"]


class TorchAilurus(Merging):
    def __init__(self, device, cut, sizes):
        super().__init__(cut, sizes)
        self.windows = ops.Windows(sizes, device.name)

    def reduce(self, x, block):
        self.index, _, size = ops.density_peaks(self.metric(x, block), self.sizes, self.windows)
        self.base, self.start = x, ops.merge_by_products(x, self.index, size)
        return self.start

    def restore(self, z):
        return ops.unfold_residual(z, self.start, self.base, self.index)


class TorchExpedit(Merging):
    def __init__(self, device, cut, sizes):
        super().__init__(cut, sizes)
        self.cells = grid_torch.Cells(sizes, device.name)

    def reduce(self, x, block):
        self.base = x
        self.start, self.index, self.weight = grid_torch.grid_kmeans(x, self.sizes, self.cells, x.dtype)
        return self.start

    def restore(self, z):
        return self.base + grid_torch.unfold(z - self.start, self.index, self.weight)


def both(method, device, element, model, batch, cut, keep):
    """By our kernels, and by PyTorch."""
    sizes = workloads.clustering(batch, model.side, model.side, keep_num=keep[0], keep_den=keep[1])
    sizes["channels"] = model.width // model.heads
    if method == "Expedit":
        sizes = workloads.gridded(sizes, model.width)
        return OurExpedit(device, element, cut, sizes, model.width), TorchExpedit(device, cut, sizes)
    return OurAilurus(device, element, cut, sizes, model.width), TorchAilurus(device, cut, sizes)
