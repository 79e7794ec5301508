// Layers import downwards only, in this order (docs/architecture.md).
const layers = [
  'torch',
  'libtorch',
  'vitest',
  'nn',
  'onnx',
  'optim',
  'data',
  'rooms',
  'models',
  'inference',
  'learning',
  'evaluation',
  'experiment',
  'http',
  'view',
  'serve',
  'cli',
];

const upward = layers.slice(0, -1).map((layer, index) => ({
  name: `${layer}-imports-a-layer-above`,
  severity: 'error',
  from: { path: `^lib/${layer}/` },
  to: { path: `^lib/(${layers.slice(index + 1).join('|')})/|^lib/index\\.ts$` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'the-root-entry-stays-small',
      comment: "import { torch, nn, optim } from 'm3l' must not touch the layers above them",
      severity: 'error',
      from: { path: '^lib/index\\.ts$' },
      to: {
        path: '^lib/(libtorch|data|rooms|models|inference|learning|evaluation|experiment|http|view|serve|cli)/',
      },
    },
    {
      name: 'no-circular-values',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'lib-needs-only-dependencies',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/view/page/' },
      // What the page is made of is bundled into it. Declarations refer to Node's types, which whoever compiles against them has; m3l/vitest is for who
      // has vitest; h5wasm, of 15 MB, is asked for where a MATLAB file needs it.
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        pathNot: '(^|/)node_modules/(@types/node|vitest|h5wasm)/',
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
