"""Writes test/fixtures/indexing.json: what Python's brackets read and write, for indices as JSON.

    PYTHONPATH=TORCH python3 scripts/golden/indexing.py
"""

import json
import pathlib

import torch

FILE = pathlib.Path(__file__).parents[2] / "test/fixtures/indexing.json"
SHAPE = (2, 3, 4)
MASK = [[True, False, True], [False, False, True]]
# JSON has no slices and no tensors: ranges are strings, tensors objects.
INDICES = [
    [0],
    [-1],
    [1, -2],
    [1, 2, -1],
    [":"],
    ["1:"],
    [":", "1:3"],
    [":", "-2:", "::2"],
    ["5:9"],
    ["1:1"],
    [":", ":", "3:1"],
    ["...", 0],
    ["...", "1:3"],
    [0, "...", -1],
    [None],
    [None, 0, None],
    ["...", None],
    [":", None, 1],
    [[0]],
    [[1, 0, 1]],
    [[-1], [0, 2]],
    [[0, 1], ":", [1, 3]],
    [":", [0, 2], [1, 3]],
    [":", [0, 2], "1:3"],
    [1, [0, 2]],
    [[[0], [1]], [0, 2]],
    [[]],
    [[True, False]],
    [":", [True, False, True]],
    [MASK],
    [MASK, 0],
    [MASK, "1:3"],
    ["...", [False, True, False, True]],
    [True],
    [False],
    [0, True],
    [{"tensor": 1}],
    [{"tensor": [1, 0]}, {"tensor": [2, 2]}],
    [":", {"tensor": [[0, 1], [2, 0]]}],
    [{"tensor": [1]}, None, "...", [0, 2]],
    ["0:2", None, "...", [0, 2]],
]
VALUES = [-1, {"tensor": [[[7.5]]]}, {"tensor": [10.5, 20, 30, 40]}]
REFUSED = [[2], [-3], [0, 3], [0, 0, 0, 0], ["::0"], ["::-1"], [[0, 2]], ["...", [4]]]


def python(index):
    if isinstance(index, dict):
        return torch.tensor(index["tensor"])
    if index == "...":
        return ...
    if isinstance(index, str):
        return slice(*(int(bound) if bound else None for bound in index.split(":")))
    return torch.tensor(index, dtype=torch.bool if flat(index) else torch.int64) if isinstance(index, list) else index


def flat(index):
    return any(flat(item) if isinstance(item, list) else isinstance(item, bool) for item in index)


def start():
    return torch.arange(24.0).reshape(SHAPE)


def written(index, value):
    x = start()
    try:
        x[index] = torch.tensor(value["tensor"]) if isinstance(value, dict) else value
    except (RuntimeError, IndexError):
        return None
    return x.tolist()


cases = []
for indices in INDICES:
    index = tuple(python(i) for i in indices)
    read = start()[index]
    cases.append(
        dict(indices=indices, shape=list(read.shape), read=read.tolist(), written=[written(index, v) for v in VALUES])
    )
refused = []
for indices in REFUSED:
    try:
        start()[tuple(python(i) for i in indices)]
    except (IndexError, ValueError, RuntimeError) as error:
        refused.append(dict(indices=indices, error=str(error)))
assert len(refused) == len(REFUSED)
FILE.write_text(json.dumps(dict(values=VALUES, cases=cases, refused=refused)) + "\n")
print(f"wrote {FILE} ({FILE.stat().st_size} bytes)")
