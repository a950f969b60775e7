"""The same operators in PyTorch, written for speed: no loops over tokens, nothing that waits for the device.

Two ways to do most things are given; benchmarks take the faster. Equal distances may be resolved another way than by
the definition, which leaves PyTorch free to use its fastest selection.
"""

import torch


class Windows:
    """What depends on the grid alone, made once: the patches of every window in the order of rank, the weights of
    ranks, the squared distances of all pairs of patches on the grid."""

    def __init__(self, sizes, device):
        height, width, window = sizes["grid_h"], sizes["grid_w"], sizes["window"]
        count = height * width
        self.own = torch.arange(count, device=device)
        y, x = self.own // width, self.own % width
        patches, space = [], []
        # In parts, as all pairs of a large grid are many.
        for part in self.own.split(1024):
            squared = (y[part, None] - y) ** 2 + (x[part, None] - x) ** 2
            # Distances and indices in one number, so that ties go to the lower index.
            order = (squared * count + self.own).topk(min(window, count), largest=False, sorted=True)
            patches.append(order.indices)
            space.append(squared.float())
        self.patches, self.space = torch.cat(patches), torch.cat(space)
        ranks = torch.arange(self.patches.shape[1], dtype=torch.float32)
        mix = sizes["spatial_mix"]
        self.weights = (((1 - mix) * ranks / window + mix) ** 2 / sizes["channels"]).to(device)
        self.earlier = self.patches[:, 1:] < self.own[:, None]


def squared_by_gathering(patches, windows):
    return (patches[:, windows.patches] - patches[:, :, None]).float().square().sum(-1)


def squared_by_products(patches, windows):
    """|a|^2 + |b|^2 - 2ab for all pairs, of which those in windows are picked. In f32: in f16 little would be left of
    the differences."""
    wide = patches.float()
    norms = wide.square().sum(-1)
    pairs = norms[:, :, None] + norms[:, None, :] - 2 * torch.bmm(wide, wide.transpose(1, 2))
    batch = pairs.shape[0]
    return pairs.gather(2, windows.patches.expand(batch, -1, -1)).clamp_min(0)


def density_peaks(metric, sizes, windows, squared=squared_by_products):
    """index [B, T], anchor [B, R], size [B, R]."""
    prefix, suffix = sizes["prefix"], sizes["suffix"]
    batch, count = metric.shape[0], windows.own.numel()
    kept = sizes["tokens"] or max(1, -(-count * sizes["keep_num"] // sizes["keep_den"]))
    patches = metric[:, prefix : prefix + count]

    distance = squared(patches, windows) * windows.weights
    others = distance[..., 1:]
    if sizes["neighbors"] == 1:
        mean = others.amin(-1)
    else:
        mean = others.topk(min(sizes["neighbors"], others.shape[-1]), largest=False).values.mean(-1)
    theirs = mean[:, windows.patches[:, 1:]]
    denser = (theirs < mean[..., None]) | ((theirs == mean[..., None]) & windows.earlier)
    least = torch.where(denser, others, torch.inf).amin(-1)
    least = torch.where(least.isinf(), others.amax((1, 2))[:, None], least)
    score = 0.5 * least.log() - mean

    anchors = score.topk(kept, sorted=False).indices.sort().values
    is_anchor = torch.zeros((batch, count), dtype=torch.bool, device=metric.device).scatter_(1, anchors, True)
    row = is_anchor.cumsum(1, dtype=torch.int32) - 1
    near = torch.where(is_anchor[:, windows.patches], distance, torch.inf)
    value, at = near.min(-1)
    joins = windows.patches.expand(batch, -1, -1).gather(2, at[..., None])[..., 0]
    in_space = anchors.gather(1, windows.space[anchors].argmin(1))
    joins = torch.where(value.isinf(), in_space, joins)
    joins = torch.where(is_anchor, windows.own, joins)
    index = row.gather(1, joins) + prefix

    numbers = torch.arange(max(prefix, suffix, 1), dtype=torch.int32, device=metric.device)
    before, after = numbers[:prefix].expand(batch, -1), numbers[:suffix].expand(batch, -1)
    index = torch.cat([before, index, after + (prefix + kept)], 1)
    anchor = torch.cat([before, anchors.int() + prefix, after + (prefix + count)], 1)
    size = torch.zeros(anchor.shape, device=metric.device)
    size.scatter_add_(1, index.long(), torch.ones(index.shape, device=metric.device))
    return index, anchor, size


def flat(index, rows):
    """Indices into the rows of all images together."""
    batch = index.shape[0]
    return (index + rows * torch.arange(batch, device=index.device)[:, None]).flatten()


def merge_by_adding(x, index, size):
    batch, _, channels = x.shape
    rows = size.shape[1]
    total = torch.zeros((batch * rows, channels), dtype=torch.float32, device=x.device)
    total.index_add_(0, flat(index, rows), x.flatten(0, 1).float())
    return (total / size.flatten()[:, None]).to(x.dtype).view(batch, rows, channels)


def merge_by_products(x, index, size):
    rows = torch.arange(size.shape[1], device=x.device)
    members = (index[:, None, :] == rows[None, :, None]).to(x.dtype)
    return (torch.bmm(members, x).float() / size[..., None]).to(x.dtype)


def unfold_by_selecting(z, index):
    batch, rows, channels = z.shape
    return z.flatten(0, 1).index_select(0, flat(index, rows)).view(batch, -1, channels)


def unfold_by_gathering(z, index):
    return z.gather(1, index.long()[..., None].expand(-1, -1, z.shape[2]))


def unfold_residual(z, start, base, index, unfold=unfold_by_selecting):
    return base + unfold(z - start, index)


# Per operator: the ways there are, by names for a reader.
DENSITY_PEAKS = {"gathered": squared_by_gathering, "matrix products": squared_by_products}
MERGE = {"index_add": merge_by_adding, "matrix products": merge_by_products}
UNFOLD = {"index_select": unfold_by_selecting, "gather": unfold_by_gathering}
