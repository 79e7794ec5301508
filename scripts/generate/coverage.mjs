/** docs/operators.md: what of ATen has a typed function, and what has not and why. */
export function coveragePage(families, skipped, { publicNames, overloads }, version) {
  const covered = families.filter(({ name }) => publicNames.has(name));
  const hand = new Set(
    skipped.filter(({ reason }) => reason.startsWith('written')).map(({ name }) => name),
  );
  const typed = families.reduce((sum, { schemas }) => sum + schemas.length, 0);
  const methods = families.filter(({ method }) => method).length;
  const count = covered.length + [...hand].filter((name) => publicNames.has(name)).length;
  const have = new Set(covered.map(({ name }) => name));
  const missing = [...publicNames].filter((name) => !have.has(name) && !hand.has(name)).sort();
  const reasons = groupBy(skipped);
  const rows = [...reasons].sort(([x, a], [y, b]) => b.length - a.length || (x < y ? -1 : 1));
  const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;
  return [
    '# Operators',
    '',
    `Written by \`npm run generate\` from libtorch ${version}. Public: an \`aten::\` name without a leading underscore.`,
    '',
    '| | number | of |',
    '|---|---|---|',
    `| public names with a typed function or a hand-written form | ${count} | ${publicNames.size} (${percent(count, publicNames.size)}) |`,
    `| of them also methods of Tensor | ${methods} | |`,
    `| typed overloads | ${typed} | ${overloads} (${percent(typed, overloads)}) |`,
    '',
    "Everything else is reached by its schema's name: `torch.ops.aten.add.out(a, b, { out })`.",
    '',
    '## Names and arguments',
    '',
    'Names are camelCase, an in-place operator keeps its trailing underscore; `linalg_svd` is `torch.linalg.svd`,',
    'and so for `fft_` and `special_`. Arguments come in the order of the schema; keyword-only ones, and any with',
    "a default, may come in one trailing options object. Sizes are an array or, where Python's are, several",
    'numbers: `x.reshape(2, 3)`; so are lists of tensors that come last: `torch.blockDiag(a, b)`. Enumerations are',
    "Python's words: `reduction: 'mean'`. What makes a tensor takes `requiresGrad`. Several results are an array",
    "and have the schema's names: `const { values, indices } = x.topk(2)`. Of the overloads of a name the first",
    "that fits is taken, in Python's order: Tensor before Scalar, int before int[]; `add`, `sub`, `mul` and `div`",
    'take a number before the tensor: `torch.sub(1, x)`.',
    'An integral JavaScript number is an integer Scalar: `x.mul(2)` keeps an int64 tensor int64, to 2^63; -0 is',
    'one too, unless a floating tensor stands before it in the call. `torch.scalar(2)` is the float 2.0,',
    '`torch.scalar(0, 1)` the complex number i.',
    '',
    '## Names that can end the process',
    '',
    'With arguments that do not fit, as in PyTorch itself: `quantized_lstm_cell`, `mkldnn_rnn_layer`,',
    '`embedding_backward`, `embedding_bag` and its backwards with indices out of range, `batch_norm_backward` of',
    'nothing, `linalg_eigvals` of NaN, `new_zeros` with the layout `mkldnn`.',
    '',
    '## Overloads left out of the typed surface',
    '',
    '| reason | overloads |',
    '|---|---|',
    ...rows.map(([reason, list]) => `| ${reason} | ${list.length} |`),
    '',
    `## Public names without a typed function (${missing.length})`,
    '',
    ...missing.map((name) => {
      const why = [
        ...new Set(skipped.filter((entry) => entry.name === name).map(({ reason }) => reason)),
      ];
      return `- \`${name}\`: ${why.join('; ')}`;
    }),
    '',
  ].join('\n');
}

function groupBy(entries) {
  const groups = new Map();
  for (const entry of entries)
    groups.set(entry.reason, [...(groups.get(entry.reason) ?? []), entry]);
  return groups;
}
