"""The numbers that cases are made of: the same here and in crates/ailurus-cuda/tests/common/cases.rs."""

import numpy as np


def bits(seed, count):
    """Pseudo-random words of 32 bits: SplitMix64 of seed and position."""
    with np.errstate(over="ignore"):
        z = (np.arange(count, dtype=np.uint64) + np.uint64((seed << 32) + 1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)


def uniform(seed, count):
    """Numbers in -1..1 with 24 bits."""
    return (bits(seed, count) >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def narrow(values, element):
    """Rounds to an element type, to nearest and ties to even. There is no bfloat16 in NumPy: its bits stand for it."""
    if element == "f16":
        return values.astype(np.float16)
    if element == "bf16":
        words = values.view(np.uint32)
        rounded = (words + np.uint32(0x7FFF) + ((words >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
        return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype(np.uint16)
    return values


def widen(raw, kind):
    """Bytes of a tensor as numbers."""
    if kind == "bf16":
        return (raw.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    return raw.view({"f32": np.float32, "f16": np.float16, "i32": np.int32}[kind])


def make(spec, shape, element, sizes):
    """The tensor that a case describes by `kind` and, but for some, `seed`."""
    count = int(np.prod(shape))
    kind, seed = spec["kind"], spec.get("seed")
    if kind == "uniform":
        made = narrow(uniform(seed, count), element)
    elif kind == "tied":
        # Few values, so that distances are equal.
        made = narrow(np.floor(uniform(seed, count) * np.float32(2)), element)
    elif kind == "nan":
        made = narrow(np.full(count, np.nan, np.float32), element)
    elif kind == "weights":
        made = uniform(seed, count)
    elif kind == "rows":
        made = (bits(seed, count) % np.uint32(sizes["rows"])).astype(np.int32)
    elif kind == "clusters":
        # No row is empty: token t of the first ones is in row t.
        drawn = (bits(seed, count) % np.uint32(sizes["rows"])).astype(np.int32).reshape(shape)
        own = np.arange(sizes["tokens"], dtype=np.int32)
        made = np.where(own < sizes["rows"], own, drawn)
    elif kind == "counts":
        index = make({"kind": "clusters", "seed": seed}, (shape[0], sizes["tokens"]), element, sizes)
        made = np.stack([np.bincount(image, minlength=shape[1]) for image in index]).astype(np.float32)
    else:
        raise ValueError(f"no such kind of values: {kind}")
    return made.reshape(shape)
