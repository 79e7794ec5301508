import { torch } from 'm3l';

type Tensor = torch.Tensor;

/**
 * Holds `torch.grad` of f against central differences. f may give a tensor of any shape: what is
 * differentiated is its sum under fixed random weights, so that no gradient hides behind another.
 * @param inputs those that `requiresGrad` are checked: they must be float64 and contiguous leaves
 * @throws Error naming the worst element where the two differ by more than tolerance · max(1, |difference|)
 */
export function gradcheck(
  f: (...xs: Tensor[]) => Tensor,
  inputs: Tensor[],
  { eps = 1e-6, tolerance = 1e-5 }: { eps?: number; tolerance?: number } = {},
): void {
  torch.scope(() => {
    const checked = inputs.filter((input) => input.requiresGrad);
    if (checked.length === 0) throw new Error('gradcheck: no input requires a gradient');
    for (const [index, input] of inputs.entries()) {
      if (!input.requiresGrad || (input.dtype === 'float64' && isContiguous(input))) continue;
      throw new Error(`gradcheck: input ${index} is ${input.dtype}, expected contiguous float64`);
    }
    const result = f(...inputs);
    const generator = new torch.Generator().manualSeed(0x6763);
    const weights = torch
      .rand([...result.shape], { dtype: 'float64', generator })
      .add(0.5)
      .to({ device: result.device });
    const weighted = (output: Tensor) => output.to('float64').mul(weights).sum();
    const gradients = torch.grad(weighted(result), checked, { allowUnused: true });

    const value = () => torch.scope(() => torch.noGrad(() => weighted(f(...inputs)).item()));
    let worst = { excess: 0, message: '' };
    for (const [number, input] of checked.entries()) {
      const found = gradients[number]?.cpu().contiguous().toTypedArray();
      const flat = torch.noGrad(() => input.detach().reshape([-1]));
      for (let i = 0; i < flat.shape[0]!; i++) {
        const numeric = centralDifference(flat, i, eps, value);
        const analytic = Number(found?.[i] ?? 0);
        const excess = Math.abs(analytic - numeric) / (tolerance * Math.max(1, Math.abs(numeric)));
        // NaN compares false with everything: it is the worst.
        if (excess <= worst.excess) continue;
        worst = {
          excess: Number.isNaN(excess) ? Number.POSITIVE_INFINITY : excess,
          message:
            `input ${inputs.indexOf(input)} of shape [${input.shape}], element ${i} (flat): ` +
            `gradient ${analytic}, central difference ${numeric}`,
        };
      }
    }
    if (worst.excess > 1) {
      throw new Error(
        `gradcheck: ${worst.message} (${worst.excess.toPrecision(3)} × the tolerance)`,
      );
    }
  });
}

/** (value at x_i + eps − value at x_i − eps) / 2 eps; x_i is put back as it was. */
function centralDifference(flat: Tensor, i: number, eps: number, value: () => number): number {
  return torch.noGrad(() =>
    torch.scope(() => {
      const element = flat.select(0, i);
      const before = element.item();
      element.fill_(before + eps);
      const above = value();
      element.fill_(before - eps);
      const below = value();
      element.fill_(before);
      return (above - below) / (2 * eps);
    }),
  );
}

/** By its strides: libtorch 2.11 has no operator that says it. */
function isContiguous({ shape, strides }: Tensor): boolean {
  let dense = 1;
  return [...shape.keys()].reverse().every((dimension) => {
    const fits = shape[dimension] === 1 || strides[dimension] === dense;
    dense *= shape[dimension]!;
    return fits || shape.includes(0);
  });
}
