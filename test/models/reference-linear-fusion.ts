import { torch } from 'm3l';

type Tensor = torch.Tensor;

/**
 * Linear Fusion read straight from the paper (docs/m3l.md, sections 1 to 4): libtorch's own operators,
 * one modality after another, no kernel of this project, nothing fused, folded or reordered. The
 * fused model is held to it; read this one first.
 *
 * Evaluation mode: no dropout, no stochastic depth, BatchNorm by its running statistics.
 */
export interface Reference {
  /** The state of the model, by the names of section 9. */
  state: Readonly<Record<string, Tensor>>;
  depths: readonly number[];
  /** M */
  modalities: number;
  /** r of section 2. */
  ratio: number;
  /** Whose predictions the ensemble weighs, of each sample. */
  ensemble: 'evidence' | 'present' | 'all';
}

/** One modality's tokens, [B, N, C] with N = height · width. */
interface Tokens {
  x: Tensor;
  height: number;
  width: number;
}

const HEADS = [1, 2, 5, 8];
const REDUCTIONS = [8, 4, 2, 1];
const EPS = 1e-6;

/**
 * The M predictions and the ensemble, [B, K, H, W] each.
 * @param images M × [B, 3, H, W]
 * @param missing missing[m][b]: whether sample b lacks modality m
 */
export function referenceForward(
  model: Reference,
  images: readonly Tensor[],
  missing: readonly (readonly boolean[])[],
): Tensor[] {
  const size = images[0]!.shape.slice(2) as [number, number];
  const stages = encode(model, images, missing); // four stages of M maps [B, C_i, H_i, W_i]
  const predictions = images.map((_, m) =>
    decode(
      model,
      stages.map((maps) => maps[m]!),
    ),
  );
  const samples = images[0]!.shape[0]!;
  const votes = Array.from({ length: samples }, (_, b) =>
    vote(
      model,
      predictions.map((prediction) => prediction.select(0, b)),
      missing.map((of) => of[b]!),
    ),
  );
  return [...predictions, torch.stack(votes)].map((logits) =>
    torch.upsampleBilinear2d(logits, size, true),
  );
}

/**
 * Σ_m w_m · detach(prediction_m) of a sample, w the softmax of α over those that vote; by evidence less
 * max(¼, 1 − Σ_m w_m²) · Σ_m w_m · log π_m, π_m a head's shares relative to their mean.
 */
function vote(
  { state, ensemble }: Reference,
  predictions: readonly Tensor[],
  missing: readonly boolean[],
): Tensor {
  const voting = predictions.flatMap((_, m) => (ensemble === 'all' || !missing[m] ? [m] : []));
  const alphas = state.alpha!.unbind(0);
  const exponentials = voting.map((m) => alphas[m]!.exp());
  const weights = exponentials.map((each) => each.div(sum(exponentials)));
  const voted = sum(voting.map((m, i) => predictions[m]!.detach().mul(weights[i]!)));
  if (ensemble !== 'evidence') return voted;
  const shares = voting.map((m) => state.head_shares!.select(0, m));
  const known = sum(shares.map((each, i) => each.div(each.mean()).log().mul(weights[i]!)));
  const alone = sum(weights.map((each) => each.square()));
  return voted.sub(known.mul(alone.neg().add(1).clamp(0.25)).detach().reshape([-1, 1, 1]));
}

/** Section 1: the four stages' features. */
function encode(
  model: Reference,
  images: readonly Tensor[],
  missing: readonly (readonly boolean[])[],
): Tensor[][] {
  const stages: Tensor[][] = [];
  let maps = [...images];
  for (let stage = 0; stage < 4; stage++) {
    let streams = maps.map((map, m) => patchEmbed(model, stage, map, m));
    if (stage === 0) streams = streams.map((tokens, m) => masked(model, tokens, missing[m]!));
    for (let j = 0; j < model.depths[stage]!; j++) streams = block(model, stage, j, streams);
    streams = streams.map((tokens, m) => ({
      ...tokens,
      x: norm(model, `encoder.norm${stage + 1}`, m, tokens.x),
    }));
    maps = streams.map(asMap);
    stages.push(maps);
  }
  return stages;
}

/** Overlapping patches: a strided convolution, then the modality's norm. */
function patchEmbed(model: Reference, stage: number, map: Tensor, m: number): Tokens {
  const name = `encoder.patch_embed${stage + 1}`;
  const [stride, padding] = stage === 0 ? [4, 3] : [2, 1];
  const { weight, bias } = shared(model.state, `${name}.proj`);
  const patches = torch.conv2d(map, weight, bias, stride, padding);
  const [height, width] = patches.shape.slice(2) as [number, number];
  const x = patches.flatten(2).transpose(1, 2);
  return { x: norm(model, `${name}.norm`, m, x), height, width };
}

/** Section 4: where a sample lacks the modality, each of its tokens is the mask token. */
function masked({ state }: Reference, tokens: Tokens, missing: readonly boolean[]): Tokens {
  if (!missing.includes(true)) return tokens;
  const isMissing = torch.tensor([...missing]).view([-1, 1, 1]);
  return {
    ...tokens,
    x: torch.where(isMissing, state['encoder.patch_embed1.mask_token']!, tokens.x),
  };
}

/** x = x + fuse(attention(norm1(x))), then x = x + mlp(norm2(x)). */
function block(model: Reference, stage: number, index: number, streams: Tokens[]): Tokens[] {
  const name = `encoder.block${stage + 1}.${index}`;
  const attended = streams.map((tokens, m) => {
    const normal = { ...tokens, x: norm(model, `${name}.norm1`, m, tokens.x) };
    return attention(model, `${name}.attn`, stage, normal, m);
  });
  const fused = fuse(model, attended);
  return streams.map(({ x: x0, ...grid }, m) => {
    const x1 = x0.add(fused[m]!);
    const normal = { ...grid, x: norm(model, `${name}.norm2`, m, x1) };
    return { ...grid, x: x1.add(feedForward(model, `${name}.mlp`, normal)) };
  });
}

/** Section 2: y_m = r · x_m + (1 − r)/(M − 1) · Σ_{j≠m} x_j. */
function fuse({ ratio, modalities }: Reference, branches: readonly Tensor[]): Tensor[] {
  return branches.map((own, m) => {
    const others = branches.filter((_, j) => j !== m);
    return own.mul(ratio).add(sum(others).mul((1 - ratio) / (modalities - 1)));
  });
}

/** softmax(q·kᵀ / √D) · v of each head; k and v from tokens reduced by a strided convolution. */
function attention(
  model: Reference,
  name: string,
  stage: number,
  tokens: Tokens,
  m: number,
): Tensor {
  const { state } = model;
  const [heads, reduction] = [HEADS[stage]!, REDUCTIONS[stage]!];
  let reduced = tokens.x;
  if (reduction > 1) {
    const { weight, bias } = shared(state, `${name}.sr`);
    const map = torch.conv2d(asMap(tokens), weight, bias, reduction);
    reduced = norm(model, `${name}.norm`, m, map.flatten(2).transpose(1, 2));
  }
  const split = (x: Tensor) => x.unflatten(2, [heads, -1]).transpose(1, 2); // [B, heads, N, D]
  const q = split(linear(state, `${name}.q`, tokens.x));
  const [k, v] = linear(state, `${name}.kv`, reduced).chunk(2, 2).map(split) as [Tensor, Tensor];
  const scores = q.matmul(k.transpose(2, 3)).div(Math.sqrt(q.shape[3]!));
  const attended = scores.softmax(3).matmul(v).transpose(1, 2).flatten(2);
  return linear(state, `${name}.proj`, attended);
}

/** Mix-FFN: Linear, depthwise 3×3 convolution, GELU, Linear. */
function feedForward({ state }: Reference, name: string, tokens: Tokens): Tensor {
  const hidden = asMap({ ...tokens, x: linear(state, `${name}.fc1`, tokens.x) });
  const [weight, bias] = [
    state[`${name}.dwconv.dwconv.weight`]!,
    state[`${name}.dwconv.dwconv.bias`],
  ];
  const convolved = torch.conv2d(hidden, weight, bias, 1, 1, 1, hidden.shape[1]!);
  return linear(state, `${name}.fc2`, torch.gelu(convolved).flatten(2).transpose(1, 2));
}

/** Section 3: Linear each, upsampled to stage 1, concatenated (c4, c3, c2, c1), fused, predicted. */
function decode({ state }: Reference, stages: readonly Tensor[]): Tensor {
  const size = stages[0]!.shape.slice(2) as [number, number];
  const maps = [4, 3, 2, 1].map((i) => {
    const c = stages[i - 1]!;
    const proj = `decoder.linear_c${i}.proj`;
    const x = torch.linear(
      c.flatten(2).transpose(1, 2),
      state[`${proj}.weight`]!,
      state[`${proj}.bias`],
    );
    const map = x.transpose(1, 2).unflatten(2, c.shape.slice(2));
    return torch.upsampleBilinear2d(map, size, false);
  });
  const fused = torch.conv2d(torch.cat(maps, 1), state['decoder.linear_fuse.conv.weight']!);
  const bn = (part: string) => state[`decoder.linear_fuse.bn.${part}`]!.view([1, -1, 1, 1]);
  const normal = fused.sub(bn('running_mean')).div(bn('running_var').add(1e-5).sqrt());
  const active = torch.relu(normal.mul(bn('weight')).add(bn('bias')));
  const pred = 'decoder.linear_pred';
  return torch.conv2d(active, state[`${pred}.weight`]!, state[`${pred}.bias`]);
}

/** LayerNorm of modality m. */
function norm({ state }: Reference, name: string, m: number, x: Tensor): Tensor {
  const [weight, bias] = [state[`${name}.ln_${m}.weight`]!, state[`${name}.ln_${m}.bias`]];
  return torch.layerNorm(x, [x.shape[2]!], weight, bias, EPS);
}

/** A Linear whose weights all modalities share. */
function linear(state: Reference['state'], name: string, x: Tensor): Tensor {
  const { weight, bias } = shared(state, name);
  return torch.linear(x, weight, bias);
}

function shared(state: Reference['state'], name: string): { weight: Tensor; bias: Tensor } {
  return { weight: state[`${name}.module.weight`]!, bias: state[`${name}.module.bias`]! };
}

function asMap({ x, height, width }: Tokens): Tensor {
  return x.transpose(1, 2).unflatten(2, [height, width]);
}

function sum(tensors: readonly Tensor[]): Tensor {
  return tensors.reduce((total, each) => total.add(each));
}
