import { join } from 'node:path';
import { configToYaml, resolveConfig } from 'm3l/experiment';
import { describe, expect, it } from 'vitest';
import { configFolder, ROOMS } from './files.js';

const folder = configFolder();
const { write, refusal } = folder;

describe('resolveConfig', () => {
  it('01 fills in the defaults of the paper, and leaves open what follows the data', () => {
    const config = resolveConfig(write(ROOMS));
    expect(config.batch).toEqual({});
    expect(config.optimiser).toEqual({ name: 'adamw', weightDecay: 1e-4, clipGradientNorm: null });
    expect(config.framework.name).toBe('m3l');
    expect(config.model).toMatchObject({ backbone: 'mit-b2', fusionRatio: 0.8, maskToken: true });
    expect(config.schedule).toMatchObject({ name: 'poly', power: 0.9 });
    expect(config.framework).toMatchObject({
      emaDecay: null,
      emaHorizon: 0.05,
      lambda: 1,
      ohem: { threshold: 0.7, minKeptFraction: 0.08 },
      teacherMode: 'eval',
    });
  });

  it('keeps what is said of the modalities of rooms, and refuses others', () => {
    const config = resolveConfig(write(ROOMS), [
      'data.modalities.depth={ kind: depth, mean: 0.5 }',
    ]);
    expect(config.data.modalities).toEqual({
      rgb: { kind: 'rgb' },
      depth: { kind: 'depth', invalid: 0, mean: 0.5 },
    });
    const { message } = refusal(ROOMS, ['data.modalities={ thermal: depth }']);
    expect(message).toContain("rooms have 'rgb' (rgb), 'depth' (depth), 'normals' (rgb)");
  });

  it('takes the modalities of rooms that are named, in their order, and depth with its holes', () => {
    const modalities = (text: string) =>
      resolveConfig(write(ROOMS), [`data.modalities=${text}`]).data.modalities;
    const named = modalities('{ thermal: { kind: grey, mean: 0.5 }, normals: rgb, depth: depth }');
    expect(Object.entries(named)).toEqual([
      ['depth', { kind: 'depth', invalid: 0 }],
      ['normals', { kind: 'rgb' }],
      ['thermal', { kind: 'grey', mean: 0.5 }],
    ]);
  });

  it('takes classes made of those of rooms, and refuses what leaves some out', () => {
    const classes = 'data.classes=[rest, board, chair]';
    const map = [0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    const all = map.map((found, raw) => `${raw}: ${found}`);
    const maps = (entries: string[], more = '') => [
      classes,
      `data.labels={ map: { ${entries.join(', ')} }${more} }`,
    ];
    expect(resolveConfig(write(ROOMS), maps(all)).data.classes).toEqual(['rest', 'board', 'chair']);
    resolveConfig(write(ROOMS), maps(all.slice(0, 5), ', void: others'));
    const none = refusal(ROOMS, [classes]);
    expect(none.code).toBe('M3L_CONFIG_VALUE');
    expect(none.message).toContain('say in data.labels.map which class each of them is');
    const { code, message } = refusal(ROOMS, maps(all.slice(0, 11)));
    expect(code).toBe('M3L_CONFIG_VALUE');
    expect(message).toContain('11 (wall), 12 (window) of the rooms become no class');
    const palette = 'data.palette=["#000000", "#ffffff"]';
    expect(refusal(ROOMS, [...maps(all), palette]).message).toContain('2 colours for 3 classes');
  });

  it('takes a normalisation of one number, or of three for rgb', () => {
    const own = 'data.modalities.rgb={ kind: rgb, mean: [0.5, 0.4, 0.3], std: 0.1 }';
    expect(resolveConfig(write(ROOMS), [own]).data.modalities.rgb).toEqual({
      kind: 'rgb',
      mean: [0.5, 0.4, 0.3],
      std: 0.1,
    });
    const wrong = (own: string) => refusal(ROOMS, [`data.modalities.rgb={ kind: rgb, ${own} }`]);
    expect(wrong('std: [0.1, 0.2]').message).toContain('found [0.1,0.2], expected');
    expect(wrong('std: narrow').message).toContain("found 'narrow': expected one number, or three");
    expect(wrong('invalid: 0').message).toContain("'invalid' has no meaning for rgb");
    expect(wrong('meen: 1').message).toContain("did you mean 'data.modalities.rgb.mean'?");
    const { code, message } = refusal(ROOMS, [
      'data.modalities.depth={ kind: depth, mean: [0.5, 0.4, 0.3] }',
    ]);
    expect(code).toBe('M3L_CONFIG_VALUE');
    expect(message).toContain('data.modalities.depth');
    expect(message).toContain('found mean [0.5, 0.4, 0.3], expected one number.');
  });

  it('takes a jitter, and an offset for depth alone', () => {
    const jitter = { gain: 0.3, offset: 0.1 };
    const set = (name: string) => [
      `data.modalities.${name}={ kind: ${name}, jitter: { gain: 0.3, offset: 0.1 } }`,
    ];
    expect(resolveConfig(write(ROOMS), set('depth')).data.modalities.depth).toMatchObject({
      jitter,
    });
    const { code, message } = refusal(ROOMS, set('rgb'));
    expect(code).toBe('M3L_CONFIG_VALUE');
    expect(message).toContain('data.modalities.rgb');
    expect(message).toContain('found jitter {"gain":0.3,"offset":0.1}, expected a gain alone');
    const negative = 'data.modalities.rgb={ kind: rgb, jitter: { gain: -0.1 } }';
    expect(refusal(ROOMS, [negative]).message).toContain('data.modalities.rgb.jitter.gain');
  });

  it('02 takes the short forms', () => {
    const config = resolveConfig(write(`${ROOMS}framework: supervised\nmodel: linear-fusion\n`));
    expect(config.framework.name).toBe('supervised');
    expect(config.model.maskToken).toBe(false);
    const sized = resolveConfig(write(ROOMS), ['data.crop=64']);
    expect(sized.data.crop).toEqual([64, 64]);
  });

  it('03 reads its own resolved form back to the same', () => {
    const config = resolveConfig(write(ROOMS), ['seed=7', 'name=again']);
    expect(resolveConfig(write(configToYaml(config)))).toEqual(config);
  });

  it('04 names the nearest known key and the line of an unknown one', () => {
    const { code, message } = refusal(`${ROOMS}framwork: m3l\n`);
    expect(code).toBe('M3L_CONFIG_UNKNOWN_KEY');
    expect(message).toContain('config.yaml:2');
    expect(message).toContain("unknown key 'framwork'; did you mean 'framework'?");
  });

  it('05 names the path of a nested unknown key, and of one in the wrong place', () => {
    expect(refusal(`${ROOMS}optimiser: { encoderLR: 1 }\n`).message).toContain(
      "'optimiser.encoderLR'; did you mean 'optimiser.encoderLr'?",
    );
    expect(refusal(`${ROOMS}crop: 64\n`).message).toContain("did you mean 'data.crop'?");
    expect(refusal(`${ROOMS}data.labels.map: { 255: 1 }\n`).message).toContain(
      "unknown key 'data.labels.map'; dots are for --set, in a file write data: { labels: { map: … } }.",
    );
  });

  it('06 names the keys where a value stands in their place', () => {
    expect(refusal(`${ROOMS}batch: 4\n`).message).toContain(
      'batch: found 4, expected keys and values (labelled, unlabelled).',
    );
  });

  it('07 tells everything that is wrong at once', () => {
    const { code, message } = refusal(`${ROOMS}iterations: -1\nframework: m3k\nseed: 1.5\n`);
    expect(code).toBe('M3L_CONFIG_VALUE');
    expect(message).toContain('iterations: found -1, expected more than 0.');
    expect(message).toContain("Did you mean 'm3l'?");
    expect(message).toContain('seed: found 1.5, expected a whole number.');
  });

  it('08 applies overrides, also into a short form', () => {
    const config = resolveConfig(write(`${ROOMS}framework: m3l\n`), [
      'framework.fidelity=paper',
      'iterations=12',
      'data.scales=[1, 2]',
    ]);
    expect(config.framework).toMatchObject({ name: 'm3l', fidelity: 'paper' });
    expect(config.iterations).toBe(12);
    expect(config.data.scales).toEqual([1, 2]);
  });

  it('08 lets all heads vote by default under the fidelity of the paper alone', () => {
    const ensembleOf = (text: string, sets: string[] = []) =>
      resolveConfig(write(`${ROOMS}${text}`), sets).model.ensemble;
    expect(ensembleOf('')).toBe('evidence');
    expect(ensembleOf('framework: m3l\n')).toBe('evidence');
    expect(ensembleOf('framework: { fidelity: paper }\n')).toBe('all');
    expect(ensembleOf('', ['framework.fidelity=paper', 'model.name=linear-fusion'])).toBe('all');
    const paper = 'framework: { fidelity: paper }\nmodel: { ensemble: present }\n';
    expect(ensembleOf(paper)).toBe('present');
    expect(ensembleOf('model: { ensemble: all }\n')).toBe('all');
    const wrong = refusal(`${ROOMS}model: { ensemble: none }\n`).message;
    expect(wrong).toMatch(/model\.ensemble: .*evidence.*present.*all/);
  });

  it('09 refuses a malformed override', () => {
    expect(refusal(ROOMS, ['iterations']).code).toBe('M3L_CONFIG_SET');
    expect(refusal(ROOMS, ['=3']).code).toBe('M3L_CONFIG_SET');
    expect(refusal(ROOMS, ['itertions=3']).message).toContain("did you mean 'iterations'?");
  });

  it('10 expands environment variables, with defaults', () => {
    const text = (root: string) => `data:
  root: ${root}
  classes: 2
  lists: { labelled: a.txt, unlabelled: b.txt, val: c.txt }
`;
    const config = resolveConfig(write(text('$' + '{M3L_TEST_UNSET:-.}')));
    expect(config.data.root).toBe(folder.path());
    expect(config.data.classes).toEqual(['class 0', 'class 1']);
    const unset = refusal(text('$' + '{M3L_TEST_UNSET}'));
    expect(unset.code).toBe('M3L_CONFIG_ENVIRONMENT');
    expect(unset.message).toContain('M3L_TEST_UNSET');
  });

  it('11 says what is missing for the framework', () => {
    expect(refusal('data: { rooms: { unlabelled: 0 } }').message).toContain(
      'data.rooms.unlabelled',
    );
    expect(refusal('seed: 1').message).toContain('data: found nothing');
    expect(refusal('data: { root: . }').message).toContain('data.lists');
    const weights = refusal(`${ROOMS}framework: { maskWeights: { thermal: 2 } }`);
    expect(weights.code).toBe('M3L_CONFIG_VALUE');
    expect(weights.message).toContain("framework.maskWeights: found 'thermal'");
    expect(weights.message).toContain('expected rgb, depth, none');
  });

  it('12 fills in for a model without mask token under a framework that masks', () => {
    const config = resolveConfig(write(`${ROOMS}model: { maskToken: false }`), [
      'framework.fill=mean',
    ]);
    expect(config.model.maskToken).toBe(false);
    expect(config.framework.fill).toBe('mean');
    // Evaluated as trained, unless told otherwise.
    expect(config.evaluate.fill).toBe('mean');
    expect(resolveConfig(write(ROOMS), ['evaluate.fill=noise']).evaluate.fill).toBe('noise');
    expect(resolveConfig(write(ROOMS)).evaluate.fill).toBe('zeros');
  });

  const ONE = `data:
  root: .
  classes: 2
  lists: { labelled: a.txt, unlabelled: b.txt, val: c.txt }
  modalities: { rgb: rgb }
model: segformer
`;

  it('13 refuses one modality where the framework masks, with the mend', () => {
    const { code, message } = refusal(`${ONE}framework: m3l\n`);
    expect(code).toBe('M3L_CONFIG_VALUE');
    expect(message).toContain("framework.name: 'm3l' masks modalities, and there is one (rgb)");
    expect(message).toContain('Choose a framework that masks none (supervised, mean-teacher, cps)');
    for (const name of ['supervised', 'mean-teacher']) {
      const config = resolveConfig(write(`${ONE}framework: ${name}\n`));
      expect(config.model).toEqual({
        name: 'segformer',
        backbone: 'mit-b2',
        dropPath: 0.1,
        dropout: 0.1,
        maskToken: false,
      });
    }
  });

  it('14 holds the number of modalities and the mask token against the model', () => {
    const many = refusal(`${ROOMS}model: segformer\nframework: supervised\n`).message;
    expect(many).toContain('data.modalities: found 2 (rgb, depth), but segformer takes 1');
    expect(many).toContain('a model that takes 2: linear-fusion');
    const few = refusal(`${ONE}framework: supervised\n`, ['model.name=linear-fusion']).message;
    expect(few).toContain('found 1 (rgb), but linear-fusion takes 2 or more');
    const token = refusal(`${ONE}framework: supervised\n`, ['model.maskToken=true']).message;
    expect(token).toContain('model.maskToken: segformer cannot learn a mask token');
  });

  it('15 checks the options of the model that was chosen', () => {
    const one = `${ONE}framework: supervised\n`;
    const foreign = refusal(one, ['model.fusionRatio=0.5']);
    expect(foreign.code).toBe('M3L_CONFIG_UNKNOWN_KEY');
    expect(foreign.message).toContain("'model.fusionRatio' is an option of linear-fusion");
    // At that model's default it says nothing: a run folder from before holds it.
    expect(resolveConfig(write(one), ['model.fusionRatio=0.8']).model.fusionRatio).toBeUndefined();
    const typo = refusal(ROOMS, ['model.fusionRatoi=0.5']).message;
    expect(typo).toContain("did you mean 'model.fusionRatio'?");
    expect(refusal(ROOMS, ['model.fusionRatio=2']).message).toContain('expected at most 1');
    expect(refusal(ROOMS, ['model.name=segfomer']).message).toContain("Did you mean 'segformer'?");
  });

  it('16 refuses files that are no configuration', () => {
    expect(refusal('a: [1').code).toBe('M3L_CONFIG_SYNTAX');
    expect(refusal('- 1\n- 2\n').code).toBe('M3L_CONFIG_SYNTAX');
    expect(() => resolveConfig(join(folder.path(), 'absent.yaml'))).toThrow(/does not exist/);
  });
});
