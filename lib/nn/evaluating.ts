import { checkArguments } from '../torch/check-arguments.js';
import * as is from '../torch/rules.js';
import type { Module } from './module.js';

/** Puts modules into evaluation mode; the returned function puts each back as it was. */
export function evaluating(models: readonly Module[]): () => void {
  checkArguments(
    'evaluating',
    { models },
    { models: is.listOf(is.shape('Module', { forward: is.callback, namedChildren: is.callback })) },
  );

  const modules = models.flatMap((model) => model.modules());
  const modes = modules.map((module) => module.training);
  for (const model of models) model.eval();
  return () => {
    for (const [index, module] of modules.entries()) module.training = modes[index]!;
  };
}
