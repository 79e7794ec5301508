/**
 * Ends this process by SIGKILL in the middle of a training, for processes.test.ts:
 * `DIE_AT=RANK:forward|backward|checkpoint node --import die-at.mjs main.js train …`, from the third step on.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { nn, torch } from '../../dist/index.js';
import { Trainer } from '../../dist/learning/index.js';

const [rank, where] = process.env.DIE_AT.split(':');
let steps = 0;
const die = () => {
  if (steps >= 3) process.kill(process.pid, 'SIGKILL');
};
/** Calls `before` at each call of a method, with its arguments. */
function instead(owner, name, before) {
  const method = owner[name];
  owner[name] = function (...args) {
    return method.apply(this, before(...args) ?? args);
  };
}

if (process.env.RANK === rank) {
  instead(Trainer.prototype, 'step', () => void steps++);
  if (where === 'forward') instead(nn.Linear.prototype, 'forward', die);
  if (where === 'backward') {
    const dying = (hook) => (gradient) => {
      die();
      return hook(gradient);
    };
    instead(torch.Tensor.prototype, 'registerHook', (hook) => [dying(hook)]);
  }
  if (where === 'checkpoint') {
    // Written, and not yet in its place.
    instead(fs, 'renameSync', (_, to) => void (String(to).includes('checkpoints') && die()));
    syncBuiltinESMExports();
  }
}
