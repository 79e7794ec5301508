/** One sentence for each operator that is known here, and rules for those that follow from another. */
import { elementwise } from './elementwise.mjs';
import { linearAlgebra } from './linear-algebra.mjs';
import { making } from './making.mjs';
import { neural } from './neural.mjs';
import { reductions } from './reductions.mjs';
import { shapes } from './shapes.mjs';

const sentences = {
  ...elementwise,
  ...linearAlgebra,
  ...making,
  ...neural,
  ...reductions,
  ...shapes,
};

/** Other names of an operator, as PyTorch has them. */
const aliases = {
  absolute: 'abs',
  arccos: 'acos',
  arccosh: 'acosh',
  arcsin: 'asin',
  arcsinh: 'asinh',
  arctan: 'atan',
  arctan2: 'atan2',
  arctanh: 'atanh',
  clip: 'clamp',
  concat: 'cat',
  concatenate: 'cat',
  divide: 'div',
  fix: 'trunc',
  greater: 'gt',
  greater_equal: 'ge',
  less: 'lt',
  less_equal: 'le',
  moveaxis: 'movedim',
  multiply: 'mul',
  native_channel_shuffle: 'channel_shuffle',
  negative: 'neg',
  not_equal: 'ne',
  row_stack: 'vstack',
  subtract: 'sub',
  swapdims: 'swapaxes',
  trapz: 'trapezoid',
  true_divide: 'div',
  special_digamma: 'digamma',
  special_erf: 'erf',
  special_erfc: 'erfc',
  special_erfinv: 'erfinv',
  special_exp2: 'exp2',
  special_expit: 'sigmoid',
  special_expm1: 'expm1',
  special_gammainc: 'igamma',
  special_gammaincc: 'igammac',
  special_gammaln: 'lgamma',
  special_i0: 'i0',
  special_log1p: 'log1p',
  special_log_softmax: 'log_softmax',
  special_logit: 'logit',
  special_logsumexp: 'logsumexp',
  special_multigammaln: 'mvlgamma',
  special_polygamma: 'polygamma',
  special_psi: 'digamma',
  special_round: 'round',
  special_sinc: 'sinc',
  special_softmax: 'softmax',
  special_xlogy: 'xlogy',
};

/**
 * What an operator gives, in a sentence; null where nothing is known.
 * @param written name of the argument that it writes and returns
 */
export function sentenceOf(name, written = 'self') {
  const known = sentences[aliases[name] ?? name];
  const inPlace = `In place: \`${written}\` is written and returned.`;
  if (known !== undefined)
    return name.endsWith('_') && !name.startsWith('_') ? `${known} ${inPlace}` : known;
  if (name.startsWith('_foreach_')) return foreach(name.slice('_foreach_'.length));
  if (name.endsWith('_')) {
    const base = sentenceOf(name.slice(0, -1));
    return base && `${keepingItsDtype(base)} ${inPlace}`;
  }
  if (name.endsWith('_copy')) {
    const original = sentenceOf(name.slice(0, -'_copy'.length));
    return original && `${original.replace(VIEW, '')} A copy, never a view.`;
  }
  return null;
}

const VIEW = /: (a view|views)(?=[.;])/;

/** What holds of a result of its own, and not of an argument that is written. */
function keepingItsDtype(sentence) {
  return sentence
    .replace(' Integers give float32.', '')
    .replace(' Shapes broadcast; the result is bool.', ' `other` broadcasts; the dtype stays.')
    .replace(' Shapes broadcast.', ' The others broadcast to it.')
    .replace(': a copy.', '.')
    .replace(VIEW, '');
}

function foreach(name) {
  const sentence = sentenceOf(name.replace(/_$/, ''));
  if (sentence === null) return null;
  const written = name.endsWith('_') ? " In place: the first list's tensors are written." : '';
  return `Tensor by tensor over lists. ${keepingItsDtype(sentence)}${written}`;
}
