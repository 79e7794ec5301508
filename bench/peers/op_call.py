"""Peer of the operator-call cases in PyTorch eager: small calls, and large temporaries."""

import re
import time

import torch

from protocol import serve


def call(n, threads=1):
    """Nanoseconds a call of `add` on two 4-element tensors."""
    torch.set_num_threads(threads)
    a, b = torch.ones(4), torch.ones(4)
    start = time.perf_counter_ns()
    for _ in range(n):
        torch.add(a, b)
    return {"ns": (time.perf_counter_ns() - start) / n}


def refused(n):
    """Microseconds of an `add` whose shapes do not fit, its error caught."""
    a, b = torch.ones(4), torch.ones(3)
    start = time.perf_counter_ns()
    for _ in range(n):
        try:
            torch.add(a, b)
        except RuntimeError:
            pass
    return {"us": (time.perf_counter_ns() - start) / n / 1e3}


def status(name):
    """A figure of /proc/self/status in MB."""
    with open("/proc/self/status") as file:
        return int(re.search(rf"{name}:\s*(\d+) kB", file.read())[1]) * 1024 / 1e6


def temporaries(n=2000, elements=2**18):
    """Peak resident set above its start while n temporaries of 4 · elements bytes are made."""
    ones = torch.ones(elements)
    torch.add(ones, ones)
    start = status("VmRSS")
    for _ in range(n):
        torch.add(ones, ones)
    return {"megabytes": status("VmHWM") - start}


def million(n=1_000_000):
    """The resident set's rise over the second half of a million operators."""
    a = torch.ones(16, 16)
    most = [0, 0]
    for done in range(n):
        a.add(a)
        if done % 1000 == 999:
            half = int(done >= n / 2)
            most[half] = max(most[half], status("VmRSS"))
    return {"megabytes": most[1] - most[0]}


if __name__ == "__main__":
    serve({"call": call, "refused": refused, "temporaries": temporaries, "million": million})
