"""The parameters and gradients of the optimisers' golden files; test/optim/parameters.ts has the same."""

import math

import torch

SHAPES = [[3, 2], [5], [2, 1, 2]]


def values(index, step, shape):
    count = math.prod(shape)
    return torch.tensor([math.sin(1 + 7 * index + 3 * step + 1.7 * i) for i in range(count)]).reshape(shape)


def sparse(gradient, step):
    """Without the rows that are not of the step's parity; the first row twice."""
    rows = torch.tensor([0, *range(step % 2, gradient.shape[0], 2)])
    return torch.sparse_coo_tensor(rows[None], gradient[rows], gradient.shape)


def steps(optimizer, options, count):
    """Two groups; the last parameter has a gradient in step 2 and from step 4 on. The parameters after each step."""
    is_sparse = optimizer is torch.optim.SparseAdam
    params = [values(i, -1, shape).requires_grad_() for i, shape in enumerate(SHAPES)]
    groups = [dict(params=params[:1]), dict(params=params[1:], lr=0.02, weight_decay=0.0)]
    optimizer = optimizer(groups, **options)
    for step in range(count):
        for i, param in enumerate(params):
            param.grad = None if i == 2 and step in (0, 1, 3) else values(i, step, param.shape)
            if is_sparse and param.grad is not None:
                param.grad = sparse(param.grad, step)
        optimizer.step()
        yield step, [p.detach().flatten() for p in params]
