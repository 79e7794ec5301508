"""What every peer shares: line-JSON on stdin/stdout, and a reader of safetensors files."""

import json
import struct
import sys
import time

import torch

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}


def read_safetensors(path):
    """Returns (tensors by name, metadata). The format: u64 header length, JSON header, raw data."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        if begin == end:
            tensors[name] = torch.empty(entry["shape"], dtype=dtype)
            continue
        tensors[name] = torch.frombuffer(data[begin:end], dtype=dtype).reshape(entry["shape"])
    return tensors, metadata


def milliseconds(work, count):
    """Wall time of each of `count` calls, and what the last one returned."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - start) * 1e3)
    return times, result


def serve(commands):
    """Answers each request line {"cmd": name, ...} with one line of JSON, until stdin closes."""
    for line in sys.stdin:
        request = json.loads(line)
        name = request.pop("cmd")
        if name == "quit":
            return
        try:
            answer = commands[name](**request)
        except Exception as error:  # the harness prints it; a traceback goes to stderr
            import traceback

            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
