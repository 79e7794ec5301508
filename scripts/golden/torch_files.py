"""Writes test/fixtures/torch-files/: small files of PyTorch and NumPy, and what they hold.

    PYTHONPATH=TORCH python3 scripts/golden/torch_files.py
"""

import argparse
import collections
import json
import pathlib
import zipfile

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parents[2] / "test/fixtures/torch-files"


def state():
    """What a checkpoint holds: strided views, ties, containers, numbers of NumPy."""
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    tied = torch.nn.Parameter(torch.tensor([[0.5, -1.25], [3.0, float("nan")]]))
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) / 4 + i)
    shared = [1, "two"]
    return {
        "state_dict": model.state_dict(),
        "meta": {"mmcv_version": "1.3.9", "config": "lr = 0.1\n", "CLASSES": ("wall", "été")},
        "views": {
            "base": base,
            "transposed": base.t(),
            "row": base[1],
            "every": base[:, ::2],
            "expanded": base[0, :1].expand(3),
        },
        "tied": [tied, tied],
        "scalar": torch.tensor(7, dtype=torch.int64),
        "empty": torch.zeros(0, 3),
        "conj": torch.tensor([1 + 2j, -3j]).conj(),
        "numbers": [0, -1, 255, 65535, 2**31, -(2**40), 2**53 + 2, 10**30, 0.5, -0.0, True, None],
        "complex": 1 - 2j,
        "bytes": b"\x00\xff\x80",
        "set": {3, 4},
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "steps": {0: "zero", 5: "five"},
        "size": torch.Size([2, 3]),
        "dtype": torch.bfloat16,
        "device": torch.device("cuda:1"),
        "shared": [shared, shared],
        "tuple": ((), (1,), (1, 2, 3, 4)),
        "best": np.float64(0.75),
        "count": np.int64(2**60),
        "flag": np.bool_(True),
        "array": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16, order="F"),
    }


def dtypes():
    """Every dtype that a tensor may have."""
    names = """uint8 int8 int16 int32 int64 float16 float32 float64 complex64 complex128 bool bfloat16
    float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz uint16 uint32 uint64""".split()
    return {name: torch.tensor([0, 1, 1, 0, 1]).to(getattr(torch, name)) for name in names}


def sparse():
    dense = torch.tensor([[0, 1.5, 0, 0], [2.5, 0, 0, -1], [0, 0, 0, 0], [0, 0, 0, 8]])
    return {
        "coo": dense.to_sparse(),
        "csr": dense.to_sparse_csr(),
        "csc": dense.to_sparse_csc(),
        "bsr": dense.to_sparse_bsr((2, 2)),
        "meta": torch.empty(2, 3, device="meta"),
    }


def bits(tensor):
    return tensor.contiguous().view(torch.uint8).reshape(-1).tolist() if tensor.numel() else []


def describe(value):
    """A value as JSON, in which JavaScript can say the same of what it read."""
    if isinstance(value, torch.Tensor):
        facts = {"dtype": str(value.dtype)[6:], "shape": list(value.shape)}
        facts["requiresGrad"] = value.requires_grad
        if value.is_meta:
            return {"tensor": {**facts, "meta": True}}
        if value.layout != torch.strided:
            return {"tensor": {**facts, "bits": bits(value.to_dense())}}
        plain = value.detach().resolve_conj()
        dense = plain.clone(memory_format=torch.contiguous_format).reshape(-1)
        # NumPy's empty arrays have strides of their own.
        strides = list(value.stride()) if value.numel() else []
        return {"tensor": {**facts, "strides": strides, "bits": bits(dense)}}
    if isinstance(value, np.ndarray):
        return describe(torch.from_numpy(value))
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value) if abs(int(value)) < 2**53 else {"bigint": str(int(value))}
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, bytes):
        return {"bytes": list(value)}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(value)}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: describe(item) for key, item in value.items()}
        return {"map": [[key, describe(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value).replace("torch.", "")
    return value


def rezip(source, target, change=lambda name, data: data, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(target, "w", compression) as out:
        for entry in zipfile.ZipFile(source).infolist():
            data = change(entry.filename, zipfile.ZipFile(source).read(entry))
            out.writestr(zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0)), data, compression)


def write_torch():
    expected = {}

    def write(name, value, **options):
        torch.save(value, FOLDER / name, **options)
        expected[name] = describe(value)

    write("zip.pth", state())
    write("zip-protocol4.pth", state(), pickle_protocol=4)
    write("legacy.pth", state(), _use_new_zipfile_serialization=False)
    write("legacy-protocol5.pth", state(), _use_new_zipfile_serialization=False, pickle_protocol=5)
    write("dtypes.pth", dtypes())
    write("sparse.pth", sparse())
    write("legacy-dtypes.pth", dtypes(), _use_new_zipfile_serialization=False)
    write("tensor.pth", torch.arange(3.0))
    torch.serialization.set_crc32_options(False)
    write("no-sums.pth", {"w": torch.arange(64.0)})
    torch.serialization.set_crc32_options(True)
    rezip(FOLDER / "zip.pth", FOLDER / "deflated.pth", compression=zipfile.ZIP_DEFLATED)
    expected["deflated.pth"] = expected["zip.pth"]

    # As a big-endian machine writes it: float32 and int64 in the order that is not ours.
    pair = {"w": torch.tensor([1.5, -2.0]), "n": torch.tensor([1, 256]), "c": torch.tensor([1 + 2j])}
    write("little.pth", pair)
    words = {"data/0": 4, "data/1": 8, "data/2": 4}

    def swap(name, data):
        inner = name.split("/", 1)[1]
        if inner == "byteorder":
            return b"big"
        size = words.get(inner, 1)
        return b"".join(data[i : i + size][::-1] for i in range(0, len(data), size))

    rezip(FOLDER / "little.pth", FOLDER / "big-endian.pth", swap)
    expected["big-endian.pth"] = expected["little.pth"]

    torch.save({"args": argparse.Namespace(lr=1), "w": torch.ones(1)}, FOLDER / "namespace.pth")
    torch.save(torch.nn.Linear(1, 1), FOLDER / "module.pth")
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), FOLDER / "script.pt")
    return expected


def write_numpy():
    expected = {}

    def write(name, array, version=None):
        with open(FOLDER / name, "wb") as file:
            np.lib.format.write_array(file, array, version)
        expected[name] = describe(torch.from_numpy(np.asarray(array, array.dtype.newbyteorder("="))))

    grid = np.arange(6).reshape(2, 3)
    for dtype in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split():
        write(f"{dtype}.npy", (grid[:, :2] % 2).astype(dtype))
    write("fortran.npy", np.asfortranarray(grid.astype("f4")))
    write("version2.npy", grid.astype("f4"), (2, 0))
    write("version3.npy", grid.astype("f4"), (3, 0))
    write("scalar.npy", np.array(2.5))
    write("empty.npy", np.zeros((0, 3), "f4"))
    write("big-endian.npy", grid.astype(">f8"))
    write("big-endian-complex.npy", np.array([1 + 2j], ">c8"))
    arrays = {"a": grid.astype("f4"), "b": np.asfortranarray(grid.astype("i2")), "c": np.array(1.0)}
    np.savez(FOLDER / "stored.npz", **arrays)
    np.savez_compressed(FOLDER / "packed.npz", **arrays)
    for name in ("stored.npz", "packed.npz"):
        expected[name] = {key: describe(torch.from_numpy(array)) for key, array in arrays.items()}
    np.save(FOLDER / "text.npy", np.array(["a"]))
    np.save(FOLDER / "objects.npy", np.array([None], dtype=object))
    np.save(FOLDER / "fields.npy", np.zeros(1, dtype=[("x", "f4"), ("y", "i4")]))
    return expected


FOLDER.mkdir(exist_ok=True)
expected = {**write_torch(), **write_numpy()}
names = {}
for name, value in expected.items():
    # Of what several files hold, the later ones name the first.
    first = names.setdefault(json.dumps(value), name)
    if first != name:
        expected[name] = {"as": first}
(FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")
total = sum(file.stat().st_size for file in FOLDER.iterdir())
print(f"wrote {FOLDER} ({total} bytes in {len(list(FOLDER.iterdir()))} files)")
