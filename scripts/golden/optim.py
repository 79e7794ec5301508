"""Writes test/fixtures/optim.json: parameters under PyTorch's AdamW and SGD, step by step.

    PYTHONPATH=TORCH python3 scripts/golden/optim.py
"""

import json
import pathlib

import torch
from parameters import steps

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/optim.json"
STEPS = 4
CASES = {
    "adamw": (torch.optim.AdamW, dict(lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    "adamw-default": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd-momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.05)),
    "sgd-nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True)),
}


def run(optimizer, options):
    return [[p.tolist() for p in params] for _, params in steps(optimizer, options, STEPS)]


FILE.write_text(json.dumps({name: run(*case) for name, case in CASES.items()}) + "\n")
print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")
