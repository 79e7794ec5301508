/** `nn.utils`: gradients clipped, parameters as one vector, sequences of different lengths. */
export * from './utils/clip-gradients.js';
export * from './utils/parameters.js';
export * as rnn from './utils/rnn.js';
