"""Writes test/fixtures/program.pt: a small TorchScript module with methods of several signatures.

    PYTHONPATH=TORCH python3 scripts/golden/script.py
"""

import pathlib
from typing import Dict, List, Optional, Tuple

import torch

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/program.pt"


class Program(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 3)
        self.drop = torch.nn.Dropout(0.5)
        self.register_buffer("offset", torch.tensor([10.0]))
        with torch.no_grad():
            self.linear.weight.copy_(torch.arange(6.0).reshape(3, 2))
            self.linear.bias.copy_(torch.tensor([0.5, 0.25, 0.125]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.linear(x) + self.offset)

    @torch.jit.export
    def parts(
        self, xs: List[torch.Tensor], scale: float = 2.0, name: Optional[str] = None
    ) -> Tuple[Dict[str, torch.Tensor], int, List[str]]:
        total = torch.zeros(1)
        for x in xs:
            total = total + x.sum() * scale
        return {"total": total, "first": xs[0]}, len(xs), ["none" if name is None else name]

    @torch.jit.export
    def fails(self, x: torch.Tensor) -> torch.Tensor:
        assert x.numel() == 0, "only nothing will do"
        return x


torch.jit.save(torch.jit.script(Program()), FILE)
print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")
