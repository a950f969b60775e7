"""AilurusGridKMeans in PyTorch, by matrix products over all pairs of patches and centres: they are many more than a
patch looks at, and still faster than gathering the centres around every patch."""

import torch
import torch.nn.functional as F

LEAST_NEAREST, LEAST_WEIGHT = 1e-30, 1e-16


class Cells:
    """What depends on the grids alone, made once: which centres a patch looks at."""

    def __init__(self, sizes, device):
        cells = []
        for cells_there, patches in (("cluster_h", "grid_h"), ("cluster_w", "grid_w")):
            scale = torch.tensor(sizes[cells_there] / sizes[patches], dtype=torch.float32)
            cell = (torch.arange(sizes[patches], dtype=torch.float32) * scale).floor().long()
            near = cell[:, None] - torch.arange(sizes[cells_there])[None, :]
            cells.append(near.abs() <= sizes["window"] // 2)
        rows, columns = cells
        looks = rows[:, None, :, None] & columns[None, :, None, :]
        outside = torch.where(looks.reshape(rows.shape[0] * columns.shape[0], -1), 0.0, torch.inf)
        self.outside = outside.to(device)


def squared(x, centres, dtype):
    """Squared distances of all pairs, in f32; the products are of `dtype`."""
    products = torch.bmm(x.to(dtype), centres.to(dtype).transpose(1, 2)).float()
    x, centres = x.float(), centres.float()
    return (x.square().sum(-1)[:, :, None] + centres.square().sum(-1)[:, None, :] - 2 * products).clamp_min(0)


def sharpness(sizes, least):
    if sizes["temperature_mode"] == 0:
        return sizes["temperature"]
    return (sizes["temperature"] / least.mean(1).clamp_min(LEAST_NEAREST))[:, None, None]


def grid_kmeans(x, sizes, cells, dtype=torch.float32):
    """z [B, R, C], index [B, T, K], weight [B, T, K]."""
    prefix, height, width = sizes["prefix"], sizes["grid_h"], sizes["grid_w"]
    batch, count = x.shape[0], height * width
    before, patches, after = x.split([prefix, count, x.shape[1] - prefix - count], 1)
    wide = patches.float()

    grid = wide.transpose(1, 2).reshape(batch, -1, height, width)
    centres = F.adaptive_avg_pool2d(grid, (sizes["cluster_h"], sizes["cluster_w"])).flatten(2).transpose(1, 2)
    for _ in range(sizes["iterations"]):
        distance = squared(patches, centres, dtype) + cells.outside
        least = distance.amin(-1)
        weights = torch.softmax(-sharpness(sizes, least) * distance, -1)
        total = weights.sum(1).clamp_min(LEAST_WEIGHT)
        centres = torch.bmm(weights.transpose(1, 2).to(dtype), patches.to(dtype)).float() / total[..., None]

    near, index = squared(patches, centres, dtype).topk(sizes["neighbors"], largest=False)
    weight = torch.exp(-sharpness(sizes, near[..., 0]) * (near - near[..., :1]))
    norm = weight.sum(-1, keepdim=True) if sizes["norm"] == 0 else weight.norm(dim=-1, keepdim=True)
    weight = weight / norm

    z = torch.cat([before, centres.to(x.dtype), after], 1)
    rows = torch.arange(z.shape[1], dtype=torch.int32, device=x.device)
    alone = torch.zeros((batch, 1, sizes["neighbors"]), device=x.device)
    alone[..., 0] = 1
    own = [rows[:prefix], rows[z.shape[1] - after.shape[1] :]]
    first, last = (r[None, :, None].expand(batch, -1, sizes["neighbors"]) for r in own)
    index = torch.cat([first, index.int() + prefix, last], 1)
    weight = torch.cat([alone.expand(-1, prefix, -1), weight, alone.expand(-1, after.shape[1], -1)], 1)
    return z, index, weight


def unfold(z, index, weight):
    """y_t = sum over k of w_tk z[index_tk], as one matrix product: dense, but all of it on the matrix units."""
    batch, tokens, _ = index.shape
    whole = torch.zeros((batch, tokens, z.shape[1]), dtype=torch.float32, device=z.device)
    whole.scatter_add_(2, index.long(), weight)
    return torch.bmm(whole.to(z.dtype), z)


WAYS = {"matrix products in f32": torch.float32, "matrix products in f16": torch.float16}
