import { checkArguments } from '../torch/check-arguments.js';
import type { Tensor } from '../torch/index.js';
import * as torch from '../torch/index.js';
import * as is from '../torch/rules.js';
import type { LearningOptions } from './options.js';
import { ALONE, type Peers } from './peers.js';
import { peersShape } from './rules.js';

/** A batch's weight in the record falls to a third over so many iterations. */
const MEMORY = 50;
/** Alignment multiplies or divides a class's probability by this at most. */
const MOST_ALIGNED = 4;
/** A class counts as known once its IoU on the labelled images was this high. */
const KNOWN = 0.1;
/** λ falls back in proportion once the IoU of a known class is below this share of its best. */
const KEPT = 0.5;
/** The best is forgotten over so many iterations. */
const BEST_MEMORY = 1000;
const TINY = 1e-6;

/** One step's view of what a teacher says, at the resolution of its head. */
export interface Said {
  /** The logits of its ensemble, [B, K, h, w]; the labelled images first. */
  logits: Tensor;
  /** [B, H, W] bool, false where padded; null: nowhere. */
  valid: Tensor | null;
  /** [L, H, W] int64 of the first L images; 255: void. */
  truth: Tensor;
}

/**
 * What a teacher has come to say, as moving averages on the device: how well it knows the labelled
 * images, and how often and how surely it says each class where there are no labels. Thresholds,
 * alignment and λ follow from it. Only tensor operations, none of which the host waits for: a captured
 * step moves it like an eager one. Processes that share their batches have the same record.
 */
export class TeacherRecord {
  /** What a checkpoint keeps: each float32. */
  readonly state: Readonly<Record<string, Tensor>>;

  constructor(
    private readonly classes: number,
    device: string,
    private readonly peers: Peers = ALONE,
  ) {
    checkArguments(
      'TeacherRecord',
      { classes, device, peers },
      { classes: is.finite, device: is.text, peers: peersShape },
    );

    const zeros = (size: number) => torch.zeros([size], { device });
    this.state = {
      /** Labelled pixels of a class that the teacher says rightly, and all of them. */
      hits: zeros(classes),
      truth: zeros(classes),
      /** Labelled pixels of which it says the class, and those that the student says rightly. */
      claimed: zeros(classes),
      studentHits: zeros(classes),
      /** Highest IoU of late. */
      best: zeros(classes),
      /** Probability of each class on images without labels, its highest, and the number of batches. */
      said: zeros(classes),
      sureness: zeros(1),
      batches: zeros(1),
    };
  }

  /** Takes a batch in. */
  observe({ logits, valid, truth }: Said): void {
    const { state, peers } = this;
    const labelled = truth.shape[0]!;
    const [images, , height, width] = logits.shape as [number, number, number, number];
    const probabilities = logits.to('float32').softmax(1);
    const own = this.#counts(logits.narrow(0, 0, labelled), truth);
    keep(state.hits!, own.hits);
    keep(state.truth!, own.truth);
    keep(state.claimed!, own.claimed);
    const grown = state.best!.mul(1 - 1 / BEST_MEMORY).maximum(this.#iou());
    state.best!.copy_(grown.mul(state.batches!.gt(MEMORY / 4)));

    keep(state.batches!, torch.ones([1], { device: logits.device }));
    const rest = images - labelled;
    if (rest === 0) return;
    const unlabelled = probabilities.narrow(0, labelled, rest);
    const seen =
      valid === null
        ? torch.ones([rest, height, width], { device: logits.device })
        : nearest(valid.narrow(0, labelled, rest), [height, width]).to('float32');
    const said = unlabelled.mul(seen.unsqueeze(1)).sum([0, 2, 3]);
    const sureness = unlabelled.amax([1]).mul(seen).sum();
    const all = peers.sum(torch.cat([said, torch.stack([sureness, seen.sum()])]));
    const pixels = all.select(0, -1).clamp(1);
    keep(state.said!, all.narrow(0, 0, said.shape[0]!).div(pixels));
    keep(state.sureness!, all.select(0, -2).div(pixels).reshape([1]));
  }

  /** Takes in what the student's ensemble says of the labelled images, [L, K, h, w]. */
  observeStudent(logits: Tensor, truth: Tensor): void {
    keep(this.state.studentHits!, this.#counts(logits, truth).hits);
  }

  /** Share of each class among labelled pixels, [K]. */
  labelledShares(): Tensor {
    const { truth } = this.state;
    return truth!.div(truth!.sum().clamp(TINY));
  }

  /** Share of each class in what the teacher says of images without labels, [K]. */
  saidShares(): Tensor {
    return this.state.said!.div(this.state.batches!.clamp(TINY));
  }

  /** Recall of each class on the labelled images, [K]; 0 for one that has no labels. */
  recall(hits: Tensor = this.state.hits!): Tensor {
    return hits.div(this.state.truth!.clamp(TINY));
  }

  /** Mean recall over the labelled classes, from 0 at chance to 1; a scalar. */
  competence(hits: Tensor = this.state.hits!): Tensor {
    const present = this.state.truth!.gt(0).to('float32');
    const count = present.sum().clamp(1);
    const chance = count.reciprocal();
    const mean = this.recall(hits).mul(present).sum().div(count);
    const above = mean.sub(chance).div(chance.neg().add(1).clamp(TINY));
    // Of one class there is nothing to tell apart.
    return torch.where(count.gt(1), above, mean).clamp(0, 1);
  }

  /** 1 where every class that the teacher knew is still known, towards 0 as one is lost; a scalar. */
  retained(): Tensor {
    const { best } = this.state;
    const ratio = this.#iou().div(best!.mul(KEPT).clamp(TINY)).clamp(0, 1);
    return torch.where(best!.gt(KNOWN), ratio, 1).amin();
  }

  /** What is added to logits [B, K, h, w] so that the shares said come to those labelled. */
  alignment(strength: number): Tensor {
    const { batches } = this.state;
    const ratio = this.labelledShares().add(TINY).log().sub(this.saidShares().add(TINY).log());
    const most = Math.log(MOST_ALIGNED);
    return torch
      .where(batches!.gt(0), ratio.clamp(-most, most).mul(strength), 0)
      .reshape([1, -1, 1, 1]);
  }

  /** Least probability of each class that is believed, [K] (FreeMatch): none where nothing was said yet. */
  thresholds(): Tensor {
    const said = this.saidShares();
    return this.state
      .sureness!.div(this.state.batches!.clamp(TINY))
      .mul(said.div(said.amax().clamp(TINY)));
  }

  dispose(): void {
    torch.dispose(Object.values(this.state));
  }

  /** Over all processes. */
  #counts(logits: Tensor, truth: Tensor): ReturnType<typeof classCounts> {
    const own = classCounts(logits, truth, this.classes);
    const all = this.peers.sum(torch.stack([own.hits, own.truth, own.claimed]));
    const [hits, there, claimed] = all.unbind(0) as [Tensor, Tensor, Tensor];
    return { hits, truth: there, claimed };
  }

  #iou(): Tensor {
    const { hits, truth, claimed } = this.state;
    return hits!.div(truth!.add(claimed!).sub(hits!).clamp(TINY));
  }
}

/**
 * Pixels of each class that a prediction finds, that there are and that it claims, [K] each, at the
 * resolution of the logits [L, K, h, w]; the labels [L, H, W] are subsampled.
 */
export function classCounts(
  logits: Tensor,
  labels: Tensor,
  classes: number,
): { hits: Tensor; truth: Tensor; claimed: Tensor } {
  checkArguments(
    'classCounts',
    { logits, labels, classes },
    { logits: is.tensor, labels: is.tensor, classes: is.finite },
  );

  const truth = nearest(labels, logits.shape.slice(2));
  const there = oneHot(truth, classes);
  const labelled = truth.lt(classes).unsqueeze(-1);
  const said = oneHot(logits.argmax(1), classes).mul(labelled);
  const count = (hot: Tensor) => hot.sum([0, 1, 2]);
  return { hits: count(there.mul(said)), truth: count(there), claimed: count(said) };
}

/** [N, h, w] int64 as float32 [N, h, w, K]; all 0 for a void pixel. */
export function oneHot(labels: Tensor, classes: number): Tensor {
  return labels
    .unsqueeze(-1)
    .eq(torch.arange(classes, { device: labels.device }))
    .to('float32');
}

/** [N, H, W] at another size: the nearest pixel up and left. */
export function nearest(map: Tensor, size: readonly number[]): Tensor {
  return [1, 2].reduce((taken, dim) => {
    const [from, to] = [taken.shape[dim]!, size[dim - 1]!];
    if (from === to) return taken;
    const index = torch.arange(to, { device: map.device, dtype: 'int64' });
    return taken.indexSelect(dim, index.mul(from).div(to, { roundingMode: 'floor' }).to('int64'));
  }, map);
}

function keep(average: Tensor, now: Tensor): void {
  average.mul_(1 - 1 / MEMORY).add_(now);
}

/** Whether a framework with these options reads a record. */
export function readsRecord(options: LearningOptions): boolean {
  const { confidenceThreshold, distributionAlignment, lambdaFollowsTeacher } = options;
  return confidenceThreshold === 'adaptive' || distributionAlignment > 0 || lambdaFollowsTeacher;
}
