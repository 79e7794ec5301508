// Linear Fusion with a mask token takes whichever modalities are there.
import { torch } from 'm3l';
import { createModel } from 'm3l/models';

torch.manualSeed(0);
const model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 13 });
model.eval();

torch.scope(() =>
  torch.noGrad(() => {
    const rgb = torch.randn([1, 3, 64, 64]);
    const depth = torch.randn([1, 3, 64, 64]);
    for (const [name, inputs] of Object.entries({
      both: [rgb, depth],
      'depth missing': [rgb, null],
      'rgb missing': [null, depth],
    })) {
      const { ensemble } = model.forward(inputs);
      console.log(`${name}: logits [${ensemble.shape}]`);
    }
  }),
);
model.dispose();
