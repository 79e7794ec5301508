import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';

/** An entry of a zip, and what may be wrong with it. */
export interface FakeEntry {
  name: string;
  data: Buffer | string;
  /** Unix mode, for links and the like; default: a file. */
  mode?: number;
  /** Bytes that the entry claims to unpack to; default: what it does. */
  claims?: number;
  /** Its CRC; default: the right one. */
  crc?: number;
  encrypted?: boolean;
}

/** A zip as bytes, written here so that each part can be wrong. */
export function zip(entries: readonly FakeEntry[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, mode = 0o100644, claims, crc, encrypted = false } of entries) {
    const bytes = Buffer.from(data);
    const packed = deflateRawSync(bytes);
    const path = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(encrypted ? 1 : 0, 2);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc ?? crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(claims ?? bytes.length, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode * 0x10000) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    const made = Buffer.from([20, 3]);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), made, common, rest, path]));
    bodies.push(local);
    offset += local.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, listed, end]);
}

export const MACHINE = { x64: 62, arm64: 183 };
export const here = process.arch === 'arm64' ? MACHINE.arm64 : MACHINE.x64;

/** A shared library's header, dynamic section and names, and no code. */
export function elf({
  machine = here,
  needed = [] as string[],
  runpath = '',
  padding = 0,
} = {}): Buffer {
  const names = ['', ...needed, runpath];
  const strings = Buffer.from(`${names.join('\0')}\0`);
  const at = (index: number) => Buffer.byteLength(names.slice(0, index).join('\0')) + (index && 1);
  const tags: [number, number][] = [
    ...needed.map((_, i): [number, number] => [1, at(i + 1)]),
    ...(runpath === '' ? [] : [[29, at(needed.length + 1)] as [number, number]]),
    [5, 64 + 2 * 56],
    [10, strings.length],
    [0, 0],
  ];
  const table = Buffer.alloc(16 * tags.length);
  tags.forEach(([tag, value], i) => {
    table.writeBigInt64LE(BigInt(tag), 16 * i);
    table.writeBigUInt64LE(BigInt(value), 16 * i + 8);
  });
  const start = 64 + 2 * 56;
  const length = start + strings.length + table.length + padding;
  const head = Buffer.alloc(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(3, 16);
  head.writeUInt16LE(machine, 18);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(2, 56);
  const segment = (type: number, offset: number, size: number) => {
    const bytes = Buffer.alloc(56);
    bytes.writeUInt32LE(type, 0);
    bytes.writeBigUInt64LE(BigInt(offset), 8);
    bytes.writeBigUInt64LE(BigInt(offset), 16);
    bytes.writeBigUInt64LE(BigInt(size), 32);
    return bytes;
  };
  const load = segment(1, 0, length);
  const dynamic = segment(2, start + strings.length, table.length);
  return Buffer.concat([head, load, dynamic, strings, table, Buffer.alloc(padding)]);
}

export interface FakeTorch {
  version?: string;
  library?: Buffer;
  /** Files more, or of another content; null leaves one out. */
  files?: Record<string, Buffer | string | null>;
}

/** The files of a wheel of torch that an install looks at, of a few kilobytes, and some it leaves out. */
export function torchFiles({
  version = '2.13.0+cpu',
  library = elf(),
  files = {},
}: FakeTorch = {}) {
  const info = `torch-${version}.dist-info`;
  const all: Record<string, Buffer | string | null> = {
    'torch/__init__.py': 'raise ImportError\n',
    'torch/version.py': `__version__ = '${version}'\n`,
    'torch/lib/libtorch.so': library,
    'torch/lib/libtorch_cpu.so': library,
    'torch/lib/libc10.so': library,
    'torch/lib/libgomp.so.1': library,
    'torch/lib/libtorch_python.so': library,
    'torch/include/torch/headeronly/version.h': '#define TORCH_VERSION_MAJOR 2\n',
    'torch/share/cmake/Torch/TorchConfig.cmake': '\n',
    'torch/bin/protoc': 'x',
    [`${info}/METADATA`]: `Name: torch\nVersion: ${version}\n`,
    [`${info}/licenses/LICENSE`]: 'BSD-3-Clause\n',
    [`${info}/RECORD`]: '\n',
    ...files,
  };
  const entries = Object.entries(all).filter(
    (entry): entry is [string, Buffer | string] => entry[1] !== null,
  );
  return entries.map(([name, data]): FakeEntry => ({ name, data }));
}

export function wheel(torch: FakeTorch = {}): Buffer {
  return zip(torchFiles(torch));
}

/** The files under a folder. */
export function unpacked(folder: string, entries: readonly FakeEntry[]): string {
  for (const { name, data } of entries) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), data);
  }
  return folder;
}
