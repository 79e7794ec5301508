"""The parameters and gradients of the optimisers' golden files; test/optim/parameters.ts has the same."""

import math

import torch

SHAPES = [[3, 2], [5], [2, 1, 2]]


def values(index, step, shape):
    count = math.prod(shape)
    return torch.tensor([math.sin(1 + 7 * index + 3 * step + 1.7 * i) for i in range(count)]).reshape(shape)


def steps(optimizer, options, count):
    """Two groups; the last parameter has a gradient in step 2 and from step 4 on. The parameters after each step."""
    params = [values(i, -1, shape).requires_grad_() for i, shape in enumerate(SHAPES)]
    groups = [dict(params=params[:1]), dict(params=params[1:], lr=0.02, weight_decay=0.0)]
    optimizer = optimizer(groups, **options)
    for step in range(count):
        for i, param in enumerate(params):
            param.grad = None if i == 2 and step in (0, 1, 3) else values(i, step, param.shape)
        optimizer.step()
        yield step, [p.detach().flatten() for p in params]
