/** `nn.functional`: the layers as functions, under PyTorch's names in camelCase. */
export * from './functional/activation.js';
export * from './functional/dropout.js';
export * from './functional/linear.js';
export * from './functional/loss.js';
export * from './functional/normalization.js';
export * from './functional/padding.js';
export * from './functional/pooling.js';
export * from './functional/resize.js';
export * from './functional/shape.js';
export * from './functional/unpooling.js';
export * from './functional/vision.js';
