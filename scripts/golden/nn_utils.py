"""Writes test/fixtures/nn-utils.json: hooks on backward, parametrizations and pruning of torch.nn.utils.

    PYTHONPATH=TORCH OMP_NUM_THREADS=1 python3 scripts/golden/nn_utils.py

Weights and inputs are sines of their position (see `values`); what is random is drawn from seed 0.
"""

import json
import math
import pathlib

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/nn-utils.json"


def values(seed, shape):
    flat = [math.sin(1 + 7 * seed + 1.7 * i) for i in range(math.prod(shape))]
    return torch.tensor(flat).reshape(shape)


def numbers(tensor):
    return [float(f"{x:.7g}") for x in tensor.detach().flatten().tolist()]


def state(module):
    return {name: {"shape": list(x.shape), "values": numbers(x)} for name, x in module.state_dict().items()}


def filled(module, seed=20):
    with torch.no_grad():
        for i, param in enumerate(module.parameters()):
            param.copy_(values(seed + i, param.shape))
    return module


def passed(module, shape):
    """The output, and the gradients of its sum times sines."""
    x = values(0, shape).requires_grad_()
    output = module(x)
    (output * values(40, output.shape)).sum().backward()
    gradients = {name: numbers(x.grad) for name, x in module.named_parameters() if x.grad is not None}
    return {"output": numbers(output), "input": numbers(x.grad), "gradients": gradients}


PARAMETRIZATIONS = [
    ("weight_norm", "Linear", [3, 2], [4, 3], {}),
    ("weight_norm", "Linear", [3, 2], [4, 3], {"dim": None}),
    ("weight_norm", "Conv2d", [2, 3, 2], [1, 2, 3, 3], {"dim": 1}),
    ("spectral_norm", "Linear", [3, 4], [2, 3], {}),
    ("spectral_norm", "ConvTranspose2d", [2, 3, 2], [1, 2, 2, 2], {"n_power_iterations": 2}),
    ("spectral_norm", "Linear", [3, 4], [2, 3], {"name": "bias"}),
    ("orthogonal", "Linear", [3, 3], [2, 3], {}),
    ("orthogonal", "Linear", [4, 3], [2, 4], {}),
    ("orthogonal", "Linear", [2, 4], [3, 2], {"orthogonal_map": "cayley"}),
    ("orthogonal", "Linear", [3, 2], [2, 3], {"orthogonal_map": "matrix_exp", "use_trivialization": False}),
    ("orthogonal", "Linear", [2, 3], [2, 2], {"orthogonal_map": "householder", "use_trivialization": False}),
]


def parametrized(kind, layer, args, shape, options):
    module = filled(getattr(nn, layer)(*args))
    name = options.get("name", "weight")
    torch.manual_seed(0)
    getattr(parametrizations, kind)(module, **options)
    result = {"kind": kind, "layer": layer, "args": args, "shape": shape, "options": options}
    result |= {"state": state(module), "first": passed(module, shape)}
    with torch.no_grad():
        for i, param in enumerate(module.parametrizations[name].parameters()):
            param.mul_(values(60 + i, param.shape) + 1.5)
        if kind == "orthogonal":
            module.parametrizations[name].original.neg_().diagonal().fill_(-1)
    result["second"] = passed(module.eval(), shape)
    settable = options.get("use_trivialization", True) or options["orthogonal_map"] == "householder"
    if settable:
        setattr(module, name, getattr(module, name).detach() + 0.5)
        result["set"] = state(module)
    parametrize.remove_parametrizations(module, name)
    result["removed"] = numbers(getattr(module, name))
    return result


PRUNED = [
    ["l1_unstructured", 0.4],
    ["l1_unstructured", 2],
    ["random_unstructured", 3],
    ["ln_structured", 1, 2, 0],
    ["ln_structured", 0.5, float("inf"), -1],
    ["random_structured", 2, 1],
]


def pruned(*calls):
    """One method after the other on a weight; then made permanent."""
    module = filled(nn.Conv2d(2, 4, 2))
    torch.manual_seed(0)
    masks = []
    for method, *args in calls:
        getattr(prune, method)(module, "weight", *args)
        masks.append(numbers(module.weight_mask))
    result = {"calls": [[a if a != math.inf else "inf" for a in call] for call in calls], "masks": masks}
    result |= {"names": list(module.state_dict()), "passed": passed(module, [1, 2, 3, 3])}
    prune.remove(module, "weight")
    return result | {"removed": numbers(module.weight)}


def pruned_globally(method, amount):
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    prune.l1_unstructured(module[2], "weight", 2)
    torch.manual_seed(0)
    pairs = [(module[0], "weight"), (module[2], "weight")]
    prune.global_unstructured(pairs, getattr(prune, method), amount=amount)
    return {"method": method, "amount": amount, "masks": [numbers(module[i].weight_mask) for i in (0, 2)]}


def hooked(inputs_require_grad):
    module = filled(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    seen = []

    def see(name):
        return lambda _, given, out: seen.append([name, *[None if x is None else numbers(x) for x in (*given, *out)]])

    module[0].register_full_backward_hook(see("first"))
    module[1].register_full_backward_hook(see("second"))
    module[1].register_full_backward_hook(lambda _, given, __: (given[0] * 2,))
    module[1].register_full_backward_hook(see("changed"))
    module[2].register_full_backward_pre_hook(lambda _, out: (out[0] * 3,))
    module.register_full_backward_hook(see("all"))
    x = values(0, [2, 3]).requires_grad_(inputs_require_grad)
    output = module(x)
    (output * values(40, output.shape)).sum().backward()
    gradients = {name: numbers(param.grad) for name, param in module.named_parameters()}
    return {"seen": seen, "gradients": gradients, "input": None if x.grad is None else numbers(x.grad)}


LAZY = [
    ("LazyLinear", [2], [4, 3], {}),
    ("LazyConv1d", [4, 2], [1, 2, 4], {"groups": 2, "bias": False}),
    ("LazyConv2d", [2, [2, 1]], [2, 3, 3], {"padding": 1}),
    ("LazyConv3d", [1, 2], [1, 2, 2, 2, 2], {}),
    ("LazyConvTranspose1d", [2, 2], [1, 3, 3], {}),
    ("LazyConvTranspose2d", [2, 2], [1, 2, 2, 2], {"groups": 2}),
    ("LazyConvTranspose3d", [1, 2], [1, 2, 1, 2, 1], {"stride": 2}),
    ("LazyBatchNorm1d", [], [4, 3], {}),
    ("LazyBatchNorm2d", [], [1, 3, 2, 2], {"affine": False}),
    ("LazyBatchNorm3d", [], [1, 2, 2, 1, 2], {"track_running_stats": False}),
    ("LazyInstanceNorm1d", [], [2, 3, 4], {"affine": True, "track_running_stats": True}),
    ("LazyInstanceNorm2d", [], [2, 3, 2, 2], {"affine": True}),
    ("LazyInstanceNorm3d", [], [1, 2, 2, 1, 2], {}),
]


def lazy(name, args, shape, options):
    """What a layer is after its first input."""
    torch.manual_seed(0)
    module = getattr(nn, name)(*args, **options)
    names = list(module.state_dict())
    result = {"name": name, "args": args, "shape": shape, "options": options, "names": names}
    with torch.no_grad():
        module.eval()(values(0, shape))
    result |= {"becomes": type(module).__name__, "state": state(module)}
    return result | {"passed": passed(module.train(), shape)}


content = {
    "lazy": [lazy(*case) for case in LAZY],
    "parametrizations": [parametrized(*case) for case in PARAMETRIZATIONS],
    "prune": [pruned(call) for call in PRUNED]
    + [
        pruned(["l1_unstructured", 0.25], ["ln_structured", 1, 1, 0], ["random_unstructured", 0.5]),
        pruned(["ln_structured", 1, 2, 0], ["random_structured", 1, 0]),
    ],
    "pruneGlobally": [pruned_globally("L1Unstructured", 0.5), pruned_globally("RandomUnstructured", 5)],
    "hooks": [hooked(True), hooked(False)],
}
FILE.write_text(json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n")
print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")
