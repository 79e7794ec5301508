// npm run docs:api: the API reference, HTML in build/api, from the doc comments of every public entry point.
//
//     node scripts/api-reference.mjs [--json FILE]     a JSON model of it instead
//
// A warning is an error: a link into nowhere, a parameter that is none, a type that is used and not exported.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entryPoints = Object.values(exports)
  .filter((path) => path.endsWith('.js'))
  .map((path) => join(root, path.replace('./dist/', 'lib/').replace(/\.js$/, '.ts')));

const application = await Application.bootstrap({
  name: 'm3l',
  entryPoints,
  tsconfig: join(root, 'tsconfig.json'),
  readme: 'none',
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  disableGit: true,
  sourceLinkTemplate: 'lib/{path}#L{line}',
  hideGenerator: true,
  logLevel: 'Warn',
  validation: { notExported: false, invalidLink: true, notDocumented: false },
});
const project = await application.convert();
if (project === undefined) process.exit(1);
application.validate(project);
const flag = process.argv.indexOf('--json');
if (flag >= 0) await application.generateJson(project, process.argv[flag + 1]);
else await application.generateDocs(project, join(root, 'build', 'api'));
if (application.logger.hasWarnings() || application.logger.hasErrors()) process.exit(1);
