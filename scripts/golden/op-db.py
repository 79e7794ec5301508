"""Writes PyTorch's operator database as calls with their results: what test/torch/op-db.test.ts replays.

    PYTHONPATH=TORCH python3 scripts/golden/op-db.py [OUTPUT] [--only NAME …] [--fixture]

OUTPUT, by default build/op-db.jsonl.gz, has one line an operator: its name and, for each sample, the function
called, its arguments, results and gradients; or the reason why there is none. A few operators at a time run
in a process of their own, since one may hang or end it. --fixture writes the smallest samples to test/fixtures
as well.
"""

import argparse
import gzip
import inspect
import itertools
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import types
import warnings

import torch
from op_values import encode, tensors_in

OUTPUT = pathlib.Path(__file__).parents[2] / "build/op-db.jsonl.gz"
FIXTURE = pathlib.Path(__file__).parents[2] / "test/fixtures/op-db.jsonl.gz"
CHUNK = 90
SECONDS = 30
SAMPLES = 6
ELEMENTS = 20_000
DTYPES = (torch.float32, torch.int64, torch.bool, torch.complex64)
IN_PLACE = ("cauchy", "exponential", "geometric", "log_normal", "uniform")
# The database gives these their first two arguments in the other order.
SWAPPED = ("einsum", "where", "polygamma", "special.polygamma", "nn.functional.embedding", "nn.functional.embedding_bag")


def database():
    sys.modules.setdefault("expecttest", types.ModuleType("expecttest")).TestCase = object
    from torch.testing._internal.common_methods_invocations import op_db

    return op_db


def title(op):
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def spelled(op, args, kwargs):
    """The function behind the database's lambda, as Python spells it, and its arguments."""
    name, variant = op.name, op.variant_test_name
    first, *rest = args
    if name in IN_PLACE or variant == "in_place":
        return f"Tensor.{name}_", args, kwargs
    if name in SWAPPED or variant == "number_mean":
        return f"torch.{name}", (rest[0], first, *rest[1:]), kwargs
    if name == "slice":
        return "torch.ops.aten.slice.Tensor", args, kwargs
    if name in ("svd_lowrank", "pca_lowrank") or variant == "singular":
        return f"torch.{name}", (first @ rest[0].mT, *rest[1:]), kwargs
    if variant == "grad_oriented":
        return "torch.linalg.lstsq", (first, rest[0]), kwargs
    if name == "max_pool2d_with_indices_backward":
        return pooling_backward(first, **kwargs)
    if name.startswith("torch.ops"):
        return name, args, kwargs
    if name == "__getitem__":
        # JSON knows no tuples: an index is given in a list of indices.
        index = rest[0] if isinstance(rest[0], tuple) else (rest[0],)
        return "Tensor.__getitem__", (first, list(index)), kwargs
    if name == "native_dropout_backward" or name.startswith("_") and not name.startswith("__"):
        public = name.removeprefix("_")
        head = "torch" if callable(getattr(torch, public, None)) else "torch.ops.aten"
        return f"{head}.{public if head == 'torch' else name}", args, kwargs
    if callable(found(f"torch.{name}")):
        return f"torch.{name}", args, kwargs
    return f"Tensor.{name}", args, kwargs


def pooling_backward(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **_):
    shape = (kernel_size, stride or kernel_size, padding, dilation, ceil_mode)
    out, indices = torch.nn.functional.max_pool2d(x.detach(), *shape, return_indices=True)
    return "torch.ops.aten.max_pool2d_with_indices_backward", (torch.ones_like(out), x, *shape, indices), {}


def found(path):
    value = torch
    for part in path.replace("Tensor.", "torch.Tensor.").split(".")[1:]:
        value = getattr(value, part, None)
    return value


def leaf(value):
    if isinstance(value, torch.Tensor):
        return value.detach().requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return [leaf(item) for item in value]
    return {key: leaf(item) for key, item in value.items()} if isinstance(value, dict) else value


def call(path, args, kwargs):
    function = found(path)
    torch.manual_seed(42)
    if path == "Tensor.__getitem__":
        return args[0][tuple(args[1])]
    return function(*args, **kwargs) if callable(function) else function.__get__(args[0])


def seed(tensor):
    """What test/helpers/op-values.ts makes too: -0.75, -0.5, … 0.75 over and over."""
    return ((torch.arange(tensor.numel()) % 7 - 3) / 4).reshape(tensor.shape).to(tensor.dtype)


def gradients(results, leaves):
    roots = [t for t in tensors_in(results) if t.requires_grad and t.layout == torch.strided]
    if not roots or not leaves:
        return None
    try:
        return torch.autograd.grad(roots, leaves, list(map(seed, roots)), allow_unused=True)
    except (RuntimeError, NotImplementedError):
        return None


def parameters(function):
    """The names of the parameters, for functions that return indices if asked to, too."""
    inner = inspect.getclosurevars(function).nonlocals.get("if_true", function)
    return list(inspect.signature(inner).parameters)


def case(op, sample):
    path, args, kwargs = spelled(op, (sample.input, *sample.args), sample.kwargs)
    args, kwargs = leaf(list(args)), leaf(kwargs)
    if path.endswith("_") and not path.endswith("__"):
        args = [arg.detach() if isinstance(arg, torch.Tensor) else arg for arg in args]
    written = dict(
        call=path,
        args=encode(args, storage=True),
        named={key: encode(value, storage=True) for key, value in kwargs.items()},
    )
    if inspect.isfunction(found(path)):
        written["parameters"] = parameters(found(path))
    leaves = [t for t in tensors_in([args, kwargs]) if t.requires_grad]
    results = call(path, args, kwargs)
    written["results"] = encode(results)
    fields = getattr(type(results), "__match_args__", ())
    if fields:
        written["fields"] = fields
    grads = gradients(results, leaves)
    return written if grads is None else dict(written, grads=encode(grads))


def kind(sample):
    """Samples of one kind differ by their values and sizes alone."""
    def one(value):
        if isinstance(value, torch.Tensor):
            return f"{value.dtype}{value.ndim}{value.layout}{value.numel() == 0}"
        if isinstance(value, (list, tuple)):
            return str([one(item) for item in value])
        return str(value) if value is None or isinstance(value, (str, bool)) else type(value).__name__
    named = [f"{key}{one(value)}" for key, value in sorted(sample.kwargs.items())]
    return str([one(value) for value in (sample.input, *sample.args)] + named)


def samples(op, dtype):
    torch.manual_seed(0)
    grads = op.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    every = op.sample_inputs("cpu", dtype, requires_grad=grads)
    small = (
        s
        for s in itertools.islice(every, 200)
        if sum(t.numel() for t in tensors_in([s.input, s.args, s.kwargs])) <= ELEMENTS
    )
    kinds = {}
    for sample in small:
        kinds.setdefault(kind(sample), []).append(sample)
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*kinds.values()))
    return [sample for sample in rounds if sample is not None]


def entry(op):
    name = title(op)
    if name.startswith("jiterator") or "triton" in name:
        return dict(name=name, reason="compiles source for CUDA")
    dtype = next((d for d in DTYPES if d in op.supported_dtypes("cpu")), None)
    if dtype is None:
        return dict(name=name, reason="has no kernel for the CPU in these dtypes")
    cases, faults = [], []
    for sample in samples(op, dtype):
        if len(cases) == SAMPLES:
            break
        try:
            cases.append(case(op, sample))
        except TimeoutError:
            raise
        except Exception as fault:  # whatever a sample raises, the next one may do
            faults.append(f"{type(fault).__name__}: {fault}".split("\n")[0])
    if not cases:
        return dict(name=name, reason=f"no sample runs: {(faults or ['none is small enough'])[0]}")
    return dict(name=name, dtype=str(dtype).removeprefix("torch."), cases=cases)


def guarded(op):
    def stop(*_):
        raise TimeoutError
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        return entry(op)
    except TimeoutError:
        return dict(name=title(op), reason=f"takes over {SECONDS} seconds")
    finally:
        signal.alarm(0)


def run_chunk(names, output):
    warnings.simplefilter("ignore")
    with open(output, "a") as file:
        for op in database():
            if title(op) in names:
                file.write(json.dumps(guarded(op)) + "\n")
                file.flush()


def smallest(line, count=2, longest=4000):
    """The line with its smallest samples alone, or None where all are long; empty ones come last."""
    operator = json.loads(line)
    texts = sorted(map(json.dumps, operator.get("cases", [])), key=lambda text: ('data": ""' in text, len(text)))
    kept = [json.loads(text) for text in texts if len(text) <= longest][:count]
    return json.dumps(dict(operator, cases=kept)) if kept else None


def write(file, lines):
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(file, "wb", mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode())
    print(f"wrote {file} ({file.stat().st_size} bytes)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output", nargs="?", type=pathlib.Path, default=OUTPUT)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--fixture", action="store_true")
    parser.add_argument("--chunk", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.chunk:
        return run_chunk(set(options.only), options.output)
    warnings.simplefilter("ignore")
    names = [title(op) for op in database() if not options.only or title(op) in options.only]
    lines = []
    with tempfile.NamedTemporaryFile() as part:
        while names:
            command = [sys.executable, __file__, part.name, "--chunk", "--only", *names[:CHUNK]]
            subprocess.run(command)
            found_lines = pathlib.Path(part.name).read_text().splitlines()[len(lines) :]
            lines += found_lines
            done = len(found_lines)
            if done < len(names[:CHUNK]):  # the next one ended the process
                lines.append(json.dumps(dict(name=names[done], reason="ends the process")))
                pathlib.Path(part.name).write_text("\n".join(lines) + "\n")
                done += 1
            names = names[done:]
            print(f"{len(lines)} operators, {len(names)} to go", flush=True)
    write(options.output, lines)
    if options.fixture:
        write(FIXTURE, [line for line in map(smallest, lines) if line is not None])


main()
