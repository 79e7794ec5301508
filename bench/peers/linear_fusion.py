"""The Linear Fusion model written plainly in PyTorch eager, as the authors wrote it.

Slow spots included: each shared module is called once per modality, attention is
matmul-softmax-matmul, the depthwise convolution copies its layout there and back, masking stacks
the streams and indexes with booleans, every prediction is upsampled to full size.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

BACKBONES = {
    "mit_b0": ([32, 64, 160, 256], [2, 2, 2, 2]),
    "mit_b1": ([64, 128, 320, 512], [2, 2, 2, 2]),
    "mit_b2": ([64, 128, 320, 512], [3, 4, 6, 3]),
    "mit_b3": ([64, 128, 320, 512], [3, 4, 18, 3]),
    "mit_b4": ([64, 128, 320, 512], [3, 8, 27, 3]),
    "mit_b5": ([64, 128, 320, 512], [3, 6, 40, 3]),
}
HEADS = [1, 2, 5, 8]
REDUCTIONS = [8, 4, 2, 1]


class ModuleParallel(nn.Module):
    """One module with shared weights, called once per modality."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, xs):
        return [self.module(x) for x in xs]


class LayerNormParallel(nn.Module):
    """One LayerNorm per modality."""

    def __init__(self, channels, modalities):
        super().__init__()
        for m in range(modalities):
            setattr(self, f"ln_{m}", nn.LayerNorm(channels, eps=1e-6))

    def forward(self, xs):
        return [getattr(self, f"ln_{m}")(x) for m, x in enumerate(xs)]


class DropPath(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1 - self.rate
        mask = keep + torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), dtype=x.dtype, device=x.device)
        return x.div(keep) * mask.floor_()


class PatchEmbed(nn.Module):
    def __init__(self, kernel, stride, in_channels, channels, modalities):
        super().__init__()
        self.proj = ModuleParallel(
            nn.Conv2d(in_channels, channels, kernel, stride=stride, padding=kernel // 2)
        )
        self.norm = LayerNormParallel(channels, modalities)
        self.mask_token = nn.Parameter(torch.zeros(channels))

    def forward(self, xs, branches=None, ratio=1.0):
        xs = self.proj(xs)
        height, width = xs[0].shape[2:]
        xs = [x.flatten(2).transpose(1, 2) for x in xs]
        xs = self.norm(xs)
        if branches is not None:
            tokens = torch.stack(xs, dim=1)  # [B, M, N, C]
            mask = torch.zeros(tokens.shape[:3], dtype=torch.bool, device=tokens.device)
            for sample, branch in enumerate(branches):
                if branch >= 0:
                    mask[sample, branch] = torch.rand(tokens.shape[2], device=tokens.device) < ratio
            tokens[mask] = self.mask_token
            xs = [tokens[:, m] for m in range(len(xs))]
        return xs, height, width


class DWConv(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x, height, width):
        batch, _, channels = x.shape
        x = x.transpose(1, 2).contiguous().view(batch, channels, height, width)
        return self.dwconv(x).flatten(2).transpose(1, 2)


class Mlp(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = ModuleParallel(nn.Linear(channels, hidden))
        self.dwconv = DWConv(hidden)
        self.fc2 = ModuleParallel(nn.Linear(hidden, channels))
        self.act = ModuleParallel(nn.GELU())

    def forward(self, xs, height, width):
        xs = self.fc1(xs)
        xs = [self.dwconv(x, height, width) for x in xs]
        return self.fc2(self.act(xs))


class Attention(nn.Module):
    def __init__(self, channels, heads, reduction, modalities, fusion_ratio):
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.reduction = reduction
        self.fusion_ratio = fusion_ratio
        self.q = ModuleParallel(nn.Linear(channels, channels))
        self.kv = ModuleParallel(nn.Linear(channels, channels * 2))
        self.proj = ModuleParallel(nn.Linear(channels, channels))
        if reduction > 1:
            self.sr = ModuleParallel(nn.Conv2d(channels, channels, reduction, stride=reduction))
            self.norm = LayerNormParallel(channels, modalities)

    def forward(self, xs, height, width):
        batch, count, channels = xs[0].shape
        qs = self.q(xs)
        qs = [q.reshape(batch, count, self.heads, -1).permute(0, 2, 1, 3) for q in qs]
        if self.reduction > 1:
            reduced = [x.permute(0, 2, 1).reshape(batch, channels, height, width) for x in xs]
            reduced = self.sr(reduced)
            reduced = [x.reshape(batch, channels, -1).permute(0, 2, 1) for x in reduced]
            kvs = self.kv(self.norm(reduced))
        else:
            kvs = self.kv(xs)
        kvs = [kv.reshape(batch, -1, 2, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4) for kv in kvs]
        outs = []
        for q, kv in zip(qs, kvs):
            key, value = kv[0], kv[1]
            weights = (q @ key.transpose(-2, -1)) * self.scale
            weights = weights.softmax(dim=-1)
            outs.append((weights @ value).transpose(1, 2).reshape(batch, count, channels))
        return self.fuse(self.proj(outs))

    def fuse(self, xs):
        own, rest = self.fusion_ratio, (1 - self.fusion_ratio) / max(len(xs) - 1, 1)
        if len(xs) == 1:
            return xs
        return [own * x + sum(rest * o for j, o in enumerate(xs) if j != m) for m, x in enumerate(xs)]


class Block(nn.Module):
    def __init__(self, channels, heads, reduction, drop_path, modalities, fusion_ratio):
        super().__init__()
        self.norm1 = LayerNormParallel(channels, modalities)
        self.attn = Attention(channels, heads, reduction, modalities, fusion_ratio)
        self.drop_path = ModuleParallel(DropPath(drop_path))
        self.norm2 = LayerNormParallel(channels, modalities)
        self.mlp = Mlp(channels, channels * 4)

    def forward(self, xs, height, width):
        deltas = self.drop_path(self.attn(self.norm1(xs), height, width))
        xs = [x + delta for x, delta in zip(xs, deltas)]
        deltas = self.drop_path(self.mlp(self.norm2(xs), height, width))
        return [x + delta for x, delta in zip(xs, deltas)]


class Encoder(nn.Module):
    def __init__(self, backbone, modalities, fusion_ratio, drop_path):
        super().__init__()
        channels, depths = BACKBONES[backbone]
        rates = torch.linspace(0, drop_path, sum(depths)).tolist()
        for i in range(4):
            kernel, stride, below = (7, 4, 3) if i == 0 else (3, 2, channels[i - 1])
            setattr(self, f"patch_embed{i + 1}", PatchEmbed(kernel, stride, below, channels[i], modalities))
            blocks = [
                Block(channels[i], HEADS[i], REDUCTIONS[i], rates.pop(0), modalities, fusion_ratio)
                for _ in range(depths[i])
            ]
            setattr(self, f"block{i + 1}", nn.ModuleList(blocks))
            setattr(self, f"norm{i + 1}", LayerNormParallel(channels[i], modalities))

    def forward(self, xs, branches, ratio):
        batch = xs[0].shape[0]
        features = []
        for i in range(1, 5):
            embed = getattr(self, f"patch_embed{i}")
            xs, height, width = embed(xs, branches, ratio) if i == 1 else embed(xs)
            for block in getattr(self, f"block{i}"):
                xs = block(xs, height, width)
            xs = getattr(self, f"norm{i}")(xs)
            xs = [x.reshape(batch, height, width, -1).permute(0, 3, 1, 2).contiguous() for x in xs]
            features.append(xs)
        return features  # four stages of M maps


class LinearEmbedding(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        self.proj = nn.Linear(in_channels, channels)

    def forward(self, x):
        return self.proj(x.flatten(2).transpose(1, 2))


class ConvNormReLU(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Decoder(nn.Module):
    def __init__(self, backbone, classes, dropout, width=256):
        super().__init__()
        for i, channels in enumerate(BACKBONES[backbone][0]):
            setattr(self, f"linear_c{i + 1}", LinearEmbedding(channels, width))
        self.linear_fuse = ConvNormReLU(4 * width, width)
        self.dropout = nn.Dropout2d(dropout)
        self.linear_pred = nn.Conv2d(width, classes, 1)

    def forward(self, stages):
        size = stages[0].shape[2:]
        maps = []
        for i in (4, 3, 2, 1):
            c = stages[i - 1]
            x = getattr(self, f"linear_c{i}")(c)
            x = x.permute(0, 2, 1).reshape(c.shape[0], -1, *c.shape[2:])
            maps.append(F.interpolate(x, size=size, mode="bilinear", align_corners=False))
        return self.linear_pred(self.dropout(self.linear_fuse(torch.cat(maps, dim=1))))


class LinearFusion(nn.Module):
    def __init__(self, backbone, classes, modalities=2, fusion_ratio=0.8, drop_path=0.1, dropout=0.1):
        super().__init__()
        self.encoder = Encoder(backbone, modalities, fusion_ratio, drop_path)
        self.decoder = Decoder(backbone, classes, dropout)
        self.alpha = nn.Parameter(torch.ones(modalities))
        self.apply(initialise)
        for i in range(1, 5):
            nn.init.normal_(getattr(self.encoder, f"patch_embed{i}").mask_token)

    def forward(self, xs, branches=None, ratio=1.0):
        """xs: M × [B,3,H,W]; branches: per sample the masked modality or -1. M + 1 full-size logits."""
        size = xs[0].shape[2:]
        features = self.encoder(xs, branches, ratio)
        predictions = [self.decoder([stage[m] for stage in features]) for m in range(len(xs))]
        weights = F.softmax(self.alpha, dim=0)
        predictions.append(sum(w * p.detach() for w, p in zip(weights, predictions)))
        return [F.interpolate(p, size=size, mode="bilinear", align_corners=True) for p in predictions]


def initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
