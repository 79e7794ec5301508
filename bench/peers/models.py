"""The other models of the benchmark written plainly in PyTorch eager, as the papers' authors wrote them.

On the parts of linear_fusion.py, slow spots included: an encoder or a module is called once per modality,
tokens and channels are exchanged by boolean indexing. Forward: M × [B,3,H,W] to full-size logits of every
head, and what the loss gains beside.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from linear_fusion import Decoder, Encoder, LayerNormParallel, ModuleParallel

def full(logits, size):
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=True)


def with_ensemble(predictions, alpha, size):
    weights = F.softmax(alpha, dim=0)
    ensemble = sum(w * p.detach() for w, p in zip(weights, predictions))
    return [full(p, size) for p in [*predictions, ensemble]]


class ScorePredictor(nn.Module):
    def __init__(self, channels, modalities):
        super().__init__()
        self.score_nets = nn.ModuleList([
            nn.Sequential(
                nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU(),
                nn.Linear(channels, channels // 2), nn.GELU(),
                nn.Linear(channels // 2, channels // 4), nn.GELU(),
                nn.Linear(channels // 4, 2), nn.LogSoftmax(dim=-1),
            )
            for _ in range(modalities)
        ])

    def forward(self, xs):
        return [F.softmax(net(x), dim=-1)[:, :, 0] for net, x in zip(self.score_nets, xs)]


def exchange_tokens(xs, scores, threshold):
    xs = [x * score.unsqueeze(2) for x, score in zip(xs, scores)]
    outs = []
    for m, x in enumerate(xs):
        low = scores[m] < threshold
        out = torch.zeros_like(x)
        out[~low] = x[~low]
        out[low] = (sum(o for j, o in enumerate(xs) if j != m) / (len(xs) - 1))[low]
        outs.append(out)
    return outs


class TokenFusion(nn.Module):
    threshold, weight = 0.02, 1e-4

    def __init__(self, backbone, classes, modalities=2, mask_token=False):
        super().__init__()
        self.encoder = Encoder(backbone, modalities, 1.0, 0.0)
        channels = [getattr(self.encoder, f"patch_embed{i}").mask_token.numel() for i in range(1, 5)]
        if not mask_token:
            for i in range(1, 5):
                getattr(self.encoder, f"patch_embed{i}").mask_token = None
        self.encoder.score_predictor = nn.ModuleList([ScorePredictor(c, modalities) for c in channels])
        self.decoder = Decoder(backbone, classes, 0.0)
        self.alpha = nn.Parameter(torch.ones(modalities))

    def forward(self, xs):
        size, batch = xs[0].shape[2:], xs[0].shape[0]
        encoder, stages, penalty = self.encoder, [], 0.0
        for i in range(1, 5):
            xs, height, width = getattr(encoder, f"patch_embed{i}")(xs)
            for block in getattr(encoder, f"block{i}"):
                scores = encoder.score_predictor[i - 1](xs)
                block.attn.fuse = lambda outs: exchange_tokens(outs, scores, self.threshold)
                xs = block(xs, height, width)
                penalty = penalty + sum(score.abs().sum() for score in scores)
            xs = getattr(encoder, f"norm{i}")(xs)
            xs = [x.reshape(batch, height, width, -1).permute(0, 3, 1, 2).contiguous() for x in xs]
            stages.append(xs)
        predictions = [self.decoder([stage[m] for stage in stages]) for m in range(len(xs))]
        return with_ensemble(predictions, self.alpha, size), self.weight * penalty / batch


class Rectification(nn.Module):
    def __init__(self, channels, modalities):
        super().__init__()
        every = channels * modalities
        self.channel_net = nn.Sequential(
            nn.Linear(2 * every, 2 * every), nn.ReLU(), nn.Linear(2 * every, every), nn.Sigmoid()
        )
        self.spatial_net = nn.Sequential(
            nn.Linear(every, channels), nn.ReLU(), nn.Linear(channels, modalities), nn.Sigmoid()
        )

    def forward(self, xs):
        every = torch.cat(xs, dim=2)
        whole = torch.cat([every.mean(dim=1), every.amax(dim=1)], dim=1)
        by_channel = self.channel_net(whole).unsqueeze(1).chunk(len(xs), dim=2)
        by_place = self.spatial_net(every).chunk(len(xs), dim=2)
        given = [0.5 * c * x + 0.5 * s * x for x, c, s in zip(xs, by_channel, by_place)]
        return [x + sum(o for j, o in enumerate(given) if j != m) / (len(xs) - 1) for m, x in enumerate(xs)]


class CrossModalRectification(nn.Module):
    """The rectification of CMX in the last block of each stage, between attention and MLP."""

    def __init__(self, backbone, classes, modalities=2):
        super().__init__()
        self.encoder = Encoder(backbone, modalities, 1.0, 0.0)
        for i in range(1, 5):
            channels = getattr(self.encoder, f"patch_embed{i}").mask_token.numel()
            getattr(self.encoder, f"patch_embed{i}").mask_token = None
            getattr(self.encoder, f"block{i}")[-1].fusion = Rectification(channels, modalities)
        self.decoder = Decoder(backbone, classes, 0.0)
        self.alpha = nn.Parameter(torch.ones(modalities))

    def forward(self, xs):
        size, batch = xs[0].shape[2:], xs[0].shape[0]
        stages = []
        for i in range(1, 5):
            xs, height, width = getattr(self.encoder, f"patch_embed{i}")(xs)
            for block in getattr(self.encoder, f"block{i}"):
                deltas = block.attn(block.norm1(xs), height, width)
                xs = [x + delta for x, delta in zip(xs, deltas)]
                if hasattr(block, "fusion"):
                    xs = block.fusion(xs)
                xs = [x + delta for x, delta in zip(xs, block.mlp(block.norm2(xs), height, width))]
            xs = getattr(self.encoder, f"norm{i}")(xs)
            xs = [x.reshape(batch, height, width, -1).permute(0, 3, 1, 2).contiguous() for x in xs]
            stages.append(xs)
        predictions = [self.decoder([stage[m] for stage in stages]) for m in range(len(xs))]
        return with_ensemble(predictions, self.alpha, size), 0.0


class UnifiedRepresentation(nn.Module):
    def __init__(self, backbone, classes, modalities=2):
        super().__init__()
        self.count = modalities
        for m in range(modalities):
            encoder = Encoder(backbone, 1, 1.0, 0.0)
            for i in range(1, 5):
                getattr(encoder, f"patch_embed{i}").mask_token = None
            setattr(self, f"encoder{m}", encoder)
        self.decoder = Decoder(backbone, classes, 0.0)

    def forward(self, xs):
        features = [getattr(self, f"encoder{m}")([x], None, 1.0) for m, x in enumerate(xs)]
        unified = [sum(f[i][0] for f in features) / self.count for i in range(4)]
        return [full(self.decoder(unified), xs[0].shape[2:])], 0.0


class BatchNormParallel(nn.Module):
    def __init__(self, channels, modalities):
        super().__init__()
        for m in range(modalities):
            setattr(self, f"bn_{m}", nn.BatchNorm2d(channels))

    def forward(self, xs):
        return [getattr(self, f"bn_{m}")(x) for m, x in enumerate(xs)]


def shared_conv(channels_in, channels, kernel=3, stride=1, bias=False):
    return ModuleParallel(
        nn.Conv2d(channels_in, channels, kernel, stride=stride, padding=kernel // 2, bias=bias)
    )


def exchange_channels(xs, norms, threshold):
    outs = []
    for m, x in enumerate(xs):
        idle = norms[m].weight.abs() < threshold
        out = torch.zeros_like(x)
        out[:, ~idle] = x[:, ~idle]
        out[:, idle] = xs[1 - m][:, idle]
        outs.append(out)
    return outs


class SharedBlock(nn.Module):
    def __init__(self, channels_in, channels, stride, modalities, threshold):
        super().__init__()
        self.threshold = threshold
        self.conv1 = shared_conv(channels_in, channels, 3, stride)
        self.bn1 = BatchNormParallel(channels, modalities)
        self.conv2 = shared_conv(channels, channels)
        self.bn2 = BatchNormParallel(channels, modalities)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                shared_conv(channels_in, channels, 1, stride), BatchNormParallel(channels, modalities)
            )

    def norms(self):
        return list(self.bn2.children())

    def forward(self, xs):
        outs = self.bn2(self.conv2([F.relu(x) for x in self.bn1(self.conv1(xs))]))
        if self.threshold is not None:
            outs = exchange_channels(outs, self.norms(), self.threshold)
        shortcuts = xs if self.downsample is None else self.downsample(xs)
        return [F.relu(out + shortcut) for out, shortcut in zip(outs, shortcuts)]


class RCU(nn.Module):
    def __init__(self, channels, blocks):
        super().__init__()
        self.blocks = blocks
        for i in range(1, blocks + 1):
            setattr(self, f"{i}_conv", shared_conv(channels, channels, bias=True))
            setattr(self, f"{i}_conv_relu_varout_dimred", shared_conv(channels, channels))

    def forward(self, xs):
        for i in range(1, self.blocks + 1):
            rectified = [F.relu(x) for x in xs]
            hidden = [F.relu(x) for x in getattr(self, f"{i}_conv")(rectified)]
            deltas = getattr(self, f"{i}_conv_relu_varout_dimred")(hidden)
            xs = [r + delta for r, delta in zip(rectified, deltas)]
        return xs


class CRP(nn.Module):
    def __init__(self, channels):
        super().__init__()
        for i in range(1, 5):
            setattr(self, f"{i}_outvar_dimred", shared_conv(channels, channels))

    def forward(self, xs):
        tops = xs
        for i in range(1, 5):
            tops = [F.max_pool2d(top, 5, stride=1, padding=2) for top in tops]
            tops = getattr(self, f"{i}_outvar_dimred")(tops)
            xs = [x + top for x, top in zip(xs, tops)]
        return xs


class RefineNetBody(nn.Module):
    """On ResNet-18; every convolution is shared, the encoder's BatchNorms are each modality's own."""

    def __init__(self, classes, modalities, threshold):
        super().__init__()
        self.conv1 = shared_conv(3, 64, 7, 2)
        self.bn1 = BatchNormParallel(64, modalities)
        below = 64
        for i, width in enumerate([64, 128, 256, 512], 1):
            blocks = [
                SharedBlock(below, width, 1 if i == 1 else 2, modalities, threshold),
                SharedBlock(width, width, 1, modalities, threshold),
            ]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
            below = width
        if modalities > 1:
            self.alpha = nn.Parameter(torch.ones(modalities))
        for g, (channels, width) in enumerate([(512, 256), (256, 64), (128, 64), (64, 64)], 1):
            setattr(self, f"p_ims1d2_outl{g}_dimred", shared_conv(channels, width))
            setattr(self, f"adapt_stage{g}_b", nn.Sequential(RCU(width, 2)))
            if g > 1:
                setattr(self, f"adapt_stage{g}_b2_joint_varout_dimred", shared_conv(width, width))
            setattr(self, f"mflow_conv_g{g}_pool", nn.Sequential(CRP(width)))
            setattr(self, f"mflow_conv_g{g}_b", nn.Sequential(RCU(width, 3)))
            if g < 4:
                setattr(self, f"mflow_conv_g{g}_b3_joint_varout_dimred", shared_conv(width, 64))
        self.clf_conv = shared_conv(64, classes, bias=True)

    def forward(self, xs):
        xs = [F.max_pool2d(F.relu(x), 3, stride=2, padding=1) for x in self.bn1(self.conv1(xs))]
        features = []
        for i in range(1, 5):
            xs = getattr(self, f"layer{i}")(xs)
            features.append(xs)
        deeper = None
        for g, feature in enumerate(reversed(features), 1):
            a = getattr(self, f"adapt_stage{g}_b")(getattr(self, f"p_ims1d2_outl{g}_dimred")(feature))
            if deeper is not None:
                a = getattr(self, f"adapt_stage{g}_b2_joint_varout_dimred")(a)
                a = [x + full(d, x.shape[2:]) for x, d in zip(a, deeper)]
            a = getattr(self, f"mflow_conv_g{g}_pool")([F.relu(x) for x in a])
            a = getattr(self, f"mflow_conv_g{g}_b")(a)
            if g < 4:
                deeper = getattr(self, f"mflow_conv_g{g}_b3_joint_varout_dimred")(a)
        return self.clf_conv(a)


class RefineNet(nn.Module):
    def __init__(self, backbone, classes, modalities=1):
        super().__init__()
        self.model = RefineNetBody(classes, 1, None)

    def forward(self, xs):
        return [full(self.model(xs[:1])[0], xs[0].shape[2:])], 0.0


class ChannelExchange(nn.Module):
    threshold, weight = 0.02, 2e-4

    def __init__(self, backbone, classes, modalities=2):
        super().__init__()
        self.model = RefineNetBody(classes, modalities, self.threshold)

    def forward(self, xs):
        predictions = self.model(xs)
        penalty = 0.0
        for block in self.modules():
            if isinstance(block, SharedBlock):
                first, second = (norm.weight for norm in block.norms())
                half = first.numel() // 2
                penalty = penalty + first[:half].abs().sum() + second[half:].abs().sum()
        heads = with_ensemble(predictions, self.model.alpha, xs[0].shape[2:])
        return heads, self.weight * penalty
