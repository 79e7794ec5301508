/** The package: `import { torch, nn, optim } from 'm3l'`. */
export * as nn from './nn/index.js';
export * as optim from './optim/index.js';
export * as torch from './torch/index.js';
