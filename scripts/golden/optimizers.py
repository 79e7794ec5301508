"""Writes test/fixtures/optimizers.json, schedules.json and lbfgs.json: 20 steps of PyTorch's torch.optim.

    PYTHONPATH=TORCH python3 scripts/golden/optimizers.py
"""

import json
import pathlib

import torch
from parameters import steps
from torch.optim import lr_scheduler as schedule

FIXTURES = pathlib.Path(__file__).parents[2] / "test/fixtures"
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
    "adafactor": (OPTIM.Adafactor, dict(lr=0.1)),
    "adafactor-options": (OPTIM.Adafactor, dict(beta2_decay=-0.5, eps=(1e-3, 0.1), d=1.5, weight_decay=0.1, maximize=True)),
    "asgd": (OPTIM.ASGD, dict(lambd=0.01, alpha=0.5, t0=5, weight_decay=0.1)),
    "asgd-default": (OPTIM.ASGD, dict(maximize=True)),
    "rprop": (OPTIM.Rprop, dict()),
    "rprop-options": (OPTIM.Rprop, dict(etas=(0.3, 1.5), step_sizes=(0.005, 0.05), maximize=True)),
    "sparse-adam": (OPTIM.SparseAdam, dict(lr=0.1, betas=(0.8, 0.95))),
    "sparse-adam-maximize": (OPTIM.SparseAdam, dict(maximize=True)),
    "adamw-maximize": (OPTIM.AdamW, dict(lr=0.1, maximize=True)),
    "sgd-maximize": (OPTIM.SGD, dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.05, maximize=True)),
    "adamw-amsgrad": (OPTIM.AdamW, dict(lr=0.1, amsgrad=True, maximize=True)),
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
    "CyclicLR-scaled": lambda o: schedule.CyclicLR(
        o, 0.01, [0.1, 0.3], step_size_up=3, step_size_down=2, scale_fn=lambda cycle: 1 / cycle**2, base_momentum=0.7
    ),
    "CyclicLR-iterations": lambda o: schedule.CyclicLR(
        o, 0.01, 0.1, step_size_up=3, scale_fn=lambda n: 0.9**n, scale_mode="iterations"
    ),
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


def short(tensor):
    return [float(f"{value:.9g}") for value in tensor.tolist()]


def run(optimizer, options):
    return [[short(p) for p in params] for step, params in steps(optimizer, options, STEPS) if step in WRITTEN]


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


def rosenbrock(**options):
    """Five steps of LBFGS on the Rosenbrock function of two parameters: the loss before each, and they."""
    x = torch.tensor([-1.5], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = OPTIM.LBFGS([x, y], **options)

    def closure():
        optimizer.zero_grad()
        loss = (1 - x).square().sum() + 100 * (y - x.square()).square().sum()
        loss.backward()
        return loss

    history = []
    for _ in range(5):
        before = optimizer.step(closure).item()
        history.append([before, *x.tolist(), *y.tolist()])
    return history


LBFGS = {
    "plain": dict(lr=0.01, max_iter=4),
    "history": dict(lr=0.1, max_iter=6, history_size=2),
    "wolfe": dict(line_search_fn="strong_wolfe", max_iter=5),
    "wolfe-few": dict(line_search_fn="strong_wolfe", max_iter=20, max_eval=7),
}


def write(name, content):
    file = FIXTURES / name
    file.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(f"wrote {file} ({file.stat().st_size} bytes)")


write("optimizers.json", {name: run(*case) for name, case in CASES.items()})
write("schedules.json", {name: rates(make) for name, make in SCHEDULES.items()})
write("lbfgs.json", {name: rosenbrock(**options) for name, options in LBFGS.items()})
