import faulty from './faulty.mjs';
import images from './images.mjs';
import labels from './labels.mjs';
import predictions from './predict.mjs';
import states from './states.mjs';
import tensorFiles from './tensor-files.mjs';
import texts from './texts.mjs';

/**
 * What is fuzzed. `seeds` gives valid files; `make` writes a mutation of them to a path; `read`
 * gives all that its readers throw.
 */
export const targets = [...images, ...labels, ...texts, ...states, ...tensorFiles, ...predictions];

/** By name: also the target that tests the fuzzer itself. */
export const targetNamed = (name) => [...targets, faulty].find((each) => each.name === name);
