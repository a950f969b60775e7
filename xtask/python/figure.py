#!/usr/bin/env python3
"""One row per image: the image, the original model's output, the rewritten model's output, the clusters.

    figure.py --out results.png --row TASK IMAGE BASE MODEL CLUSTERS [--row ...]

CLUSTERS is a picture of the clusters on the image, or - to leave it out.
"""
import argparse

import numpy as np
from PIL import Image

import vision

# Class colours as the CamVid data set draws them: sky, building, pole, road, pavement, tree, sign, fence, car,
# pedestrian, bicyclist.
PALETTE = np.array(
    [[128, 128, 128], [128, 0, 0], [192, 192, 128], [128, 64, 128], [60, 40, 222], [128, 128, 0], [192, 128, 128],
     [64, 64, 128], [64, 0, 128], [64, 64, 0], [0, 128, 192]], np.uint8)
DEFAULT_SIZE = {"ecssd": (518, 518), "camvid": (364, 476)}


def picture(task, out):
    """A model's output as an image."""
    if task == "camvid":
        return Image.fromarray(PALETTE[out[0].argmax(0)])
    out = out.reshape(out.shape[-2:])
    return Image.fromarray((np.clip(out, 0, 1) * 255).astype(np.uint8)).convert("RGB")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    p.add_argument("--row", nargs=5, action="append", required=True, metavar=("TASK", "IMAGE", "BASE", "MODEL", "CLUSTERS"))
    p.add_argument("--height", type=int, default=280)
    o = p.parse_args()
    gap, rows = 6, []
    for task, image, base, model, clusters in o.row:
        image, base, model = Image.open(image).convert("RGB"), vision.session(base), vision.session(model)
        size = vision.input_size(base, DEFAULT_SIZE[task])
        x = vision.tensor(image, size)
        panels = [image, picture(task, vision.run(base, x)), picture(task, vision.run(model, x))]
        if clusters != "-":
            panels.append(Image.open(clusters).convert("RGB"))
        width = o.height * size[1] // size[0]
        rows.append([panel.resize((width, o.height), Image.BILINEAR) for panel in panels])
    width = max(sum(p.width + gap for p in row) for row in rows) - gap
    sheet = Image.new("RGB", (width, len(rows) * (o.height + gap) - gap), "white")
    for y, row in enumerate(rows):
        x = 0
        for panel in row:
            sheet.paste(panel, (x, y * (o.height + gap)))
            x += panel.width + gap
    sheet.save(o.out)


if __name__ == "__main__":
    main()
