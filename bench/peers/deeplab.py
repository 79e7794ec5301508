"""DeepLabV3+ on a dilated ResNet-18 written plainly in PyTorch eager; names are torchvision's."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv(channels_in, channels, kernel=3, stride=1, dilation=1):
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels_in, channels, kernel, stride, padding, dilation, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, channels_in, channels, stride, dilation):
        super().__init__()
        self.conv1 = conv(channels_in, channels, 3, stride, dilation)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3, 1, dilation)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(conv(channels_in, channels, 1, stride), nn.BatchNorm2d(channels))

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        below = 64
        for i, (width, stride) in enumerate([(64, 1), (128, 2), (256, 2), (512, 1)], 1):
            dilations = (2, 4) if i == 4 else (1, 1)
            blocks = [BasicBlock(below, width, stride, dilations[0]), BasicBlock(width, width, 1, dilations[1])]
            setattr(self, f"layer{i}", nn.Sequential(*blocks))
            below = width

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        shallow = self.layer1(x)
        return shallow, self.layer4(self.layer3(self.layer2(shallow)))


class Pyramid(nn.Module):
    def __init__(self, channels, width=256):
        super().__init__()
        dilated = [conv(channels, width, 3, dilation=dilation) for dilation in (6, 12, 18)]
        self.map_convs = nn.ModuleList([conv(channels, width, 1), *dilated])
        self.map_bn = nn.BatchNorm2d(4 * width)
        self.global_pooling_conv = conv(channels, width, 1)
        self.global_pooling_bn = nn.BatchNorm2d(width)
        self.red_conv, self.pool_red_conv = conv(4 * width, width, 1), conv(width, width, 1)
        self.red_bn = nn.BatchNorm2d(width)

    def forward(self, x):
        local = torch.cat([layer(x) for layer in self.map_convs], dim=1)
        local = self.red_conv(F.leaky_relu(self.map_bn(local), 0.01))
        mean = self.global_pooling_conv(x.mean(dim=(2, 3), keepdim=True))
        whole = self.pool_red_conv(F.leaky_relu(self.global_pooling_bn(mean), 0.01))
        return F.leaky_relu(self.red_bn(local + whole.expand_as(local)), 0.01)


class Head(nn.Module):
    def __init__(self, width=256, detail=48):
        super().__init__()
        self.aspp = Pyramid(512, width)
        self.reduce = nn.Sequential(conv(64, detail, 1), nn.BatchNorm2d(detail), nn.ReLU())
        self.last_conv = nn.Sequential(
            conv(width + detail, width), nn.BatchNorm2d(width), nn.ReLU(),
            conv(width, width), nn.BatchNorm2d(width), nn.ReLU(),
        )

    def forward(self, shallow, deep):
        detail = self.reduce(shallow)
        pyramid = F.interpolate(self.aspp(deep), detail.shape[2:], mode="bilinear", align_corners=True)
        return self.last_conv(torch.cat([pyramid, detail], dim=1))


class DeepLabV3Plus(nn.Module):
    def __init__(self, backbone, classes, modalities=1):
        super().__init__()
        self.backbone, self.head = Backbone(), Head()
        self.classifier = nn.Conv2d(256, classes, 1)

    def forward(self, xs):
        logits = self.classifier(self.head(*self.backbone(xs[0])))
        return [F.interpolate(logits, xs[0].shape[2:], mode="bilinear", align_corners=True)], 0.0
