// Counts the machine instructions (SASS), in all and in the longest loop, registers and spilled bytes of every CUDA kernel, as nvcc compiles it
// for Hopper, and writes them with the bytes an element that an operator cannot do without into docs/gpu.md.
//
//     npm run gpu:sass [-- --compare]
//
// No GPU is needed: since Volta an instruction is 16 bytes of a cubin's text section, which ends in NOPs that are
// left out. --compare counts one file by cuobjdump too, where that is at hand, and exits 1 where they differ.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNvcc } from '../compile-cuda.mjs';
import { markdownTable } from '../markdown.mjs';
import { which } from '../tools.mjs';

const sources = fileURLToPath(new URL('../../binding/kernels/cuda/', import.meta.url));
const ARCHITECTURE = 'sm_90';
const INSTRUCTION_BYTES = 16;
const NOP = 0x918;
const BRANCH = 0x947;

/** @typedef {{ instructions: number, loop: number, registers: number, spilled: number }} Counts */

/**
 * Bytes an element of the tokens (of the sum, of a pixel) that an operator must read and write, by what its
 * tokens are stored as; as scripts/gpu/twin_times.py counts them.
 * @type {[operator: string, float32: string, bfloat16: string, mixed: string][]}
 */
const BYTES = [
  ['`token_dwconv_gelu`', '8', '4', '–'],
  ['`token_dwconv_gelu` backward', '12', '6', '–'],
  ['`fuse_residual_norm`', '16', '8', '12'],
  ['`fuse_residual_norm` backward', '20', '10', '16'],
  ['`linear_fuse`', '8', '4', '–'],
  ['`upsample_sum`, and what its maps have', '8', '4', '–'],
  ['`upsample_sum` backward, and what its maps have', '4', '2', '–'],
];

/**
 * The instructions of each kernel of a cubin: where they begin in it, and how many they are.
 * @param {Buffer} elf @returns {[name: string, begin: number, count: number][]}
 */
function codeOf(elf) {
  if (elf.toString('latin1', 1, 4) !== 'ELF')
    throw new Error('a cubin is an ELF file, this is none');
  const table = Number(elf.readBigUInt64LE(0x28));
  const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => elf.readUInt16LE(at));
  const section = (/** @type {number} */ i) => {
    const at = table + i * size;
    const [offset, bytes] = [at + 0x18, at + 0x20].map((place) =>
      Number(elf.readBigUInt64LE(place)),
    );
    return { name: elf.readUInt32LE(at), offset, bytes };
  };
  const { offset: text } = section(names);
  /** @type {[string, number, number][]} */
  const found = [];
  for (let i = 0; i < count; i++) {
    const { name: at, offset, bytes } = section(i);
    const name = elf.toString('latin1', text + at, elf.indexOf(0, text + at));
    if (!name.startsWith('.text.')) continue;
    let end = offset + bytes;
    while (end > offset && opcode(elf, end - INSTRUCTION_BYTES) === NOP) end -= INSTRUCTION_BYTES;
    found.push([name.slice('.text.'.length), offset, (end - offset) / INSTRUCTION_BYTES]);
  }
  return found;
}

/** @param {Buffer} elf @param {number} at */
const opcode = (elf, at) => elf.readUInt16LE(at) & 0xfff;

/**
 * Instructions of each kernel of a cubin, by its mangled name.
 * @param {Buffer} elf @returns {Map<string, number>}
 */
export const instructionsOf = (elf) => new Map(codeOf(elf).map(([name, , count]) => [name, count]));

/**
 * Instructions of each kernel's longest loop that has no other in it, 0 where there is none. A branch of sm_90 tells
 * how far it leads, in words of 4 bytes: the low 8 bits are bits 16 to 23 of it, the others begin at bit 34.
 * @param {Buffer} elf @returns {Map<string, number>}
 */
export function loopsOf(elf) {
  return new Map(
    codeOf(elf).map(([name, begin, count]) => {
      /** @type {[first: number, last: number][]} */
      const loops = [];
      for (let i = 0; i < count; i++) {
        const at = begin + i * INSTRUCTION_BYTES;
        if (opcode(elf, at) !== BRANCH) continue;
        const high =
          BigInt(elf.readUInt32LE(at + 4) >>> 2) | (BigInt(elf.readUInt32LE(at + 8)) << 30n);
        const words = BigInt.asIntN(48, high) * 256n + BigInt(elf.readUInt8(at + 2));
        const first = i + 1 + (Number(words) * 4) / INSTRUCTION_BYTES;
        if (first < i) loops.push([first, i]);
      }
      const innermost = loops.filter(
        ([first, last]) => !loops.some(([a, b]) => a >= first && b <= last && b - a < last - first),
      );
      return [name, Math.max(0, ...innermost.map(([first, last]) => last - first + 1))];
    }),
  );
}

/**
 * The same from what `cuobjdump -sass` prints.
 * @param {string} text @returns {Map<string, number>}
 */
export function instructionsPrinted(text) {
  const found = new Map();
  for (const part of text.split(/^\s*Function : /m).slice(1)) {
    const lines = [...part.matchAll(/^\s*\/\*[0-9a-f]{4,}\*\/\s+(.*?);/gm)].map(([, line]) => line);
    while (lines.at(-1)?.trim() === 'NOP') lines.pop();
    found.set(part.slice(0, part.search(/\s/)), lines.length);
  }
  return found;
}

/**
 * Registers and spilled bytes, from what ptxas tells.
 * @param {string} told @returns {Map<string, { registers: number, spilled: number }>}
 */
export function registersTold(told) {
  const found = new Map();
  for (const part of told.split('Compiling entry function ').slice(1)) {
    const [, name = ''] = /^'([^']+)'/.exec(part) ?? [];
    const number = (/** @type {RegExp} */ pattern) => Number(pattern.exec(part)?.[1] ?? Number.NaN);
    const registers = number(/Used (\d+) registers/);
    found.set(name, { registers, spilled: number(/(\d+) bytes spill stores/) });
  }
  return found;
}

/**
 * The kernel's name and the types it is made for, of a demangled signature: its layouts are left out.
 * @param {string} signature
 */
export function kernelOf(signature) {
  const plain = signature.replaceAll('m3l::cuda::', '').replaceAll('(anonymous namespace)::', '');
  const [, name = plain, rest = ''] = /^(?:void )?(\w+)(.*)$/s.exec(plain) ?? [];
  let depth = 0;
  let end = 0;
  for (; end < rest.length && (end === 0 || depth > 0); end++) {
    depth += rest[end] === '<' ? 1 : rest[end] === '>' ? -1 : 0;
    if (depth === 0) break;
  }
  const types = rest.slice(1, end).match(/\b(?:float|double|__half|__nv_bfloat16)\b/g) ?? [];
  return {
    name,
    types: types.map((type) => type.replace('__nv_', '').replace('__', '')).join(', '),
  };
}

/** @param {string} program @param {string[]} args */
function run(program, args, input = '') {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    ...{ encoding: 'utf8', input, maxBuffer: 1 << 30 },
  });
  if (status !== 0) throw new Error(`${program} ended with ${error ?? status}: ${stderr}`);
  return { stdout, stderr };
}

/**
 * Of each kernel of a file, by its mangled name.
 * @param {string} nvcc @param {string} file @param {string} cubin where it is compiled to
 * @returns {Map<string, Counts>}
 */
function count(nvcc, file, cubin) {
  const flags = ['-std=c++20', '-O3', `-arch=${ARCHITECTURE}`, '-cubin', '-Xptxas', '-v'];
  const { stdout, stderr } = run(nvcc, [...flags, join(sources, file), '-o', cubin]);
  const told = registersTold(stdout + stderr);
  const elf = readFileSync(cubin);
  const loops = loopsOf(elf);
  const found = [...instructionsOf(elf)].map(([name, instructions]) => {
    const more = told.get(name);
    if (more === undefined) throw new Error(`ptxas told nothing of ${name} of ${file}`);
    return /** @type {const} */ ([name, { instructions, loop: loops.get(name) ?? 0, ...more }]);
  });
  return new Map(found);
}

/** @param {number[]} numbers */
function range(numbers) {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least === most ? `${least}` : `${least} to ${most}`;
}

/** @param {Map<string, Counts>} counts @param {string} version of nvcc */
function section(counts, version) {
  const names = [...counts.keys()];
  const signatures = run('c++filt', [], names.join('\n')).stdout.trim().split('\n');
  /** @type {Map<string, Counts[]>} */
  const groups = new Map();
  for (const [i, name] of names.entries()) {
    const { name: kernel, types } = kernelOf(signatures[i] ?? '');
    const key = `\`${kernel}\` | ${types || '–'}`;
    groups.set(key, [...(groups.get(key) ?? []), /** @type {Counts} */ (counts.get(name))]);
  }
  const rows = [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, all]) => [
      ...[key, `${all.length}`],
      ...[range(all.map((one) => one.instructions)), range(all.map((one) => one.loop))],
      ...[range(all.map((one) => one.registers)), range(all.map((one) => one.spilled))],
    ]);
  const mixed = 'float32 with a bfloat16 branch';
  return (
    `nvcc ${version}, ${ARCHITECTURE}. A kernel has several layouts where it is compiled for several widths. The ` +
    `instructions are those in the code, each once, however often a loop runs it; those of its longest loop that has ` +
    `no other in it beside them, 0 where there is none.\n\n` +
    `${markdownTable(['kernel', 'types', 'layouts', 'instructions', 'in the loop', 'registers', 'bytes spilled'], rows)}\n\n` +
    `Bytes an element that each operator reads and writes at the least:\n\n` +
    markdownTable(['operator', 'float32', 'bfloat16', mixed], BYTES)
  );
}

/** @param {string} nvcc @param {string} folder */
function compare(nvcc, folder) {
  const beside = join(dirname(nvcc), 'cuobjdump');
  const program = which('cuobjdump') ?? (existsSync(beside) ? beside : null);
  if (program === null) {
    console.log('not compared: there is no cuobjdump on the PATH or beside nvcc');
    return 0;
  }
  const cubin = join(folder, 'upsample_sum.cubin');
  const counts = count(nvcc, 'upsample_sum.cu', cubin);
  const printed = instructionsPrinted(run(program, ['-sass', cubin]).stdout);
  const differ = [...counts].filter(
    ([name, { instructions }]) => printed.get(name) !== instructions,
  );
  for (const [name, { instructions }] of differ) {
    console.log(`${name}: ${instructions} instructions, cuobjdump prints ${printed.get(name)}`);
  }
  console.log(`${counts.size} kernels compared with cuobjdump, ${differ.length} differ`);
  return differ.length > 0 ? 1 : 0;
}

async function main() {
  const found = findNvcc();
  if (found.nvcc === null) {
    console.log(`not counted: ${found.reason}`);
    return 0;
  }
  const { nvcc, version } = found;
  const folder = mkdtempSync(join(tmpdir(), 'm3l-sass-'));
  try {
    if (process.argv.includes('--compare')) return compare(nvcc, folder);
    const files = readdirSync(sources).filter((name) => name.endsWith('.cu'));
    const counts = files.sort().map((file) => [...count(nvcc, file, join(folder, 'one.cubin'))]);
    const { writeBetween } = await import('../between-markers.mjs');
    const text = section(new Map(counts.flat()), version);
    writeBetween('gpu.md', 'sass', 'npm run gpu:sass', text);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(await main());
