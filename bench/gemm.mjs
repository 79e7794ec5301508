#!/usr/bin/env node
// node bench/gemm.mjs [THREADS]: GFLOP/s of the matrix products of a Linear layer (y, and the gradients
// of input and weight) by MKL (`linear`, `mm`) and by oneDNN, over the shapes of MiT-B0 at 128² and
// MiT-B2 at 256². What `m3l::linear` chooses by.
import { torch } from '../dist/index.js';
import { sideBySide } from './statistics.mjs';

const SHAPES = [
  [12288, 32, 32],
  [12288, 32, 128],
  [12288, 128, 32],
  [3072, 64, 256],
  [3072, 256, 64],
  [768, 160, 640],
  [768, 640, 160],
  [192, 256, 1024],
  [192, 1024, 256],
  [24576, 64, 256],
  [24576, 256, 64],
  [6144, 128, 512],
  [6144, 512, 128],
  [1536, 320, 1280],
  [1536, 1280, 320],
  [384, 512, 2048],
  [384, 2048, 512],
];
const ROUNDS = 7;
/** Floating-point operations timed at once. */
const WORK = 2e8;

torch.setNumThreads(Number(process.argv[2] ?? 2));
const oneDnn = (x, weight, bias = null) =>
  torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '');

for (const [rows, inputs, outputs] of SHAPES) {
  torch.scope(() => {
    const x = torch.randn([rows, inputs]);
    const weight = torch.randn([outputs, inputs]);
    const bias = torch.randn([outputs]);
    const gradient = torch.randn([rows, outputs]);
    const products = {
      'y MKL': () => torch.linear(x, weight, bias),
      'y oneDNN': () => oneDnn(x, weight, bias),
      'dx MKL': () => gradient.mm(weight),
      'dx oneDNN': () => oneDnn(gradient, weight.t()),
      'dW MKL': () => gradient.t().mm(x),
      'dW oneDNN': () => oneDnn(gradient.t(), x.t()),
    };
    const operations = 2 * rows * inputs * outputs;
    const repeats = Math.max(1, Math.round(WORK / operations));
    const scoped = Object.entries(products).map(([name, f]) => [name, () => torch.scope(f)]);
    const times = sideBySide({ rounds: ROUNDS, repeats }, Object.fromEntries(scoped));
    const rates = Object.entries(times).map(
      ([name, ms]) => `${name} ${(operations / 1e6 / ms).toFixed(0).padStart(4)}`,
    );
    console.log(`${[rows, inputs, outputs].join(' × ').padEnd(20)}  ${rates.join('   ')}`);
  });
}
