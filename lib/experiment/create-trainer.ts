import { createFramework, type Networks, Trainer, trainableGroups } from '../learning/index.js';
import { AdamW, PolySchedule, SGD } from '../optim/index.js';
import type { SettledConfig } from './config/config.js';
import type { Datasets } from './datasets.js';

/** The trainer that a configuration describes, and what ends it with its optimiser. */
export function createTrainer(config: SettledConfig, networks: Networks, datasets: Datasets) {
  const { framework: learning, optimiser, schedule, iterations, seed, device, cudaGraph } = config;
  const framework = createFramework(learning.name, {
    networks,
    modalities: datasets.specs,
    options: learning,
    seed,
    iterations,
  });
  const groups = trainableGroups(framework, optimiser);
  const optimizer =
    optimiser.name === 'adamw' ? new AdamW(groups) : new SGD(groups, { momentum: 0.9 });
  const trainer = new Trainer({
    framework,
    optimizer,
    schedule:
      schedule.name === 'poly'
        ? new PolySchedule({ total: iterations, power: schedule.power, warmup: schedule.warmup })
        : new PolySchedule({ total: iterations, power: 0, warmup: schedule.warmup }),
    source: (iteration) => datasets.batch(iteration),
    ...(device === 'cpu' ? {} : { prepare: (iteration) => datasets.prepare(iteration) }),
    iterations,
    seed,
    device,
    execution: cudaGraph ? 'captured' : 'eager',
    clipGradientNorm: optimiser.clipGradientNorm,
  });
  const dispose = () => {
    trainer.dispose();
    optimizer.dispose();
  };
  return { trainer, dispose };
}
