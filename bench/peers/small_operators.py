"""Peer of the case of 20 small operators, in PyTorch eager."""

import time

import torch

from protocol import serve

torch.set_num_threads(1)
X, Y = torch.ones(4, 4), torch.ones(4, 4)
MASK = X > 0

OPERATORS = {
    "add": lambda: X.add(Y),
    "addScalar": lambda: X.add(1.5),
    "mul": lambda: X.mul(Y),
    "div": lambda: X.div(Y),
    "exp": lambda: X.exp(),
    "relu": lambda: X.relu(),
    "sigmoid": lambda: X.sigmoid(),
    "sum": lambda: X.sum(),
    "meanOfDim": lambda: X.mean(1),
    "argmax": lambda: X.argmax(1),
    "softmax": lambda: X.softmax(1),
    "matmul": lambda: X.matmul(Y),
    "transpose": lambda: X.transpose(0, 1),
    "reshape": lambda: X.reshape(2, 8),
    "unsqueeze": lambda: X.unsqueeze(0),
    "narrow": lambda: X.narrow(0, 1, 2),
    "cat": lambda: torch.cat([X, Y]),
    "where": lambda: torch.where(MASK, X, Y),
    "gt": lambda: X.gt(Y),
    "addInPlace": lambda: X.add_(Y),
}


def call(name, n):
    """Nanoseconds a call."""
    operator = OPERATORS[name]
    start = time.perf_counter_ns()
    for _ in range(n):
        operator()
    return {"ns": (time.perf_counter_ns() - start) / n}


if __name__ == "__main__":
    serve({"call": call})
