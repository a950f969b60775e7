"""A Vision Transformer with Segmenter's decoder in PyTorch, with nothing but what costs time."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*qkv).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(attended)
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))

    def mean_keys(self):
        """The matrix that makes the mean of all heads' keys; its bias moves all tokens alike."""
        width = self.out.in_features
        return self.qkv.weight[width : 2 * width].view(self.heads, -1, width).mean(0)


class Segmenter(nn.Module):
    """`merging` acts between blocks, see merging.py; None for the model as it is."""

    def __init__(self, m):
        super().__init__()
        self.patches = nn.Conv2d(3, m.width, m.patch, m.patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, m.width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 1 + m.side**2, m.width) * 0.02)
        self.blocks = nn.ModuleList(Block(m.width, m.heads) for _ in range(m.depth))
        self.norm = nn.LayerNorm(m.width)
        self.project, self.queries = (
            nn.Linear(m.width, m.width),
            nn.Parameter(torch.randn(1, m.classes, m.width) * 0.02),
        )
        self.decoder = nn.ModuleList(Block(m.width, m.heads) for _ in range(2))
        self.decoder_norm, self.mask_norm = nn.LayerNorm(m.width), nn.LayerNorm(m.classes)
        self.to_patch, self.to_class = (nn.Linear(m.width, m.width, bias=False) for _ in range(2))
        self.side, self.pixels = m.side, m.pixels

    def encode(self, image, merging):
        batch = image.shape[0]
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(batch, -1, -1), x], 1) + self.position
        for number, block in enumerate(self.blocks):
            if merging is not None and number == merging.cut:
                x = merging.reduce(x, block)
            x = block(x)
        if merging is not None:
            x = merging.restore(x)
        return self.norm(x)

    def forward(self, image, merging=None):
        batch, classes = image.shape[0], self.queries.shape[1]
        x = self.project(self.encode(image, merging)[:, 1:])
        x = torch.cat([x, self.queries.expand(batch, -1, -1)], 1)
        for block in self.decoder:
            x = block(x)
        x = self.decoder_norm(x)
        patches = F.normalize(self.to_patch(x[:, :-classes]), dim=-1)
        queries = F.normalize(self.to_class(x[:, -classes:]), dim=-1)
        masks = self.mask_norm(patches @ queries.transpose(1, 2))
        masks = masks.transpose(1, 2).reshape(batch, classes, self.side, self.side)
        return F.interpolate(masks, (self.pixels, self.pixels), mode="bilinear")
