// Ten things that are done with indices: `x[…]` in Python is `x.at(…)`, `x[…] = value` is `x.setAt(…, value)`.
// The same ten with the indices in an array, `x.setAt(['...', 0], 0)`, were longer and no clearer; `put` is an
// operator of PyTorch's own.
import { torch } from 'm3l';

torch.scope(() => {
  torch.manualSeed(0);
  const images = torch.rand(4, 3, 32, 32);
  const logits = torch.randn(4, 10);
  const labels = torch.tensor([3n, 1n, 4n, 1n]);

  const first = images.at(0); //                         images[0]
  const crop = images.at('...', '8:24', '8:24'); //      images[..., 8:24, 8:24]
  const halved = images.at(':', ':', '::2', '::2'); //   images[:, :, ::2, ::2]
  const red = images.at(':', '0:1'); //                  images[:, 0:1]
  const batched = first.at(null); //                     image[None]
  const bgr = images.at(':', [2, 1, 0]); //              images[:, [2, 1, 0]]
  const chosen = logits.at(torch.arange(4), labels); //  logits[torch.arange(4), labels]
  const sure = logits.at(logits.gt(0)); //               logits[logits > 0]
  console.log(first.shape, crop.shape, halved.shape, red.shape, batched.shape, bgr.shape);
  console.log(chosen.shape, sure.numel());

  images.setAt('...', 0, 0); //                          images[..., 0] = 0
  images.setAt(images.gt(0.5), torch.tensor(1)); //      images[images > 0.5] = 1
  let ones = 0;
  for (const image of images) ones += image.eq(1).sum().item();
  console.log(images.at('...', 0).sum().item(), ones);
});
