"""Peer of the file cases: PyTorch's own reading and writing of its files."""

import time

import torch

from protocol import serve


def write(path, tensors, size):
    """A state dict of square matrices."""
    torch.manual_seed(0)
    torch.save({f"layer{i}.weight": torch.randn(size, size) for i in range(tensors)}, path)
    return {}


def load(path):
    """Milliseconds of reading a file."""
    start = time.perf_counter()
    values = torch.load(path)
    elapsed = time.perf_counter() - start
    del values
    return {"ms": elapsed * 1e3}


if __name__ == "__main__":
    serve({"write": write, "load": load})
