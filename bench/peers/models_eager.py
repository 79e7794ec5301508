"""A supervised training step of each model of the benchmark, plainly in PyTorch eager.

    python3 models_eager.py --check GOLDEN_FOLDER    compares each with its golden file
    python3 models_eager.py                          serves line-JSON commands, see `Session`
"""

import argparse
import json
import os
import re
import sys

import torch
import torch.nn as nn

from deeplab import DeepLabV3Plus
from linear_fusion import LinearFusion
from m3l_eager import ohem_cross_entropy, resident
from models import ChannelExchange, CrossModalRectification, RefineNet, TokenFusion, UnifiedRepresentation
from protocol import milliseconds, read_safetensors, serve


class PlainLinearFusion(LinearFusion):
    def __init__(self, backbone, classes, modalities=2):
        super().__init__(backbone, classes, modalities, drop_path=0.0, dropout=0.0)
        for i in range(1, 5):
            getattr(self.encoder, f"patch_embed{i}").mask_token = None

    def forward(self, xs):
        return super().forward(xs), 0.0


MODELS = {
    "linear-fusion": PlainLinearFusion,
    "token-fusion": TokenFusion,
    "cross-modal-rectification": CrossModalRectification,
    "unified-representation": UnifiedRepresentation,
    "channel-exchange": ChannelExchange,
    "refinenet": RefineNet,
    "deeplabv3plus": DeepLabV3Plus,
}


def load(name, state, meta):
    model = MODELS[name](meta["backbone"], int(meta["num_classes"]))
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [each for each in missing if not each.endswith("num_batches_tracked")]
    assert not unexpected and not missing, (name, missing, unexpected)
    return model


def train_mode(model, frozen):
    """BatchNorm frozen, as the transformers are trained, or with the batch's statistics."""
    model.train()
    for module in model.modules():
        if frozen and isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


class Session:
    """`load` a file with `init.*`, an image [L,3,H,W] per modality and `labels`, then `step`."""

    def load(self, path, threads=2):
        torch.set_num_threads(threads)
        tensors, meta = read_safetensors(path)
        state = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("init.")}
        self.model = train_mode(load(meta["model"], state, meta), meta["frozen"] == "true")
        self.images = [tensors[name] for name in json.loads(meta["modalities"])]
        self.labels, self.min_kept = tensors["labels"].long(), int(meta["min_kept"])
        parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(parameters, lr=float(meta["lr"]), weight_decay=0.0)
        return {"torch": torch.__version__}

    def one(self):
        heads, penalty = self.model(self.images)
        losses = [ohem_cross_entropy(head, self.labels, 0.7, self.min_kept) for head in heads]
        loss = sum(losses) / len(losses) + penalty
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def step(self, n):
        times, loss = milliseconds(self.one, n)
        return {"ms": times, "loss": loss}

    def memory(self, path, n, threads=2):
        """Peak resident set of n steps above that before the network was made."""
        start = resident("VmRSS")
        self.load(path, threads)
        self.step(n)
        return {"megabytes": resident("VmHWM") - start}


def state_by_rule(meta):
    """Weights by the rule of the golden files' README, in doubles."""
    rule, state = json.loads(meta["weights_rule"]), {}
    for name, shape in json.loads(meta["state_shapes"]).items():
        seed = 0x811C9DC5
        for byte in f"{rule['salt']}/{name}".encode():
            seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
        count = 1
        for side in shape:
            count *= side
        z = (seed + (torch.arange(count, dtype=torch.int64) + 1) * 0x9E3779B9) & 0xFFFFFFFF
        z = times(z ^ (z >> 16), 0x85EBCA6B)
        z = times(z ^ (z >> 13), 0xC2B2AE35)
        v = (z ^ (z >> 16)).double() / 2**32
        entry = next(
            each for each in rule["ranges"]
            if re.search(each["match"], name) and each.get("dims", len(shape)) == len(shape)
        )
        if "gain" in entry:
            fan = count // shape[0]
            bound = (3 * entry["gain"] / fan) ** 0.5
            v = -bound + (bound + bound) * v
        elif "p" in entry:
            small, (a, c) = v < entry["p"], entry["small"]
            low = a + (c - a) * (v / entry["p"])
            high = entry["lo"] + (entry["hi"] - entry["lo"]) * ((v - entry["p"]) / (1 - entry["p"]))
            v = torch.where(small, low, high)
        else:
            v = entry["lo"] + (entry["hi"] - entry["lo"]) * v
        state[name] = v.float().reshape(shape)
    return state


def times(z, factor):
    """z · factor modulo 2^32, in halves: the product of two 32-bit numbers does not fit an int64."""
    return ((z * (factor & 0xFFFF)) + (((z * (factor >> 16)) & 0xFFFF) << 16)) & 0xFFFFFFFF


FILES = {
    "token-fusion": "token-fusion-plain-b0",
    "unified-representation": "unified-representation-b0",
    "channel-exchange": "channel-exchange-r18",
    "refinenet": "refinenet-r18",
    "deeplabv3plus": "deeplabv3plus-r18",
}


def check(folder):
    """Predictions of every model that has a golden file; CMX's rectification has none."""
    failed = False
    for name, file in FILES.items():
        tensors, meta = read_safetensors(os.path.join(folder, f"{file}.safetensors"))
        given = {each[6:]: tensor for each, tensor in tensors.items() if each.startswith("state.")}
        state = state_by_rule(meta) if "weights_rule" in meta else given
        model = load(name, state, meta).eval()
        images = [tensors[each] for each in ("input.rgb", "input.depth") if each in tensors]
        with torch.no_grad():
            heads, penalty = model(images)
        names = ["full.pred"] if len(heads) == 1 else ["full.rgb", "full.depth", "full.ensemble"]
        for head, each in zip(heads, names):
            error = float((head - tensors[each]).abs().max() / tensors[each].abs().max())
            failed |= not error <= 1e-4
            print(f"{'ok  ' if error <= 1e-4 else 'FAIL'} {name} {each} {error:.2e}")
        if "l1_penalty" in tensors:
            wanted = float(tensors["l1_penalty"]) * model.weight
            wanted = wanted / images[0].shape[0] if name == "token-fusion" else wanted
            error = abs(float(penalty) / wanted - 1)
            failed |= not error <= 1e-4
            print(f"{'ok  ' if error <= 1e-4 else 'FAIL'} {name} penalty {error:.2e}")
    return not failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(0 if check(arguments.check) else 1)
    session = Session()
    serve({"load": session.load, "step": session.step, "memory": session.memory})
