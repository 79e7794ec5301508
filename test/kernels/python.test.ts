import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type TorchBuild, torchBuild } from '../../dist/torch/addon.js';
import { libtorch } from '../../dist/torch/native.js';

const { folder: wheel, version } = libtorch();
const { kernels } = torchBuild(version) as TorchBuild;
const environment = {
  ...process.env,
  PYTHONPATH: [dirname(wheel), process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  PYTHONDONTWRITEBYTECODE: '1',
};

function python(script: string) {
  return spawnSync('python3', ['-c', script], { env: environment, encoding: 'utf8' });
}

/** Why Python cannot load the kernels here, or null. */
function missing(): string | null {
  if (!existsSync(join(wheel, '__init__.py'))) return `${wheel} has no Python part`;
  const { status, error, stderr } = python('import torch');
  if (error) return `python3 does not start: ${error.message}`;
  return status === 0 ? null : `python3 cannot import torch: ${stderr.trim().split('\n').at(-1)}`;
}

const PROGRAM = `
import torch
torch.ops.load_library(${JSON.stringify(kernels)})
torch.manual_seed(0)

def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)

# linear_fuse: forward and gradient against the formula.
x = torch.randn(6, 5, 7, dtype=torch.float64, requires_grad=True)
rgb, depth = x.chunk(2)
wanted = torch.cat([0.8 * rgb + 0.2 * depth, 0.8 * depth + 0.2 * rgb])
found = torch.ops.m3l.linear_fuse(x, 2, 0.8)
close(found, wanted)
seed = torch.randn_like(found)
close(torch.autograd.grad(found, x, seed)[0], torch.autograd.grad(wanted, x, seed)[0])

# ema_update_: against the loop, on leaves that require gradients, versions counted.
shapes = [(3, 5), (), (1000,)]
students = [torch.randn(s, dtype=torch.float64) for s in shapes]
teachers = [torch.nn.Parameter(torch.randn(s, dtype=torch.float64)) for s in shapes]
wanted = [0.9 * t.detach() + 0.1 * s for t, s in zip(teachers, students)]
versions = [t._version for t in teachers]
with torch.no_grad():
    torch.ops.m3l.ema_update_(teachers, students, 0.9)
for t, w, version in zip(teachers, wanted, versions):
    close(t.detach(), w)
    assert t._version > version, "the version counter stood still"

# adamw_ema_: against torch.optim.AdamW and the loop.
ours = [torch.nn.Parameter(s.clone()) for s in students]
theirs = [torch.nn.Parameter(s.clone()) for s in students]
averages = [s.clone() for s in students]
wanted = [s.clone() for s in students]
optimizer = torch.optim.AdamW(theirs, lr=0.01, weight_decay=0.1)
first, second = ([torch.zeros_like(s) for s in students] for _ in range(2))
steps = [torch.zeros(()) for _ in students]
for _ in range(3):
    gradients = [torch.randn_like(s) for s in students]
    for parameter, gradient in zip(theirs, gradients):
        parameter.grad = gradient
    optimizer.step()
    with torch.no_grad():
        for average, parameter in zip(wanted, theirs):
            average.mul_(0.7).add_(parameter, alpha=0.3)
        torch.ops.m3l.adamw_ema_(
            ours, gradients, first, second, steps, averages,
            lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.1, ema_factor=0.7)
for a, b in zip(ours + averages, theirs + wanted):
    close(a.detach(), b.detach())
assert [float(step) for step in steps] == [3, 3, 3]

# What a device without kernels of its own gets, CUDA in a build without it: the composition of ATen's.
elsewhere = torch._C.DispatchKeySet(torch._C.DispatchKey.XLA)
def lists():
    return [[torch.full_like(s, v) for s in students] for v in (1, 2, 0.5, 0.25)] + [
        [torch.ones(()) for _ in students], [torch.full_like(s, 3) for s in students]]
options = dict(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.1, ema_factor=0.7)
found, wanted = lists(), lists()
torch.ops.m3l.adamw_ema_(*wanted, **options)
torch.ops.m3l.adamw_ema_.default.redispatch(elsewhere, *found, **options)
for a, b in zip(sum(found, []), sum(wanted, [])):
    close(a, b)
for factor in (0.0, 0.3):
    torch.ops.m3l.ema_update_(wanted[5], wanted[1], factor)
    torch.ops.m3l.ema_update_.default.redispatch(elsewhere, found[5], found[1], factor)
    for a, b in zip(found[5], wanted[5]):
        close(a, b)
print("all equal")
`;

const reason = missing();
if (reason !== null) console.warn(`kernels in Python: skipped, ${reason}`);

describe.skipIf(reason !== null)('torch.ops.load_library in Python', () => {
  it('gives linear_fuse, ema_update_ and adamw_ema_ with their autograd, and a composition elsewhere', () => {
    const { stdout, stderr } = python(PROGRAM);
    expect(stdout.trim(), stderr).toBe('all equal');
  });
});
