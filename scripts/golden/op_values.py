"""Values of PyTorch calls as JSON: what test/helpers/op-values.ts reads."""

import base64
import math

import torch


def short(value):
    """`torch.float32` as `float32`."""
    return str(value).split(".")[-1]


def raw(tensor):
    flat = tensor.detach().reshape(-1).resolve_conj().resolve_neg()
    if flat._is_zerotensor():
        flat = torch.zeros(flat.shape, dtype=flat.dtype)
    return base64.b64encode(flat.contiguous().view(torch.uint8).numpy().tobytes()).decode()


def encode_tensor(tensor, storage=False):
    """With its storage where that is larger or in another order, which views of it then see."""
    encoded = dict(grad=True) if tensor.requires_grad and tensor.is_leaf else {}
    if tensor.layout == torch.sparse_coo:
        whole = tensor.detach().coalesce()
        parts = map(encode_tensor, (whole.indices(), whole.values()))
        return dict(coo=[*parts, list(tensor.shape)], **encoded)
    if tensor.layout != torch.strided:
        compressed = tensor.detach()
        rows = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
        parts = (
            (compressed.crow_indices(), compressed.col_indices())
            if rows
            else (compressed.ccol_indices(), compressed.row_indices())
        )
        return dict(
            compressed=[*map(encode_tensor, (*parts, compressed.values())), list(tensor.shape)],
            layout=short(tensor.layout),
            **encoded,
        )
    encoded.update(t=short(tensor.dtype), shape=list(tensor.shape), data=raw(tensor))
    partial = tensor.untyped_storage().nbytes() != tensor.nbytes
    if storage and tensor.numel() > 0 and (partial or not tensor.is_contiguous()):
        storage = torch.empty(0, dtype=tensor.dtype).set_(tensor.detach().untyped_storage())
        encoded.update(
            strides=list(tensor.stride()), offset=tensor.storage_offset(), data=raw(storage)
        )
    if tensor.is_conj():
        encoded["conj"] = True
    return encoded


def encode(value, storage=False):
    if isinstance(value, torch.Tensor):
        return encode_tensor(value, storage)
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, torch.SymInt)):
        return value if abs(value) < 2**53 else dict(int=str(value))
    if isinstance(value, float):
        return dict(float=value if math.isfinite(value) else str(value))
    if isinstance(value, complex):
        return dict(complex=[value.real, value.imag])
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format, torch.device)):
        return short(value)
    if isinstance(value, slice):
        return dict(slice=[value.start, value.stop, value.step])
    if value is Ellipsis:
        return dict(ellipsis=True)
    if isinstance(value, (list, tuple)):
        return [encode(item, storage) for item in value]
    raise TypeError(f"no JSON for {type(value).__name__}")


def tensors_in(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_in(item)]
    if isinstance(value, dict):
        return tensors_in(list(value.values()))
    return []
