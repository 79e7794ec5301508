"""Writes where PyTorch's documentation has the operators of a libtorch: scripts/generate/documented.txt.

    node -p "require('./dist/torch/native.js').loadCore().operators().join('\\n')" > SCHEMAS
    PYTHONPATH=TORCH python3 scripts/golden/documented.py SCHEMAS > scripts/generate/documented.txt

A name counts as documented where Python has a text for it.
"""

import re
import sys
import textwrap

import torch
import torch.nn.functional

NAMESPACES = ("linalg", "fft", "special")
HOMES = {
    "torch": torch,
    "torch.nn.functional": torch.nn.functional,
    "torch.Tensor": torch.Tensor,
}


def home_of(name):
    """The home whose documentation has the operator and its name there, or None."""
    for namespace in NAMESPACES:
        if name.startswith(namespace + "_"):
            short = name[len(namespace) + 1 :]
            return f"torch.{namespace}" if documented(getattr(torch, namespace), short) else None
    return next((home for home, owner in HOMES.items() if documented(owner, name)), None)


def documented(owner, name):
    return bool(getattr(getattr(owner, name, None), "__doc__", None))


def main(path):
    with open(path, encoding="utf-8") as file:
        names = sorted(set(re.findall(r"^aten::(\w+)", file.read(), re.MULTILINE)))
    for home in [*HOMES, *(f"torch.{namespace}" for namespace in NAMESPACES)]:
        found = [name for name in names if home_of(name) == home]
        print(f"{home}:")
        print(textwrap.fill(" ".join(found), 100, initial_indent="  ", subsequent_indent="  "))


main(sys.argv[1])
