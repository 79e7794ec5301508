"""How long each kernel takes at the sizes of a step (MiT-B2, 540², L = U = 4), and which share that is of the
copy bandwidth, which is measured in the same run: the bytes that the operator must read and write, by the time."""

import statistics

import torch


def milliseconds(work, runs=30):
    for _ in range(5):
        work()
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(runs)]
    for begin, end in marks:
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in marks)


def times(m, device):
    """[{ name, ms, gigabytesPerSecond, share }], the copy first; prints each as it comes."""
    rows = []
    big = torch.empty(1 << 29, device=device)
    other = torch.empty_like(big)
    copy = 2 * big.numel() * 4 / milliseconds(lambda: other.copy_(big)) / 1e6
    del big, other

    def row(name, bytes_needed, work):
        try:
            ms = milliseconds(work)
        except Exception as fault:  # the others are still worth having
            print(f"{name}: {type(fault).__name__}: {str(fault).splitlines()[0]}", flush=True)
            return
        rate = bytes_needed / ms / 1e6
        rows.append({"name": name, "ms": ms, "gigabytesPerSecond": rate, "share": rate / copy})
        print(f"{name:44s} {ms:8.3f} ms {rate:7.0f} GB/s of the bytes needed = {rate / copy:5.0%} of a copy", flush=True)

    rows.append({"name": "copy", "ms": None, "gigabytesPerSecond": copy, "share": 1.0})
    print(f"copy {copy:.0f} GB/s on {torch.cuda.get_device_name(device)}", flush=True)
    for stage, (side, channels) in enumerate(((135, 64), (68, 128), (34, 320), (17, 512)), 1):
        for dtype in (torch.float32, torch.bfloat16):
            kind = f"stage {stage} {str(dtype)[6:]}"
            depthwise(m, row, kind, 24, side, channels, dtype, device)
            norms(m, row, kind, 24, side * side, channels, dtype, dtype, device)
        norms(m, row, f"stage {stage} float32 and bfloat16", 24, side * side, channels, torch.float32, torch.bfloat16, device)
    heads(m, row, device)
    losses(m, row, device)
    update(m, row, device)
    return rows


def depthwise(m, row, kind, samples, side, channels, dtype, device):
    hidden = torch.randn(samples, side * side, 4 * channels, device=device, dtype=dtype)
    gradient = torch.randn_like(hidden)
    weight, bias = torch.randn(4 * channels, 1, 3, 3, device=device), torch.randn(4 * channels, device=device)
    size = hidden.numel() * hidden.element_size()
    row(f"token_dwconv_gelu {kind}", 2 * size, lambda: m.token_dwconv_gelu(hidden, weight, bias, side, side))
    row(f"token_dwconv_gelu backward {kind}", 3 * size, lambda: m.token_dwconv_gelu_backward(gradient, hidden, weight, bias, side, side))


def norms(m, row, kind, samples, tokens, channels, dtype, narrow, device):
    """The residual and the sum of one dtype, the branch and the norm of the other."""
    residual = torch.randn(samples, tokens, channels, device=device, dtype=dtype)
    branch = torch.randn_like(residual).to(narrow)
    weight, bias = (torch.randn(2, channels, device=device) for _ in range(2))
    wide, slim = (x.numel() * x.element_size() for x in (residual, branch))
    forward = lambda: m.fuse_residual_norm_forward(residual, branch, None, weight, bias, 2, 0.8, 1e-6)
    row(f"fuse_residual_norm {kind}", 2 * wide + 2 * slim, forward)
    total, _, mean, rstd = forward()
    row(f"fuse_residual_norm backward {kind}", 3 * wide + 2 * slim,
        lambda: m.fuse_residual_norm_backward(residual, branch, total, None, weight, mean, rstd, 2, 0.8, [True, True, True]))


def heads(m, row, device):
    base = torch.randn(24, 135 * 135, 256, device=device, requires_grad=True)
    maps = [torch.randn(24, side * side, 256, device=device, requires_grad=True) for side in (68, 34, 17)]
    sizes = [68, 68, 34, 34, 17, 17]
    size = base.numel() * 4
    row("upsample_sum", 2 * size, lambda: m.upsample_sum(base.detach(), [x.detach() for x in maps], sizes, 135, 135, True))
    total = m.upsample_sum(base, maps, sizes, 135, 135, True)
    gradient = torch.randn_like(total)
    row("upsample_sum backward", 2 * size, lambda: torch.autograd.grad(total, [base, *maps], gradient, retain_graph=True))
    row("upsample_sum backward, without ReLU's", size, lambda: m.upsample_sum_backward(gradient, 135, 135, sizes))
    for side in (68, 34, 17):
        row(f"upsample_sum backward of {side}²", size, lambda: m.upsample_sum_backward(gradient, 135, 135, [side, side]))


def losses(m, row, device):
    logits = [torch.randn(12, 13, 135, 135, device=device) for _ in range(3)]
    labels, pseudo = (torch.randint(0, 13, (n, 540, 540), device=device) for n in (8, 12))
    pixels = 12 * 540 * 540
    read = (8 + 12) * 540 * 540 * 8 + 2 * 4 * sum(map(torch.numel, logits))
    for kept in (1, 400_000):
        row(f"upsample_ohem_cross_entropy and derivatives, min_kept {kept}", read,
            lambda: m.upsample_ohem_cross_entropy_forward(logits, labels, pseudo, 0.7, kept, 255, [0, 1, 2]))
    row("upsample_argmax with confidence", 8 * pixels, lambda: m.upsample_argmax(logits[0], (540, 540), 0.5, None, 255))
    table, outside = torch.zeros(13, 13, dtype=torch.int64, device=device), torch.zeros(4, dtype=torch.int64, device=device)
    row("confusion_matrix_add_", 16 * pixels, lambda: m.confusion_matrix_add_(table, outside, pseudo, pseudo, 255))


def update(m, row, device):
    """27.5 million parameters in 300 tensors, as MiT-B2 has about."""
    parameters = [torch.randn(27_500_000 // 300, device=device) for _ in range(300)]
    gradients, means, squares, teachers = ([torch.rand_like(p) for p in parameters] for _ in range(4))
    numbers = torch.tensor([1e-3, 0.1, 0.1, 0.99], dtype=torch.float64, device=device)
    row("adamw_ema_ of 27.5 M parameters", 9 * 4 * 27.5e6,
        lambda: m.adamw_ema_(parameters, gradients, means, squares, [], teachers, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
                             weight_decay=0.01, ema_factor=0.99, scalars=numbers))
