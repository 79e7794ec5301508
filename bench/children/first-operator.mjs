// A program that does nothing but its first operator.
import { torch } from '../../dist/index.js';

torch.scope(() => {
  if (torch.ones([2]).add(1).sum().item() !== 4) process.exitCode = 1;
});
