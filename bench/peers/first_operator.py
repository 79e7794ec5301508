# A program that does nothing but its first operator.
import torch

if torch.ones([2]).add(1).sum().item() != 4:
    raise SystemExit(1)
