/** Strings that operators take, by parameter, or by operator and parameter. */
const table = {
  rounding_mode: 'floor trunc',
  approximate: 'none tanh',
  padding: 'same valid',
  norm: 'forward backward ortho',
  UPLO: 'L U',
  ord: 'fro nuc',
  p: 'fro nuc',
  side: 'left right',
  padding_side: 'left right',
  indexing: 'ij xy',
  interpolation: 'linear lower higher midpoint nearest',
  pad_mode: 'constant reflect replicate circular',
  'pad.mode': 'constant reflect replicate circular',
  'linalg_qr.mode': 'reduced complete r',
  'linalg_lstsq.driver': 'gels gelsy gelsd gelss',
  driver: 'gesvd gesvdj gesvda',
  'scatter.reduce': 'add multiply',
  'scatter_.reduce': 'add multiply',
  'index_reduce.reduce': 'prod mean amax amin',
  'index_reduce_.reduce': 'prod mean amax amin',
  'segment_reduce.reduce': 'sum mean max min prod',
  reduce: 'sum prod mean amax amin',
};

/**
 * The union of the words that a parameter takes, and of the integers that they stand for; null where it
 * takes any string.
 */
export function wordsType(operator, { name, type, words }) {
  if (words !== null) return [...quoted(Object.keys(words)), 'number'].join(' | ');
  const found = table[`${operator}.${name}`] ?? table[name];
  return type.kind === 'str' && found !== undefined ? quoted(found.split(' ')).join(' | ') : null;
}

function quoted(words) {
  return words.map((word) => `'${word}'`);
}
