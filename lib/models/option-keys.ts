import { z } from 'zod';
import { ENSEMBLES } from './ensemble.js';
import { backboneNames } from './mit.js';
import { resnetNames } from './resnet.js';

/** Options that several models let a configuration set, by their keys there. */

export const mitKeys = {
  backbone: z.enum(backboneNames).default('mit-b2').describe('The encoder, small to large.'),
  dropPath: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe('Highest drop-path rate of the encoder.'),
};

export const resnetBackbone = z
  .enum(resnetNames)
  .default('resnet50')
  .describe('The encoder, small to large.');

export const dropout = (rate: number) =>
  z.number().min(0).max(1).default(rate).describe('The heads’ dropout.');

export const maskTokenStd = z
  .number()
  .nonnegative()
  .max(1000)
  .optional()
  .describe(
    'Standard deviation of the mask token’s initial values. Absent: 0.02 from scratch, 1 from trained weights and with `framework.fidelity: paper`.',
  );

export const ensemble = z
  .enum(ENSEMBLES)
  .default('evidence')
  .describe(
    'Whose heads the ensemble weighs, and how: `evidence`, of the modalities that a sample has, for what each says beyond what it always says; `present`, these as they say it; `all`, as the paper does and `framework.fidelity: paper` has it.',
  );

export const l1Lambda = (weight: number) =>
  z
    .number()
    .nonnegative()
    .max(1e6)
    .default(weight)
    .describe('Weight in the loss of the penalty by which the model learns what to exchange.');
