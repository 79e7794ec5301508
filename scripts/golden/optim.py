"""Writes test/fixtures/optim.json: parameters under PyTorch's AdamW and SGD, step by step.

    PYTHONPATH=TORCH python3 scripts/golden/optim.py
"""

import json
import math
import pathlib

import torch

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/optim.json"
SHAPES = [[3, 2], [5], [2, 1, 2]]
STEPS = 4
CASES = {
    "adamw": (torch.optim.AdamW, dict(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    "adamw-default": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd-momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.05)),
    "sgd-nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True)),
}


def values(index, step, shape):
    count = math.prod(shape)
    return torch.tensor([math.sin(1 + 7 * index + 3 * step + 1.7 * i) for i in range(count)]).reshape(shape)


def run(optimizer, options):
    """Two groups; the last parameter gets its first gradient in step 2 and none in step 3."""
    params = [values(i, -1, shape).requires_grad_() for i, shape in enumerate(SHAPES)]
    groups = [dict(params=params[:1]), dict(params=params[1:], lr=0.02, weight_decay=0.0)]
    optimizer = optimizer(groups, **options)
    history = []
    for step in range(STEPS):
        for i, param in enumerate(params):
            param.grad = None if i == 2 and step in (0, 1, 3) else values(i, step, param.shape)
        optimizer.step()
        history.append([p.detach().flatten().tolist() for p in params])
    return history


FILE.write_text(json.dumps({name: run(*case) for name, case in CASES.items()}) + "\n")
print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")
