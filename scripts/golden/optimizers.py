"""Writes test/fixtures/optimizers.json and schedules.json: 20 steps of PyTorch's torch.optim.

    PYTHONPATH=TORCH python3 scripts/golden/optimizers.py
"""

import json
import math
import pathlib

import torch
from torch.optim import lr_scheduler as schedule

FIXTURES = pathlib.Path(__file__).parents[2] / "test/fixtures"
SHAPES = [[3, 2], [5], [2, 1, 2]]
STEPS = 20
WRITTEN = (0, 1, 2, 9, 19)
OPTIM = torch.optim
CASES = {
    "adam": (OPTIM.Adam, dict(weight_decay=0.1)),
    "adam-amsgrad": (OPTIM.Adam, dict(lr=0.1, betas=(0.8, 0.95), amsgrad=True, maximize=True)),
    "adam-decoupled": (OPTIM.Adam, dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)),
    "adamax": (OPTIM.Adamax, dict(betas=(0.8, 0.95), weight_decay=0.1)),
    "nadam": (OPTIM.NAdam, dict(weight_decay=0.1, momentum_decay=0.01)),
    "nadam-decoupled": (OPTIM.NAdam, dict(weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    "radam": (OPTIM.RAdam, dict(lr=0.1, weight_decay=0.1)),
    "radam-decoupled": (OPTIM.RAdam, dict(weight_decay=0.1, decoupled_weight_decay=True, betas=(0.8, 0.9))),
    "adagrad": (OPTIM.Adagrad, dict(lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.2)),
    "adadelta": (OPTIM.Adadelta, dict(rho=0.8, weight_decay=0.1, maximize=True)),
    "rmsprop": (OPTIM.RMSprop, dict(alpha=0.9, weight_decay=0.1)),
    "rmsprop-centered": (OPTIM.RMSprop, dict(alpha=0.9, momentum=0.5, centered=True)),
    "adamw-amsgrad": (OPTIM.AdamW, dict(lr=0.1, amsgrad=True, maximize=True)),
    "sgd-maximize": (OPTIM.SGD, dict(lr=0.1, momentum=0.9, maximize=True)),
}
SCHEDULES = {
    "LambdaLR": lambda o: schedule.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
    "MultiplicativeLR": lambda o: schedule.MultiplicativeLR(o, lambda t: 0.9),
    "StepLR": lambda o: schedule.StepLR(o, 4, gamma=0.3),
    "MultiStepLR": lambda o: schedule.MultiStepLR(o, [3, 3, 11], gamma=0.5),
    "ConstantLR": lambda o: schedule.ConstantLR(o, total_iters=6),
    "LinearLR": lambda o: schedule.LinearLR(o, total_iters=7),
    "ExponentialLR": lambda o: schedule.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda o: schedule.PolynomialLR(o, total_iters=12, power=2.0),
    "CosineAnnealingLR": lambda o: schedule.CosineAnnealingLR(o, 6, eta_min=0.001),
    "CosineAnnealingWarmRestarts": lambda o: schedule.CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.001),
    "OneCycleLR": lambda o: schedule.OneCycleLR(o, [0.5, 0.2], total_steps=21),
    "OneCycleLR-three": lambda o: schedule.OneCycleLR(
        o, 0.5, epochs=3, steps_per_epoch=7, anneal_strategy="linear", three_phase=True
    ),
    "CyclicLR": lambda o: schedule.CyclicLR(o, 0.01, 0.1, step_size_up=3, step_size_down=5, mode="triangular2"),
    "CyclicLR-exp": lambda o: schedule.CyclicLR(o, [0.01, 0.02], 0.1, step_size_up=4, mode="exp_range", gamma=0.95),
    "SequentialLR": lambda o: schedule.SequentialLR(
        o,
        [
            schedule.LinearLR(o, 0.1, total_iters=4),
            schedule.CosineAnnealingLR(o, 8),
            schedule.ExponentialLR(o, 0.9),
        ],
        [4, 12],
    ),
    "ReduceLROnPlateau": lambda o: schedule.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=2, min_lr=[0.01, 0.04]),
    "ReduceLROnPlateau-max": lambda o: schedule.ReduceLROnPlateau(
        o, "max", patience=2, threshold=0.3, threshold_mode="abs"
    ),
}


def values(index, step, shape):
    count = math.prod(shape)
    return torch.tensor([math.sin(1 + 7 * index + 3 * step + 1.7 * i) for i in range(count)]).reshape(shape)


def short(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def run(optimizer, options):
    """Two groups; the last parameter has a gradient in step 2 and from step 4 on."""
    params = [values(i, -1, shape).requires_grad_() for i, shape in enumerate(SHAPES)]
    groups = [dict(params=params[:1]), dict(params=params[1:], lr=0.02, weight_decay=0.0)]
    optimizer = optimizer(groups, **options)
    history = []
    for step in range(STEPS):
        for i, param in enumerate(params):
            param.grad = None if i == 2 and step in (0, 1, 3) else values(i, step, param.shape)
        optimizer.step()
        if step in WRITTEN:
            history.append([short(p) for p in params])
    return history


def lbfgs(**options):
    """A quadratic with a quartic term, all shapes in one sum; the parameters after each step."""
    params = [values(i, -1, shape).requires_grad_() for i, shape in enumerate(SHAPES)]
    optimizer = OPTIM.LBFGS(params, **options)

    def closure():
        optimizer.zero_grad()
        loss = sum(((p - values(i, 5, p.shape)) ** 2 * (i + 1) + 0.1 * p**4).sum() for i, p in enumerate(params))
        loss.backward()
        return loss

    history = []
    for _ in range(4):
        optimizer.step(closure)
        history.append([short(p) for p in params])
    return history


def rates(make):
    """Learning rate of both groups, and the momentum of the first, from the start on."""
    params = [torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)]
    optimizer = OPTIM.SGD([dict(params=params[:1]), dict(params=params[1:], lr=0.05)], lr=0.1, momentum=0.7)
    scheduler = make(optimizer)
    plateau = isinstance(scheduler, schedule.ReduceLROnPlateau)

    def now():
        return [group["lr"] for group in optimizer.param_groups] + [optimizer.param_groups[0]["momentum"]]

    history = [now()]
    for step in range(STEPS):
        optimizer.step()
        scheduler.step(*([1 / (1 + min(step, 4)) + step // 12] if plateau else []))
        history.append(now())
    return history


def write(name, content):
    file = FIXTURES / name
    file.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"wrote {file} ({file.stat().st_size} bytes)")


optimizers = {name: run(*case) for name, case in CASES.items()}
optimizers["lbfgs"] = lbfgs(lr=0.3, max_iter=3)
optimizers["lbfgs-wolfe"] = lbfgs(max_iter=2, history_size=3, line_search_fn="strong_wolfe")
write("optimizers.json", optimizers)
write("schedules.json", {name: rates(make) for name, make in SCHEDULES.items()})
