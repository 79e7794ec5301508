"""Writes test/fixtures/nn.json: layers and functions of torch.nn, their outputs, gradients and buffers,
and test/fixtures/nn-init.json: what torch.nn.init draws.

    PYTHONPATH=TORCH OMP_NUM_THREADS=1 python3 scripts/golden/nn.py

Floating inputs and states are sines of their position (see `values`), so that the file need not hold
them; what is random is drawn from seed 0. The loss is the sum of every output times a sine.
"""

import json
import math
import pathlib

import torch
from nn_cases import CASES, INITS

FIXTURES = pathlib.Path(__file__).parents[2] / "test/fixtures"


def values(seed, shape):
    flat = [math.sin(1 + 7 * seed + 1.7 * i) for i in range(math.prod(shape))]
    return torch.tensor(flat).reshape(shape)


def tensors(value):
    if value is None:
        return []
    return [value] if isinstance(value, torch.Tensor) else [t for each in value for t in tensors(each)]


def numbers(tensor):
    assert torch.isfinite(tensor).all(), "choose inputs whose results are finite"
    return [float(f"{x:.7g}") for x in tensor.detach().flatten().tolist()]


def made(given, seed):
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, tuple):
        return values(seed, given)
    if isinstance(given, dict):
        return torch.tensor(given["values"], dtype=getattr(torch, given["dtype"]))
    return [made(each, seed + 1 + i) for i, each in enumerate(given)]


def argument(name, value):
    """Weights of classes are lists; layers are { layer: [name, arguments, options] }."""
    if isinstance(value, dict):
        return create(*value["layer"])
    return torch.tensor(value) if name in ("weight", "pos_weight") else value


class Function(torch.nn.Module):
    """A function with its arguments as a layer."""

    def __init__(self, name, args, options):
        super().__init__()
        self.function = lambda *inputs: getattr(torch.nn.functional, name)(*inputs, *args, **options)

    def forward(self, *inputs):
        return self.function(*inputs)


def create(name, args, options):
    if name.startswith("F."):
        return Function(name[2:], args, options)
    given = {key: argument(key, value) for key, value in options.items()}
    return getattr(torch.nn, name)(*[argument(None, value) for value in args], **given)


def run(name, args, inputs, options, training, call):
    layer = create(name, args, options)
    layer.train(training)
    state = {k: list(v.shape) for k, v in layer.state_dict().items()}
    with torch.no_grad():
        for i, param in enumerate(layer.parameters()):
            param.copy_(values(20 + i, param.shape))
    given = [made(x, 10 * i) for i, x in enumerate(inputs)]
    given[0].requires_grad_(given[0].is_floating_point())
    given = [given[0] if isinstance(x, str) else x for x in given]
    call = {k: made(v, 90) if isinstance(v, dict) else v for k, v in call.items()}
    torch.manual_seed(0)
    outputs = tensors(layer(*given, **call))
    losses = [(o * values(40 + i, o.shape)).sum() for i, o in enumerate(outputs) if o.requires_grad]
    if losses:
        sum(losses).backward()
    return {
        "outputs": [{"shape": list(o.shape), "values": numbers(o)} for o in outputs],
        "gradient": None if given[0].grad is None else numbers(given[0].grad),
        "gradients": {k: None if v.grad is None else numbers(v.grad) for k, v in layer.named_parameters()},
        "state": state,
        "buffers": {k: numbers(v) for k, v in layer.named_buffers() if k not in options},
    }  # fmt: skip


def initialised(name, shape, args, options):
    torch.manual_seed(0)
    return numbers(getattr(torch.nn.init, name)(torch.empty(shape), *args, **options))


def write(name, content):
    file = FIXTURES / name
    file.write_text(json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")
    print(f"wrote {file} ({file.stat().st_size} bytes, {len(content)} cases)")


write("nn.json", [{**case, **run(**case)} for case in CASES])
write("nn-init.json", [{**case, "values": initialised(**case)} for case in INITS])
