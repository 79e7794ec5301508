"""Peer of the loader cases: PyTorch's DataLoader, reading and augmenting with PIL or with OpenCV.

Written the way such data sets are written: whole pictures are flipped and resized, then cropped,
padded and normalised; the depth is scaled to [0, 1] by its own minimum and maximum first.
"""

import random
import time

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from protocol import serve

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)
SCALES = [0.5, 0.75, 1, 1.5, 1.75, 2]


def read_pil(files):
    """RGB, depth and label as PIL images."""
    rgb, depth, label = files
    return Image.open(rgb).convert("RGB"), Image.open(depth), Image.open(label)


def read_opencv(files):
    """RGB, depth and label as arrays."""
    rgb, depth, label = files
    return (
        cv2.cvtColor(cv2.imread(rgb, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB),
        cv2.imread(depth, cv2.IMREAD_UNCHANGED),
        cv2.imread(label, cv2.IMREAD_UNCHANGED),
    )


def scaled_depth(depth):
    depth = depth.astype(np.float32)
    low, high = depth.min(), depth.max()
    return (depth - low) / max(high - low, 1)


def augment_pil(rgb, depth, label):
    depth = Image.fromarray(scaled_depth(np.asarray(depth)))
    if random.random() < 0.5:
        flip = Image.Transpose.FLIP_LEFT_RIGHT
        rgb, depth, label = rgb.transpose(flip), depth.transpose(flip), label.transpose(flip)
    scale = random.choice(SCALES)
    if scale != 1:
        size = (round(rgb.width * scale), round(rgb.height * scale))
        rgb = rgb.resize(size, Image.Resampling.BILINEAR)
        depth = depth.resize(size, Image.Resampling.NEAREST)
        label = label.resize(size, Image.Resampling.NEAREST)
    return np.asarray(rgb), np.asarray(depth), np.asarray(label)


def augment_opencv(rgb, depth, label):
    depth = scaled_depth(depth)
    if random.random() < 0.5:
        rgb, depth, label = cv2.flip(rgb, 1), cv2.flip(depth, 1), cv2.flip(label, 1)
    scale = random.choice(SCALES)
    if scale != 1:
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
        depth = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
        label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
    return rgb, depth, label


def cropped(arrays, paddings, crop):
    """The same random crop of each, padded evenly on both sides where the picture is smaller."""
    height, width = arrays[0].shape[:2]
    top, left = random.randint(0, max(height - crop, 0)), random.randint(0, max(width - crop, 0))
    out = []
    for array, padding in zip(arrays, paddings):
        part = array[top : top + crop, left : left + crop]
        rows, columns = crop - part.shape[0], crop - part.shape[1]
        if rows or columns:
            around = [(rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)]
            part = np.pad(part, around + [(0, 0)] * (part.ndim - 2), constant_values=padding)
        out.append(part)
    return out


class Scenes(Dataset):
    def __init__(self, files, library, crop, length):
        self.files, self.crop, self.length = files, crop, length
        self.read, self.augment = {
            "pil": (read_pil, augment_pil),
            "opencv": (read_opencv, augment_opencv),
        }[library]

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        pictures = self.augment(*self.read(self.files[index % len(self.files)]))
        rgb, depth, label = cropped(pictures, (0, 0, 255), self.crop)
        rgb = (rgb.astype(np.float32) / 255 - MEAN) / STD
        depth = np.repeat(depth[None], 3, axis=0)
        return (
            torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))),
            torch.from_numpy(depth),
            torch.from_numpy(label.astype(np.int64)),
        )


loaders = {}


def start_worker(index):
    # One core a worker: more threads in each would only get in one another's way.
    cv2.setNumThreads(0)
    random.seed(torch.initial_seed() + index)


def open_loader(library, files, crop, batch, workers):
    scenes = Scenes(files, library, crop, length=10**6)
    loader = DataLoader(
        scenes,
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        worker_init_fn=start_worker,
        drop_last=True,
    )
    loaders[library] = iter(loader)
    return {}


def load(library, warm, batches):
    """Milliseconds a sample of `batches` batches, after `warm` ones that use up what lay ready."""
    for _ in range(warm):
        next(loaders[library])
    start = time.perf_counter()
    samples = 0
    for _ in range(batches):
        samples += next(loaders[library])[0].shape[0]
    return {"ms": (time.perf_counter() - start) * 1e3 / samples}


def close():
    """Ends the workers, which read ahead."""
    loaders.clear()
    return {}


def decode(library, files):
    """CPU milliseconds a sample to read the files alone, into arrays, at the second time."""
    cv2.setNumThreads(0)
    read = {"pil": read_pil, "opencv": read_opencv}[library]

    def read_all():
        for sample in files:
            for picture in read(sample):
                np.asarray(picture)

    read_all()
    start = time.process_time()
    read_all()
    return {"ms": (time.process_time() - start) * 1e3 / len(files)}


if __name__ == "__main__":
    serve({"open": open_loader, "load": load, "close": close, "decode": decode})
