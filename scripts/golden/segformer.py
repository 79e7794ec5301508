"""Writes test/fixtures/segformer.safetensors: logits of Hugging Face's SegformerForSemanticSegmentation.

Weights and input are a function of their names (`fill`), the same here and in
test/helpers/fill.ts, so that only the logits are stored, with a digest of the checkpoint's names.

    PYTHONPATH=TORCH:TRANSFORMERS python3 scripts/golden/segformer.py
"""

import hashlib
import json
import pathlib
import struct
import tempfile

import numpy
import torch
from safetensors.torch import load_file, save_file
from transformers import SegformerConfig, SegformerForSemanticSegmentation

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/segformer.safetensors"
CASES = {
    "b0": dict(hidden_sizes=[32, 64, 160, 256], depths=[2, 2, 2, 2], decoder_hidden_size=256, num_labels=5),
    "b2": dict(hidden_sizes=[64, 128, 320, 512], depths=[3, 4, 6, 3], decoder_hidden_size=768, num_labels=3),
}
INPUT = (1, 3, 64, 96)


def fill(name, shape, low, high):
    """Uniform values from a hash (FNV-1a, then Murmur's finaliser) of the name and the position."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = numpy.arange(numpy.prod(shape, dtype=int), dtype=numpy.uint32) + numpy.uint32(seed)
    x = (x ^ x >> 16) * numpy.uint32(0x85EBCA6B)
    x = (x ^ x >> 13) * numpy.uint32(0xC2B2AE35)
    x = x ^ x >> 16
    values = low + (high - low) * (x.astype(numpy.float64) / 2**32)
    return torch.from_numpy(values.astype(numpy.float32)).reshape(shape)


def bounds(name, shape):
    """Weights keep the variance of what passes through; norms are near the identity."""
    if "norm" in name or name.endswith("running_var"):
        return (-0.2, 0.2) if name.endswith(("bias", "running_mean")) else (0.8, 1.2)
    if len(shape) == 1:
        return -0.2, 0.2
    limit = (3 / numpy.prod(shape[1:])) ** 0.5
    return -limit, limit


def hub_names(model):
    """State by the names that checkpoint files have."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(f"{folder}/model.safetensors")


def save(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().numpy().tobytes()
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    tensors, metadata = {}, {"torch": torch.__version__, "input": json.dumps(INPUT)}
    for case, options in CASES.items():
        model = SegformerForSemanticSegmentation(SegformerConfig(**options)).eval()
        state = hub_names(model)
        state = {
            name: fill(name, tuple(t.shape), *bounds(name, t.shape)) if t.is_floating_point() else t
            for name, t in sorted(state.items())
        }
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            save_file(state, f"{folder}/model.safetensors", metadata={"format": "pt"})
            model = SegformerForSemanticSegmentation.from_pretrained(folder).eval()
        listing = "".join(f"{n} {list(t.shape)}\n" for n, t in state.items() if t.is_floating_point())
        with torch.no_grad():
            logits = model(fill("input", INPUT, -2, 2)).logits
        print(case, tuple(logits.shape), "std", float(logits.std()))
        tensors[case] = logits
        metadata[f"{case}.names"] = hashlib.sha256(listing.encode()).hexdigest()
    save(FILE, tensors, metadata)
    print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
