"""The M3L training step written plainly in PyTorch eager, as the authors wrote it.

The peer of our own implementation, slow spots included: OHEM by softmax over all classes and argsort
over all pixels, also for the teacher; one AdamW per parameter group; the EMA as a loop.

    python3 m3l_eager.py --check GOLDEN_FOLDER    compares itself with the golden files
    python3 m3l_eager.py                          serves line-JSON commands, see `Session`
"""

import argparse
import contextlib
import json
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from linear_fusion import LinearFusion
from protocol import milliseconds, read_safetensors, serve

def ohem_cross_entropy(logits, labels, threshold=0.7, min_kept=0, ignore=255):
    """Cross entropy over the hardest pixels: softmax over all classes, argsort over all pixels."""
    batch, classes, height, width = logits.shape
    flat = labels.reshape(-1)
    valid = flat != ignore
    target = flat * valid.long()
    count = int(valid.sum())
    if count == 0:
        return logits.sum() * 0.0
    if min_kept <= count:
        probabilities = F.softmax(logits, dim=1).transpose(0, 1).reshape(classes, -1)
        probabilities = probabilities.masked_fill(~valid, 1)
        chosen = probabilities[target, torch.arange(len(target), device=target.device)]
        limit = threshold
        if min_kept > 0:
            order = chosen.argsort()
            limit = max(limit, float(chosen[order[min(len(order), min_kept) - 1]].detach()))
        valid = valid & (chosen <= limit)
    target = target.masked_fill(~valid, ignore).view(batch, height, width)
    return F.cross_entropy(logits, target, ignore_index=ignore)


def supervised(predictions, labels, min_kept):
    losses = [ohem_cross_entropy(p[: len(labels)], labels, 0.7, min_kept) for p in predictions]
    return sum(losses) / len(losses)


def pseudo_labels(ensemble):
    return torch.max(F.softmax(ensemble, dim=1), dim=1)[1]


def cross_supervised(predictions, pseudo):
    losses = [F.cross_entropy(p, pseudo, ignore_index=255) for p in predictions]
    return sum(losses) / len(losses)


def confusion_matrix(labels, predictions, classes, ignore=255):
    """[label, prediction] counts, with numpy on the CPU."""
    import numpy

    labels, predictions = labels.cpu().numpy().reshape(-1), predictions.cpu().numpy().reshape(-1)
    kept = labels != ignore
    index = classes * labels[kept].astype(numpy.int64) + predictions[kept]
    return numpy.bincount(index, minlength=classes**2).reshape(classes, classes)


class M3L:
    """Student, EMA teacher and one optimizer per parameter group."""

    def __init__(self, student, teacher, min_kept, total, rates, decays, weight=1.0, momentum=0.99, ratio=1.0):
        self.student, self.teacher = student, teacher
        self.min_kept, self.total, self.weight = min_kept, total, weight
        self.momentum, self.ratio, self.rates = momentum, ratio, rates
        encoder = list(student.encoder.named_parameters())
        groups = [
            [p for name, p in encoder if "norm" not in name],
            [p for name, p in encoder if "norm" in name],
            list(student.decoder.parameters()),
        ]  # alpha is in none of them
        self.optimizers = [
            torch.optim.AdamW(group, lr=rate, weight_decay=decay)
            for group, rate, decay in zip(groups, rates, decays)
        ]
        self.iteration = 0
        self.precision = contextlib.nullcontext
        for network in (student, teacher):
            network.train()
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def step(self, labelled, labels, unlabelled, branches):
        """labelled, unlabelled: M × [L or U,3,H,W]; branches for the samples after the first L."""
        count = labels.shape[0]
        inputs = [torch.cat([l, l, u]) for l, u in zip(labelled, unlabelled)]
        labels = torch.cat([labels, labels])
        with self.precision():
            predictions = self.student(inputs, [-1] * count + list(branches), self.ratio)
        with torch.no_grad(), self.precision():
            targets = self.teacher(inputs)
        predictions, targets = ([p.float() for p in given] for given in (predictions, targets))
        with torch.no_grad():
            teacher_sup = supervised(targets, labels, self.min_kept)
            pseudo = pseudo_labels(targets[-1])
        sup = supervised(predictions, labels, self.min_kept)
        pseudo_loss = cross_supervised(predictions, pseudo)
        total = sup + self.weight * pseudo_loss

        factor = (1 - self.iteration / self.total) ** 0.9
        for optimizer, rate in zip(self.optimizers, self.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.zero_grad()
        total.backward()
        self.optimise()
        self.iteration += 1
        return {
            "sup": float(sup.detach()), "teacher_sup": float(teacher_sup),
            "pseudo": float(pseudo_loss.detach()), "total": float(total.detach()),
        }

    def optimise(self):
        for optimizer in self.optimizers:
            optimizer.step()
        alpha = min(1 - 1 / (self.iteration + 1), self.momentum)
        with torch.no_grad():
            for old, new in zip(self.teacher.parameters(), self.student.parameters()):
                old.data.mul_(alpha).add_(new.data, alpha=1 - alpha)


def resident(name):
    """A figure of /proc/self/status in MB."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024 / 1e6


def load(prefix, tensors, **options):
    state = {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}
    model = LinearFusion(**options)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    return model


class Session:
    """The commands of the harness: `load` a file with weights and a batch, then `step` or `forward`.

    The file: `init.*`, `rgb`, `depth`, `labels`, `unlabelled_rgb`, `unlabelled_depth`; metadata as in
    the golden trajectory (backbone, num_classes, min_kept, base_lr, weight_decay, total_iterations)
    with `branches` for the one batch. Every dropout is 0, so that both sides compute the same loss.
    """

    def load(self, path, threads=2, device="cpu", precision="float32"):
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        tensors, meta = read_safetensors(path)
        options = dict(backbone=meta["backbone"], classes=int(meta["num_classes"]), drop_path=0.0, dropout=0.0)
        networks = [load("init.", tensors, **options).to(device) for _ in range(2)]
        self.m3l = trainer(*networks, meta)
        if precision == "bfloat16":
            self.m3l.precision = lambda: torch.autocast(device, torch.bfloat16)
        to = {name: tensors[name].to(device) for name in tensors if not name.startswith("init.")}
        self.batch = (
            [to["rgb"], to["depth"]], to["labels"].long(),
            [to["unlabelled_rgb"], to["unlabelled_depth"]], json.loads(meta["branches"]),
        )
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}

    def step(self, n):
        times, losses = milliseconds(lambda: self.m3l.step(*self.batch), n)
        return {"ms": times, "loss": losses["total"], "losses": losses}

    def optimise(self, n):
        """AdamW and EMA on the last step's gradients."""
        times, _ = milliseconds(self.m3l.optimise, n)
        return {"ms": times}

    def memory(self, path, n, threads=2):
        """Peak resident set of n steps above that before the networks were made."""
        start = resident("VmRSS")
        self.load(path, threads)
        self.step(n)
        return {"megabytes": resident("VmHWM") - start}

    def device_memory(self):
        """The most that tensors on the GPU took."""
        return {"bytes": torch.cuda.max_memory_allocated()}

    def forward(self, n):
        with torch.no_grad():
            times, _ = milliseconds(lambda: self.m3l.student(self.batch[0]), n)
        return {"ms": times}


    def load_losses(self, path, heads, min_kept, threads=2, device="cpu"):
        torch.set_num_threads(threads)
        tensors, _ = read_safetensors(path)
        at = lambda name: tensors[name].to(device)
        self.min_kept, self.labels = min_kept, at("labels")
        self.logits = [[at(f"{kind}.{head}") for head in range(heads)] for kind in ("student", "teacher")]
        return {}

    def losses(self, n):
        """From both networks' low-resolution logits to the student's gradients."""

        def full(logits):
            return F.interpolate(logits, size=self.labels.shape[-2:], mode="bilinear", align_corners=True)

        def work():
            students = [logits.detach().requires_grad_() for logits in self.logits[0]]
            predictions = [full(logits) for logits in students]
            with torch.no_grad():
                targets = [full(logits) for logits in self.logits[1]]
                supervised(targets, self.labels, self.min_kept)
                pseudo = pseudo_labels(targets[-1])
            total = supervised(predictions, self.labels, self.min_kept)
            total = total + cross_supervised(predictions, pseudo)
            total.backward()
            return float(total.detach())

        times, loss = milliseconds(work, n)
        return {"ms": times, "loss": loss}


def trainer(student, teacher, meta):
    return M3L(
        student, teacher, int(meta["min_kept"]), int(meta["total_iterations"]),
        json.loads(meta["base_lr"]), json.loads(meta["weight_decay"]),
        float(meta["pseudo_loss_coeff"]), float(meta["ema_alpha"]), float(meta["masking_ratio"]),
    )


def check(folder):
    """Compares this file with the golden values; prints each relative error with its bound."""
    failed = False

    def compare(name, found, expected, bound):
        nonlocal failed
        found, expected = torch.as_tensor(found).double(), torch.as_tensor(expected).double()
        error = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
        failed |= not error <= bound
        print(f"{'ok  ' if error <= bound else 'FAIL'} {name:58s} {error:.2e} (bound {bound:.0e})")

    def compare_tree(prefix, named, expected, bound):
        worst, worst_name = 0.0, ""
        for name, tensor in named:
            norm = expected.get(f"{prefix}{name}#norm")
            if norm is None and prefix + name in expected:
                norm = expected[prefix + name].double().norm()
            if norm is None:
                continue
            tensor = torch.zeros(1) if tensor is None else tensor
            error = float((tensor.double().norm() - norm).abs() / max(float(norm), 1e-6))
            if error > worst:
                worst, worst_name = error, name
        compare(f"{prefix}* norms, worst {worst_name}", 1 + worst, 1.0, bound)

    tensors, meta = read_safetensors(os.path.join(folder, "linear-fusion-b0.safetensors"))
    model = load("state.", tensors, backbone=meta["backbone"], classes=int(meta["num_classes"])).eval()
    inputs = [tensors["input.rgb"], tensors["input.depth"]]
    for kind, branches in (("full", None), ("masked", json.loads(meta["masked_branches"]))):
        predictions = model(inputs, branches)
        for name, prediction in zip(("rgb", "depth", "ensemble"), predictions):
            compare(f"linear-fusion {kind}.{name}", prediction.detach(), tensors[f"{kind}.{name}"], 1e-4)
    ohem = json.loads(meta["ohem"])
    losses = [ohem_cross_entropy(p, tensors["input.labels"], ohem["thresh"], ohem["min_kept"]) for p in predictions]
    loss = sum(losses) / len(losses)
    loss.backward()
    compare("linear-fusion masked.ohem_loss", loss.detach(), tensors["masked.ohem_loss"], 1e-4)
    compare_tree("grad.", [(n, p.grad) for n, p in model.named_parameters()], tensors, 1e-3)

    tensors, meta = read_safetensors(os.path.join(folder, "ohem.safetensors"))
    for case in range(6):
        options = json.loads(meta[str(case)])
        logits = tensors[f"{case}.logits"].clone().requires_grad_()
        loss = ohem_cross_entropy(logits, tensors[f"{case}.labels"], options["thresh"], options["min_kept"])
        expected = tensors[f"{case}.loss"].nan_to_num(0)
        compare(f"ohem {case} loss", loss.detach(), expected, 1e-4)
        if f"{case}.grad" in tensors:
            loss.backward()
            compare(f"ohem {case} gradient", logits.grad, tensors[f"{case}.grad"], 1e-4)

    tensors, meta = read_safetensors(os.path.join(folder, "metrics.safetensors"))
    for case in range(4):
        classes = json.loads(meta[str(case)])["num_classes"]
        found = confusion_matrix(tensors[f"{case}.labels"], tensors[f"{case}.pred"], classes)
        compare(f"metrics {case} confusion", found, tensors[f"{case}.confusion"], 0)

    tensors, meta = read_safetensors(os.path.join(folder, "m3l-trajectory-b0.safetensors"))
    options = dict(backbone=meta["backbone"], classes=int(meta["num_classes"]), drop_path=0.0, dropout=0.0,
                   fusion_ratio=float(meta["fusion_ratio"]))
    student, teacher = (load("init.", tensors, **options) for _ in range(2))
    m3l = trainer(student, teacher, meta)
    for index, expected in enumerate(json.loads(meta["log"])):
        batch = {n.split(".", 1)[1]: t for n, t in tensors.items() if n.startswith(f"step{index}.")}
        found = m3l.step(
            [batch["rgb"], batch["depth"]], batch["labels"].long(),
            [batch["unlabelled_rgb"], batch["unlabelled_depth"]], expected["branches"],
        )
        for name, value in found.items():
            compare(f"trajectory step {index} {name}", value, expected[name], 1e-3)
    compare_tree("final.student.", student.state_dict().items(), tensors, 1e-3)
    compare_tree("final.teacher.", teacher.state_dict().items(), tensors, 1e-3)
    return not failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(0 if check(arguments.check) else 1)
    session = Session()
    serve({
        "load": session.load, "step": session.step, "forward": session.forward,
        "optimise": session.optimise, "memory": session.memory,
        "device_memory": session.device_memory,
        "load_losses": session.load_losses, "losses": session.losses,
    })
