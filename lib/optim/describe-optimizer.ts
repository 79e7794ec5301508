import type { Tensor } from '../torch/index.js';

type Groups = readonly (object & { readonly params: readonly Tensor[]; readonly name?: string })[];

/** An optimizer as text: each group's parameters, then its options, as PyTorch lists them. */
export function describeOptimizer(algorithm: string, groups: Groups): string {
  const parts = groups.map(({ params, name, ...options }, index) => {
    const live = params.filter((tensor) => tensor.isLive);
    const elements = live.reduce((sum, tensor) => sum + tensor.numel(), 0);
    const gone = params.length - live.length;
    const lines = [
      `params: ${params.length} of ${elements} elements${gone > 0 ? `, ${gone} disposed` : ''}`,
      ...Object.entries(options)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}: ${text(value)}`),
    ];
    const title = `Parameter Group ${index}${name === undefined ? '' : ` (${name})`}`;
    return `${title}\n${lines.map((line) => `    ${line}\n`).join('')}`;
  });
  return `${algorithm} (\n${parts.join('\n')})`;
}

function text(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
}
