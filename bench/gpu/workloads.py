"""The sizes that are compared and timed. `small` is for rehearsals on a processor, `usual` takes a few minutes."""

# Clustering as rewritten models do it by default, on the head-mean keys.
DEFAULTS = {
    "prefix": 1,
    "suffix": 0,
    "tokens": 0,
    "keep_num": 1,
    "keep_den": 2,
    "neighbors": 1,
    "window": 24,
    "spatial_mix": 0.5,
    "channels": 64,
}


def clustering(batch, grid_h, grid_w, **more):
    return {**DEFAULTS, "batch": batch, "grid_h": grid_h, "grid_w": grid_w, **more}


# Expedit by its defaults; channels are those of the stream.
GRID = {
    "prefix": 1,
    "suffix": 0,
    "iterations": 5,
    "window": 5,
    "neighbors": 4,
    "ties": 0,
    "temperature": 5.0,
    "temperature_mode": 1,
    "norm": 0,
}


def gridding(batch, grid_h, grid_w, cluster_h, cluster_w, channels, **more):
    sizes = {"batch": batch, "grid_h": grid_h, "grid_w": grid_w, "cluster_h": cluster_h, "cluster_w": cluster_w}
    return {**GRID, **sizes, "channels": channels, **more}


def gridded(clustering, channels):
    """Grid k-means that keeps about as many rows."""
    kept = (clustering["keep_num"] / clustering["keep_den"]) ** 0.5
    height, width = clustering["grid_h"], clustering["grid_w"]
    clusters = round(height * kept), round(width * kept)
    return gridding(clustering["batch"], height, width, *clusters, channels)


def to_check(size):
    """Clusterings, and the channels of the streams that are merged along them."""
    found = [(clustering(2, 9, 11), 40), (clustering(1, 7, 7, suffix=3, neighbors=2, tokens=20), 33)]
    if size != "small":
        found += [(clustering(8, 40, 40), 1024), (clustering(2, 64, 64, keep_den=4), 384)]
    return found


def to_time(size):
    """(name, batch, side of the grid, width of the stream)."""
    if size == "small":
        return [("tiny", 1, 6, 32)]
    found = [("ViT-L, 640 px", 8, 40, 1024), ("ViT-L, 640 px", 1, 40, 1024)]
    if size == "large":
        found += [("ViT-L, 512 px", 32, 32, 1024), ("ViT-B, 1024 px", 4, 64, 768), ("ViT-S, 2048 px", 1, 128, 384)]
    return found


class Model:
    """A ViT with Segmenter's decoder."""

    def __init__(self, name, pixels, patch, width, heads, depth, classes):
        self.name, self.pixels, self.patch, self.width = name, pixels, patch, width
        self.heads, self.depth, self.classes = heads, depth, classes
        self.side = pixels // patch


def model(size):
    if size == "small":
        return Model("tiny", 64, 16, 64, 4, 4, 5)
    return Model("ViT-L/16, 640 px, Segmenter's decoder", 640, 16, 1024, 16, 24, 150)


def end_to_end(size):
    """Batches, and what is done: (method, cut after block, share of the patches kept)."""
    half, quarter = (1, 2), (1, 4)
    if size == "small":
        return [1], [("AiluRus", 2, half), ("Expedit", 2, half)]
    cuts = [("AiluRus", 4, half), ("AiluRus", 8, half), ("AiluRus", 8, quarter), ("AiluRus", 12, quarter)]
    cuts += [("Expedit", 8, half), ("Expedit", 8, quarter)]
    if size == "usual":
        return [1, 8], cuts
    return [1, 2, 4, 8, 16, 32], cuts + [("AiluRus", 2, half), ("AiluRus", 4, quarter), ("AiluRus", 16, quarter)]
