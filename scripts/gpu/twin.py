"""Every operator of torch.ops.m3l on a device against its twin on the CPU, forward and backward.

    python3 twin.py KERNELS.so [--device cuda] [--quick] [--times]

Each dtype, odd, empty, strided and unaligned shapes; then, on CUDA, one graph over forward, backward and
update. Inputs, results and gradients of both are compared relative to the largest value. Each part runs in a
process of its own, since an error of a kernel takes the device's context with it. Prints what fails as it
does, and last a line of JSON: { "checks", "failures": [...], "graph": {...}, "times": [...] }. Exit
code 1 where something failed. `--quick`: one dtype, for compute-sanitizer; `--times`: see twin_times.py.
"""

import argparse
import json
import multiprocessing
import sys
import traceback

import torch

TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-11, torch.bfloat16: 2e-2, torch.float16: 3e-3}


def relative(found, expected):
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    if found.shape != expected.shape:
        return float("inf")
    if found.numel() == 0:
        return 0.0
    if not torch.isfinite(found).all():
        return float("nan")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-6))


def unequal(found, expected):
    """Share of the elements that differ."""
    return float((found.cpu() != expected.cpu()).double().mean()) if expected.numel() > 0 else 0.0


def draw(*shape, dtype=torch.float32, gradient=True, scale=1.0):
    values = torch.randn(*shape, dtype=torch.float64) * scale
    return values.to(dtype).requires_grad_(gradient)


def moved(x, where):
    """A leaf of the same strides: what was no contiguous tensor is none there."""
    return x.detach().to(where).requires_grad_(x.requires_grad)


def shifted(x, where):
    there = x.detach().to(where)
    memory = torch.empty(there.numel() + 1, dtype=there.dtype, device=where)
    place = memory.as_strided(there.shape, there.stride(), 1)
    return place.copy_(there).requires_grad_(x.requires_grad)


def transposed(*shape, dims, dtype):
    """A leaf whose memory has two dimensions exchanged."""
    return draw(*shape, dtype=dtype).detach().transpose(*dims).requires_grad_()


class ContextLost(Exception):
    """Nothing on the device can be computed any more."""


class Twins:
    def __init__(self, device):
        self.device = torch.device(device)
        self.checks, self.failures = 0, []

    def check(self, name, error_of, tolerance):
        self.checks += 1
        try:
            error = error_of()
        except Exception as fault:  # one operator that throws must not hide the others
            traceback.print_exc(limit=3)
            self.fail(f"{name}: {type(fault).__name__}: {str(fault).splitlines()[0][:200]}")
            if self.is_lost():
                raise ContextLost(name) from fault
            return
        if not error <= tolerance:
            self.fail(f"{name}: {error:.2e} > {tolerance:.0e}")

    def is_lost(self):
        if self.device.type != "cuda":
            return False
        try:
            torch.cuda.synchronize()
            return False
        except RuntimeError:
            return True

    def fail(self, text):
        self.failures.append(text)
        print("FAIL", text, flush=True)

    def twin(self, name, operator, inputs, tolerance):
        """`operator(*inputs)` and the gradients of its leaves, there and here in the same dtype; again with
        every tensor one element after where memory begins."""
        for end, place in (("", moved), (" unaligned", shifted)):
            self.check(
                name + end,
                lambda: max(map(relative, self.run(operator, inputs, self.device, place), self.run(operator, inputs, "cpu", moved))),
                tolerance,
            )

    @staticmethod
    def run(operator, inputs, where, place):
        given = [place(x, where) if torch.is_tensor(x) else x for x in inputs]
        results = operator(*given)
        results = list(results) if isinstance(results, tuple) else [results]
        leaves = [x for x in given if torch.is_tensor(x) and x.requires_grad]
        if not leaves:
            return results
        generator = torch.Generator().manual_seed(1)
        roots = [result for result in results if result.requires_grad]
        seeds = [torch.randn(root.shape, generator=generator).to(root) for root in roots]
        gradients = torch.autograd.grad(roots, leaves, seeds, allow_unused=True)
        return results + [gradient for gradient in gradients if gradient is not None]


def fusions(t, m, dtype, tolerance):
    for modalities, shape in ((2, (4, 7, 8)), (3, (6, 5, 9)), (2, (2, 0, 4)), (5, (5, 33, 64))):
        t.twin(f"linear_fuse {dtype} {shape}", lambda x, n=modalities: m.linear_fuse(x, n, 0.8), [draw(*shape, dtype=dtype)], tolerance)
    t.twin(f"linear_fuse {dtype} strided", lambda x: m.linear_fuse(x, 2, 0.8), [transposed(8, 7, 4, dims=(1, 2), dtype=dtype)], tolerance)
    cases = ((2, 3, 16, 32, 0.8, 1), (2, 3, 40, 64, 0.8, 0), (2, 2, 33, 13, 0.6, 1), (2, 2, 7, 320, 1, 1),
             (3, 2, 5, 20, 0.5, 1), (1, 2, 11, 512, 1, 0), (2, 1, 289, 512, 0.8, 1), (4, 1, 3, 1030, 0.9, 1))
    for case in cases:
        modalities, batch, tokens, channels, ratio, scaled = case
        rows = modalities * batch
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        scale = [(torch.rand(rows) < 0.7).float() / 0.7] if scaled else []
        t.twin(
            f"fuse_residual_norm {dtype} {case}",
            lambda a, b, w, c, s=None, n=modalities, r=ratio: m.fuse_residual_norm(a, b, s, w, c, n, r, 1e-6),
            [draw(rows, tokens, channels, dtype=dtype), draw(rows, tokens, channels, dtype=dtype),
             draw(modalities, channels, dtype=wide), draw(modalities, channels, dtype=wide), *scale],
            3 * tolerance,
        )
        if dtype in (torch.bfloat16, torch.float16):
            t.twin(
                f"fuse_residual_norm float32 with {dtype} {case}",
                lambda a, b, w, c, s=None, n=modalities, r=ratio: m.fuse_residual_norm(a, b, s, w, c, n, r, 1e-6),
                [draw(rows, tokens, channels), draw(rows, tokens, channels, dtype=dtype),
                 draw(modalities, channels), draw(modalities, channels), *scale],
                3 * tolerance,
            )
        t.twin(
            f"modality_norm {dtype} {case[:4]}",
            lambda a, w, c, n=modalities: m.modality_norm(a, w, c, n, 1e-6),
            [draw(rows, tokens, channels, dtype=dtype), draw(modalities, channels, dtype=dtype), draw(modalities, channels, dtype=dtype)],
            3 * tolerance,
        )


def tokens(t, m, dtype, tolerance):
    shapes = ((1, 1, 1, 1), (2, 5, 7, 9), (3, 1, 6, 64), (2, 6, 1, 65), (12, 4, 4, 256), (1, 41, 31, 130), (2, 17, 17, 1280), (0, 3, 3, 4))
    for shape in shapes:
        batch, height, width, channels = shape
        t.twin(
            f"token_dwconv_gelu {dtype} {shape}",
            lambda x, w, b, h=height, v=width: m.token_dwconv_gelu(x, w, b, h, v),
            [draw(batch, height * width, channels, dtype=dtype), draw(channels, 1, 3, 3, dtype=dtype, scale=0.4), draw(channels, dtype=dtype, scale=0.5)],
            3 * tolerance,
        )
    t.twin(f"token_dwconv_gelu {dtype} strided", lambda x, w, b: m.token_dwconv_gelu(x, w, b, 5, 7),
           [transposed(2, 9, 35, dims=(1, 2), dtype=dtype), draw(9, 1, 3, 3, dtype=dtype), draw(9, dtype=dtype)], 3 * tolerance)
    for per_row in (False, True):
        for shape in ((3, 5, 7), (4, 300, 64), (2, 9, 160), (0, 3, 8)):
            mask = torch.rand(shape[:1] if per_row else shape[:2]) < 0.5
            t.twin(f"mask_tokens {dtype} {shape} per row: {per_row}", lambda x, k, q: m.mask_tokens(x, k, q),
                   [draw(*shape, dtype=dtype), draw(shape[2], dtype=dtype), mask], max(tolerance, 2e-6))
    t.twin(f"mix_ffn {dtype}", lambda x, a, b, c, d, e, f: m.mix_ffn(x, a, b, c, d, e, f, 6, 5),
           [draw(2, 30, 16, dtype=dtype), draw(64, 16, dtype=dtype, scale=0.2), draw(64, dtype=dtype), draw(64, 1, 3, 3, dtype=dtype, scale=0.3),
            draw(64, dtype=dtype), draw(16, 64, dtype=dtype, scale=0.2), draw(16, dtype=dtype)], 5 * tolerance)
    t.twin(f"attention {dtype}", lambda q, k, v: m.attention(q, k, v),
           [transposed(2, n, 2, 64, dims=(1, 2), dtype=dtype) for n in (37, 19, 19)], 3 * tolerance)


def maps(t, m, dtype, tolerance):
    # A narrow sum that rounds to the other side of 0 takes its gradient along.
    t.twin(f"upsample_sum {dtype}", lambda b, x, y: m.upsample_sum(b, [x, y], [4, 4, 2, 2], 7, 9, True),
           [draw(2, 63, 12, dtype=dtype), draw(2, 16, 12, dtype=dtype), draw(2, 4, 12, dtype=dtype)], 6 * tolerance)
    for channels, grids in ((64, ((33, 31), (17, 16), (9, 8), (5, 4))), (24, ((11, 13), (13, 11), (1, 1))), (5, ((1, 19), (5, 2))), (8, ((3, 4), *[(2, 3)] * 20))):
        (height, width), *lower = grids
        t.twin(f"upsample_sum {dtype} {channels} {grids[:4]}",
               lambda b, *x, h=height, w=width, s=[side for grid in lower for side in grid]: m.upsample_sum(b, list(x), s, h, w, False),
               [draw(2, h * w, channels, dtype=dtype) for h, w in grids], 6 * tolerance)
    sizes = (((2, 5, 7, 6), (25, 23)), ((1, 2, 1, 1), (9, 70)), ((1, 3, 50, 40), (20, 13)), ((2, 4, 5, 5), (1, 1)), ((2, 13, 33, 33), (130, 129)))
    for low, size in sizes:
        logits = draw(*low, dtype=dtype, gradient=False, scale=3.0)
        for confidence in (None, 0.8):
            for valid in (None, torch.rand(low[0], *size) > 0.3):
                on = lambda where: m.upsample_argmax(logits.to(where), size, confidence, None if valid is None else valid.to(where), 255)
                # Ties of narrow logits may fall either way.
                t.check(f"upsample_argmax {dtype} {low} {size} {confidence}", lambda: unequal(on(t.device), on("cpu")), 0 if dtype == torch.float64 else 2e-3)
    if dtype not in (torch.float32, torch.float64):
        return
    cases = ((3, 3, 2, 5, (7, 6), (25, 23), 0.7, 10, 1), (3, 3, 2, 5, (7, 6), (25, 23), 0.01, 500, 1), (2, 2, 2, 4, (4, 4), (15, 16), 0.01, 5000, 1),
             (1, 2, 2, 3, (50, 40), (20, 13), 0.3, 100, 1), (2, 2, 1, 37, (33, 33), (130, 129), 0.05, 9000, 1), (2, 3, 2, 5, (1, 1), (9, 70), 0.02, 300, 0))
    for case in cases:
        heads, batch, labelled, classes, low, size, threshold, kept, pseudo = case
        labels, targets = torch.randint(0, classes, (labelled, *size)), torch.randint(0, classes, (batch, *size))
        for values in (labels, targets):
            values[torch.rand(values.shape) < 0.1] = 255
        t.twin(
            f"upsample_ohem_cross_entropy {dtype} {case}",
            lambda *a, o=threshold, k=kept: m.upsample_ohem_cross_entropy(list(a[:-2]), a[-2], a[-1] if torch.is_tensor(a[-1]) else None, o, k, 255),
            [draw(batch, classes, *low, dtype=dtype, scale=3.0) for _ in range(heads)] + [labels, targets if pseudo else None],
            2e-4 if dtype == torch.float32 else 1e-9,
        )


def optimisers(t, m, dtype, tolerance):
    shapes = ((3, 5), (), (1000,), (64, 64, 3, 3), (0,), (9001,))

    def steps(where, dynamic, teaches):
        generator = torch.Generator().manual_seed(3)
        make = lambda scale=1.0: [(torch.randn(s, generator=generator, dtype=torch.float64) * scale).to(dtype).to(where) for s in shapes]
        parameters, gradients, means, squares, teachers = make(), make(), make(0.1), make(0.1), make()
        squares = [square.abs() for square in squares]
        counts = [] if dynamic else [torch.full((), 2.0) for _ in shapes]
        numbers = torch.tensor([0.01, 1 - 0.9**3, 1 - 0.999**3, 0.7], dtype=torch.float64, device=where)
        m.adamw_ema_(parameters, gradients, means, squares, counts, teachers if teaches else [], lr=0.01, beta1=0.9, beta2=0.999,
                     eps=1e-8, weight_decay=0.1, ema_factor=0.7, **(dict(scalars=numbers) if dynamic else {}))
        m.ema_update_(teachers, parameters, 0.3)
        return parameters + means + squares + teachers

    for dynamic in (False, True):
        for teaches in (False, True):
            t.check(f"adamw_ema_ ema_update_ {dtype} dynamic: {dynamic} teachers: {teaches}",
                    lambda: max(map(relative, steps(t.device, dynamic, teaches), steps("cpu", dynamic, teaches))), max(tolerance, 1e-6))


def counts(t, m):
    for classes in (1, 13, 110, 111, 300):
        for dtype in (torch.uint8, torch.int64, torch.int32):
            labels, found = (torch.randint(0, min(classes, 250), (3, 61, 67)).to(dtype) for _ in range(2))
            on = lambda where: m.confusion_matrix(labels.to(where), found.to(where), classes, 255)
            t.check(f"confusion_matrix {classes} {dtype}", lambda: unequal(on(t.device), on("cpu")), 0)


def graph(t, m):
    """A replay must see new inputs: loss and gradient against the same work without a graph."""
    device = t.device
    x, lab = torch.randn(4, 64, 32, device=device), torch.randint(0, 8, (4, 32, 32), device=device)
    w, b, linear = (torch.randn(s, device=device, requires_grad=True) for s in ((128, 1, 3, 3), (128,), (128, 32)))
    loss = torch.zeros((), device=device)

    def work():
        for leaf in (w, b, linear):
            leaf.grad = None
        hidden = m.token_dwconv_gelu(m.linear(x, linear), w, b, 8, 8)
        _, normal = m.fuse_residual_norm(hidden, hidden, None, torch.ones(2, 128, device=device), torch.zeros(2, 128, device=device), 2, 0.8, 1e-6)
        low = normal[..., :8].transpose(1, 2).unflatten(2, (8, 8)).contiguous()
        supervised, pseudo = m.upsample_ohem_cross_entropy([low], lab, lab, 0.7, 200, 255)
        (supervised + pseudo).backward()
        loss.copy_((supervised + pseudo).detach())

    number = m.cuda_graph_create(device)
    for _ in range(3):
        m.cuda_graph_enter(number), work(), m.cuda_graph_leave(number)
    m.cuda_graph_enter(number)
    m.cuda_graph_begin_capture(number), work(), m.cuda_graph_end_capture(number)
    m.cuda_graph_leave(number)
    gradient = linear.grad
    x.copy_(torch.randn_like(x))
    m.cuda_graph_replay(number)
    torch.cuda.synchronize()
    replayed = loss.clone(), gradient.clone()
    work()
    torch.cuda.synchronize()
    errors = {"loss": relative(replayed[0], loss), "gradient": relative(replayed[1], linear.grad)}
    m.cuda_graph_destroy(number)
    t.check("a replayed graph", lambda: max(errors.values()), 1e-4)
    return errors


def here(given, work):
    """The checks and failures of a part, in this process."""
    torch.manual_seed(0)
    t = Twins(given.device)
    told = {}
    try:
        told = work(t, torch.ops.m3l) or {}
    except ContextLost as lost:
        t.fail(f"the device's context was lost at {lost}: what follows in this part did not run")
    except Exception as fault:
        traceback.print_exc(limit=3)
        t.fail(f"a part ended: {type(fault).__name__}: {str(fault).splitlines()[0][:200]}")
    return {"checks": t.checks, "failures": t.failures, "told": told}


def apart(given, work):
    """The same in a process of its own."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=lambda: send.send(here(given, work)))
    child.start()
    send.close()
    try:
        return receive.recv()
    except EOFError:
        child.join()
        text = f"a part ended with exit code {child.exitcode}"
        print("FAIL", text, flush=True)
        return {"checks": 1, "failures": [text], "told": {}}
    finally:
        child.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kernels")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--times", action="store_true")
    given = parser.parse_args()
    torch.ops.load_library(given.kernels)
    on_cuda = given.device.startswith("cuda")
    # Compute-sanitizer follows one process.
    run = here if given.quick or not on_cuda else apart
    works = [
        lambda t, m, part=part, dtype=dtype, tolerance=tolerance: part(t, m, dtype, tolerance)
        for dtype, tolerance in list(TOLERANCES.items())[: 1 if given.quick else None]
        for part in (fusions, tokens, maps, optimisers)
    ]
    found = [run(given, work) for work in [*works, counts]]
    if on_cuda and not given.quick:
        found.append(run(given, graph))
    result = {
        "device": given.device,
        "checks": sum(one["checks"] for one in found),
        "failures": [failure for one in found for failure in one["failures"]],
    }
    if found[-1]["told"]:
        result["graph"] = found[-1]["told"]
    print(json.dumps(result), flush=True)
    if on_cuda and given.times:
        from twin_times import times

        print(json.dumps(result | {"times": times(torch.ops.m3l, torch.device(given.device))}), flush=True)
    sys.exit(1 if result["failures"] else 0)


if __name__ == "__main__":
    main()
