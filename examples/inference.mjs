// A model prepared for inference answers faster, with the same numbers up to rounding.
import { torch } from 'm3l';
import { optimizeForInference } from 'm3l/inference';
import { createModel } from 'm3l/models';

torch.manualSeed(0);
const model = createModel({ name: 'linear-fusion', backbone: 'mit-b0', numClasses: 13 });
model.eval();
const view = optimizeForInference(model);

torch.scope(() => {
  const rgb = torch.randn([1, 3, 128, 128]);
  const depth = torch.randn([1, 3, 128, 128]);
  const plain = torch.noGrad(() => model.forward([rgb, depth]).ensemble);
  const [ensemble] = view.forwardHeads([rgb, depth], ['ensemble']);
  const difference = ensemble.sub(plain).abs().max().item();
  console.log(`logits [${ensemble.shape}], off by less than 1e-4: ${difference < 1e-4}`);

  // Depth is missing, and only the ensemble is asked for: what neither needs is not computed.
  const [rgbOnly] = view.forwardHeads([rgb, null], ['ensemble']);
  console.log(`from RGB alone: [${rgbOnly.argmax(1).shape}] classes`);
});
view.dispose();
model.dispose();
