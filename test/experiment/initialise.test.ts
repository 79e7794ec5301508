import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { torch } from 'm3l';
import {
  type Config,
  checkConfig,
  createNetworks,
  disposeNetworks,
  RunFolder,
  saveCheckpoint,
} from 'm3l/experiment';
import type { Networks } from 'm3l/learning';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
let run: RunFolder;

const config = (changes: Record<string, unknown> = {}): Config =>
  checkConfig({
    data: {
      root: '.',
      classes: 3,
      lists: { labelled: 'a', unlabelled: 'b', val: 'c' },
    },
    model: { backbone: 'mit-b0' },
    ...changes,
  });

const of = (given: Config) => given.data.classes!.length;

/** Networks, and what was noted of them, for a while. */
function withNetworks(given: Config, use: (networks: Networks, notes: string[]) => void): void {
  const notes: string[] = [];
  const networks = createNetworks(given, of(given), (text) => notes.push(text));
  try {
    torch.scope(() => use(networks, notes));
  } finally {
    disposeNetworks(networks);
  }
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'm3l-initialise-'));
  const theirs = config({ seed: 5 });
  run = RunFolder.create(theirs, join(folder, 'run'));
  withNetworks(theirs, ({ student, teacher }) => {
    const prefixed = (prefix: string, model: typeof student) =>
      Object.entries(model.stateDict()).map(([key, tensor]) => [`${prefix}.${key}`, tensor]);
    const tensors = Object.fromEntries([
      ...prefixed('student', student),
      ...prefixed('teacher', teacher!),
    ]);
    const facts = { iteration: 4, config: theirs, meta: {}, score: null };
    saveCheckpoint(run.checkpoints, { ...facts, tensors }, { keep: 1 });
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('initialise', () => {
  it.each(['', 'checkpoints/step-0000004'])("01 starts from the teacher of run/'%s'", (place) => {
    withNetworks(config({ seed: 5 }), ({ teacher }) => {
      withNetworks(config({ initialise: join(run.path, place) }), ({ student }, notes) => {
        const wanted = teacher!.stateDict();
        for (const [name, tensor] of Object.entries(student.stateDict())) {
          expect(tensor.equal(wanted[name]!), name).toBe(true);
        }
        expect(notes).toEqual([expect.stringMatching(/^Starts from .*step-0000004\.$/)]);
      });
    });
  });

  it('02 leaves classifiers of other classes fresh, and says so', () => {
    const data = { root: '.', classes: 5, lists: { labelled: 'a', unlabelled: 'b', val: 'c' } };
    const own = config({ data, seed: 9 });
    withNetworks(own, ({ student: fresh }) => {
      withNetworks({ ...own, initialise: run.path }, ({ student }, notes) => {
        const [found, before] = [student.stateDict(), fresh.stateDict()];
        const kept = Object.keys(found).filter((name) => found[name]!.equal(before[name]!));
        const classifiers = Object.keys(found).filter((name) => name.includes('linear_pred'));
        expect(classifiers.length).toBeGreaterThan(0);
        for (const name of classifiers) expect(kept).toContain(name);
        expect(notes[0]).toMatch(/fresh are /);
        expect(notes[0]).toContain(classifiers.join(', '));
      });
    });
  });

  it('03 leaves a mask token fresh that the run has not, and does without one', () => {
    const framework = { name: 'supervised' };
    withNetworks(config({ framework, initialise: run.path }), ({ student, teacher }, notes) => {
      expect(teacher).toBeUndefined();
      expect(student.hasMaskToken).toBe(false);
      expect(notes).toHaveLength(1);
    });
  });

  it('05 starts two networks that teach each other apart, where the run has one', () => {
    const framework = { name: 'cps' };
    const changes = { framework, model: { backbone: 'mit-b0', maskToken: true }, seed: 7 };
    withNetworks(config(changes), (fresh) => {
      withNetworks(config({ ...changes, initialise: run.path }), (started, notes) => {
        const [one, two] = [started.branch1!.stateDict(), started.branch2!.stateDict()];
        const before = fresh.branch2!.stateDict();
        for (const [name, tensor] of Object.entries(two)) {
          const wanted = name.startsWith('encoder.') ? one : before;
          expect(tensor.equal(wanted[name]!), name).toBe(true);
        }
        expect(one['decoder.linear_fuse.conv.weight']).not.toBeCloseToTensor(
          two['decoder.linear_fuse.conv.weight']!,
        );
        expect(notes[1]).toMatch(/fresh are alpha, .* and \d+ more\.$/);
      });
    });
  });

  it.each([
    [{ model: { backbone: 'mit-b1' } }, 'model.backbone is mit-b0 there, mit-b1 is wanted'],
    [{ initialise: '/absent' }, '/absent does not exist; expected a run folder'],
    [{ initialise: tmpdir() }, 'holds no checkpoint; expected a run folder'],
  ])('04 refuses what does not fit: %o', (changes, message) => {
    const given = config({ initialise: run.path, ...changes });
    expect(() => createNetworks(given, of(given))).toThrow(message);
  });
});
