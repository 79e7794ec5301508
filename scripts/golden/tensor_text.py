"""Writes test/fixtures/tensor-text.json: tensors, and how PyTorch prints them.

    PYTHONPATH=TORCH python3 scripts/golden/tensor_text.py
"""

import base64
import json
import pathlib

import torch

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/tensor-text.json"
inf, nan = float("inf"), float("nan")
cases = []


def case(tensor, layout=None, options=None, grad=False, recipe=None):
    """`recipe`: [count, scale, shift] of an arange that gives the values."""
    entry = {"dtype": str(tensor.dtype)[6:], "shape": list(tensor.shape)}
    if tensor.is_meta:
        entry["meta"] = True
    elif recipe is not None:
        entry["recipe"] = recipe
    elif tensor.numel() > 0:
        bits = tensor.contiguous().reshape(-1).view(torch.uint8)
        entry["bits"] = base64.b64encode(bytes(bits.tolist())).decode()
    if grad:
        tensor = tensor.requires_grad_()
        entry["requiresGrad"] = True
    if layout is not None:
        entry["layout"] = layout
        blocks = [(2, 2)] if layout in ("Bsr", "Bsc") else []
        tensor = getattr(tensor, "to_sparse" + ("" if layout == "Coo" else "_" + layout.lower()))(*blocks)
    if options is not None:
        entry["options"] = options
        python = {"edgeItems": "edgeitems", "lineWidth": "linewidth", "sciMode": "sci_mode"}
        torch.set_printoptions(**{python.get(key, key): value for key, value in options.items()})
    entry["text"] = repr(tensor)
    torch.set_printoptions(profile="default")
    cases.append(entry)


def ramp(shape, scale=1.0, shift=0.0, dtype=torch.float32, **rest):
    count = torch.Size(shape).numel()
    values = (torch.arange(count, dtype=torch.float64) * scale + shift).to(dtype).reshape(shape)
    case(values, recipe=[count, scale, shift], **rest)


def of(values, dtype=torch.float32, **rest):
    case(torch.tensor(values, dtype=dtype), **rest)


for values in ([], 1.5, 3.0, [1.0, 2.0], [1.5, -2.0], [0.0, 0.0], [-0.0, 1.0], [[]], [[[1.0]]]):
    of(values)
# Halves, which go to the even digit.
of([0.03125, 0.09375, 0.15625, -0.03125, 2.5])
of([1.03125e10, 1.09375e10, 1e-3])
of([0.5, 1.5, 2.5], options={"precision": 0})
of([nan, inf, -inf])
of([nan, 1.0, -inf])
of([nan, 1.25, -inf, 0.0])
of([1e-5, 1.0])
of([1e8, 2e8])
of([2e8, 1.0])
of([1000.0, 1.0])
of([1001.0, 1.0])
of([1001.5, 1.0, nan, inf])
of([1e38, 1e-38])
of([1e-45, 0.0])
of([123456789.0, 1.5], torch.float64)
of([1e22], torch.float64, options={"sciMode": False})
of([1e300, 5e-324], torch.float64)
of([0.1, 0.2], torch.float16)
of([65504.0, 1.0], torch.float16)
of([0.1, 3e38], torch.bfloat16)
of([0.5, 448.0, -1.0], torch.float8_e4m3fn)
of([0.5, 57344.0], torch.float8_e5m2)
of([True, False, True], torch.bool)
of([[True], [False]], torch.bool)
of(True, torch.bool)
of([1, -10, 100], torch.int64)
of([2**62, -(2**63)], torch.int64)
of([1, 255], torch.uint8)
of([-128, 127], torch.int8)
of([[1, 2], [300, 4]], torch.int16)
of([2**31 - 1], torch.int32)
of([1, 65535], torch.uint16)
of([2**64 - 1, 1], torch.uint64)
of(7, torch.int64)
of([1 + 2j, -1.5 - 0.25j], torch.complex64)
of([complex(0, -0.0), complex(nan, inf)], torch.complex64)
of([1e10 + 1j, 2 - 3j], torch.complex128)
of([[1 + 1j, 0], [0, 1 - 1j]], torch.complex64)
of(1 - 2j, torch.complex64)
of([1 + 2j], torch.complex32)
of([1.5, 2.5], grad=True)
of([1.0] * 11, torch.float64, grad=True)
for shape in ((0, 3), (2, 0, 3)):
    case(torch.zeros(shape))
case(torch.zeros((0,), dtype=torch.int64))
case(torch.zeros((3, 0), dtype=torch.float64))
for shape in ((20,), (2, 30), (3, 3, 3), (2, 1, 2, 2), (1, 100), (8, 8)):
    ramp(shape, 0.37, -3.0)
ramp((40,), dtype=torch.int64)
ramp((25, 40))
ramp((1001,))
ramp((1001,), 1.25, -300.0)
ramp((30, 40), 0.01)
ramp((7, 200), dtype=torch.int32)
ramp((6, 200))
ramp((2, 501), dtype=torch.bool)
ramp((11, 10, 10), -0.5)
ramp((3, 10, 50), 3.0, dtype=torch.int64)
ramp((1, 1, 1200))
ramp((10, 101), dtype=torch.complex64)
ramp((5,), 0.1, options={"precision": 2})
ramp((5,), 1 / 3, options={"precision": 10})
ramp((5,), 0.1, options={"sciMode": True})
ramp((20,), options={"threshold": 10, "edgeItems": 2})
ramp((20, 20), options={"threshold": 10, "edgeItems": 1})
ramp((4, 4), options={"threshold": 10, "edgeItems": 0})
ramp((30,), 0.5, options={"lineWidth": 40})
ramp((3,), options={"lineWidth": 5})
case(torch.empty((2, 3), device="meta"))
case(torch.empty((2,), device="meta", dtype=torch.int64))
grid = [[0.0, 1.5, 0.0, 0.0], [0.0, 0.0, 2.0, 3.0]]
of(grid, layout="Coo")
of(grid, torch.float64, layout="Csr")
of(grid, layout="Csc")
of(grid, layout="Bsr")
of(grid, layout="Bsc")
case(torch.zeros(2, 3), layout="Coo")
case(torch.zeros(2, 3), layout="Csr", options={"lineWidth": 60})
ramp((2, 600), layout="Coo")
of([[0, 5]], torch.int32, layout="Coo")

FILE.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]\n")
print(f"wrote {FILE} ({len(cases)} tensors, {FILE.stat().st_size} bytes)")
