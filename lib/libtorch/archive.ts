import { mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import yauzl from 'yauzl';
import { crc32 } from '../torch/crc32.js';
import { isSystemError } from '../torch/errors.js';
import { LibtorchInstallError, size } from './errors.js';

/** A file in an archive. */
export interface Entry {
  /** With slashes, relative, without `..`. */
  path: string;
  /** Bytes once unpacked, as the archive declares and reading checks. */
  size: number;
  raw: yauzl.Entry;
}

/** More than the largest wheel of PyTorch by far; past it an archive is refused unread. */
const MOST = { entries: 200_000, bytes: 32e9, text: 16e6 };
/** Deflate packs no more than this into a byte. */
const RATIO = 1032;

/**
 * A wheel or zip, each of whose entries is checked before any is read: names that leave the folder, links,
 * encryption, sizes that cannot be. What is read is checked against its size and CRC.
 */
export class Archive {
  private constructor(
    readonly path: string,
    readonly entries: readonly Entry[],
    private readonly zip: yauzl.ZipFile,
  ) {}

  /** @throws LibtorchInstallError M3L_LIBTORCH_ARCHIVE */
  static async open(path: string): Promise<Archive> {
    let zip: yauzl.ZipFile;
    try {
      zip = await yauzl.openPromise(path, {
        lazyEntries: true,
        autoClose: false,
        strictFileNames: true,
      });
    } catch (error) {
      throw await notAnArchive(path, error);
    }
    try {
      return new Archive(path, await checkedEntries(path, zip), zip);
    } catch (error) {
      zip.close();
      throw error;
    }
  }

  /** A short file's text. */
  async text(entry: Entry): Promise<string> {
    if (entry.size > MOST.text) throw damaged(this.path, `${entry.path} has ${size(entry.size)}`);
    const chunks: Buffer[] = [];
    for await (const chunk of this.#chunks(entry)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    this.#checkCrc(entry, crc32(bytes));
    return bytes.toString('utf8');
  }

  /**
   * Writes an entry to a new file.
   * @throws LibtorchInstallError M3L_LIBTORCH_ARCHIVE; what the system refuses; the signal's reason
   */
  async extract(
    entry: Entry,
    to: string,
    {
      signal,
      onBytes,
    }: { signal?: AbortSignal | undefined; onBytes?: (bytes: number) => void } = {},
  ): Promise<void> {
    mkdirSync(dirname(to), { recursive: true });
    const executable = ((entry.raw.externalFileAttributes >>> 16) & 0o111) !== 0;
    const file = await open(to, 'wx', executable ? 0o755 : 0o644);
    try {
      let crc = 0;
      for await (const chunk of this.#chunks(entry)) {
        signal?.throwIfAborted();
        crc = crc32(chunk, crc);
        await writeFully(file, chunk);
        onBytes?.(chunk.length);
      }
      this.#checkCrc(entry, crc);
      // What a cut of the power could leave broken and still open.
      if (/\.so(\.|$)/.test(to)) await file.sync();
    } finally {
      await file.close();
    }
  }

  /** What reading finds wrong is the archive's fault, whatever zlib calls it. */
  async *#chunks(entry: Entry): AsyncGenerator<Buffer> {
    try {
      yield* (await this.zip.openReadStreamPromise(entry.raw)) as AsyncIterable<Buffer>;
    } catch (error) {
      throw damaged(this.path, `${entry.path}: ${reason(error)}`);
    }
  }

  #checkCrc(entry: Entry, found: number): void {
    if (found === entry.raw.crc32) return;
    throw damaged(
      this.path,
      `${entry.path} has the CRC ${hex(found)} where ${hex(entry.raw.crc32)} is declared`,
    );
  }

  close(): void {
    this.zip.close();
  }
}

async function checkedEntries(path: string, zip: yauzl.ZipFile): Promise<Entry[]> {
  if (zip.entryCount > MOST.entries) {
    throw damaged(path, `it declares ${zip.entryCount} entries, at most ${MOST.entries} are read`);
  }
  const entries = new Map<string, Entry>();
  let total = 0;
  try {
    for await (const raw of zip.eachEntry()) {
      const fault = faultOf(raw);
      if (fault !== null) throw damaged(path, `its entry ${JSON.stringify(raw.fileName)} ${fault}`);
      if (raw.fileName.endsWith('/')) continue;
      if (entries.has(raw.fileName)) {
        throw damaged(path, `its entry ${JSON.stringify(raw.fileName)} is there twice`);
      }
      total += raw.uncompressedSize;
      entries.set(raw.fileName, { path: raw.fileName, size: raw.uncompressedSize, raw });
    }
  } catch (error) {
    throw error instanceof LibtorchInstallError ? error : damaged(path, reason(error));
  }
  if (total > MOST.bytes) {
    throw damaged(path, `it would unpack to ${size(total)}, at most ${size(MOST.bytes)} are`);
  }
  return [...entries.values()];
}

/** Why an entry is not one of a wheel; names that leave the folder are refused by the reader itself. */
function faultOf(entry: yauzl.Entry): string | null {
  const kind = (entry.externalFileAttributes >>> 16) & 0xf000;
  if (kind === 0xa000) return 'is a symbolic link, and wheels have none';
  if (kind !== 0 && kind !== 0x8000 && kind !== 0x4000) return 'is neither a file nor a folder';
  if (entry.fileName.includes('\0')) return 'has a NUL in its name';
  if (entry.isEncrypted()) return 'is encrypted';
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
    return `is packed by method ${entry.compressionMethod}, and only 0 and 8 (deflate) are read`;
  }
  if (entry.uncompressedSize > RATIO * entry.compressedSize + 1024) {
    return `declares ${size(entry.uncompressedSize)} in ${size(entry.compressedSize)}, which deflate cannot do`;
  }
  return null;
}

function damaged(path: string, why: string): LibtorchInstallError {
  return new LibtorchInstallError(
    'M3L_LIBTORCH_ARCHIVE',
    `${path} is damaged or no wheel of PyTorch: ${why}. Fetch it again (compare its sha256 with the index's), or name another with --from.`,
  );
}

async function notAnArchive(path: string, error: unknown): Promise<unknown> {
  if (isSystemError(error)) {
    return new LibtorchInstallError(
      'M3L_LIBTORCH_SOURCE',
      `${path} cannot be read: ${error.message}. Name a wheel (.whl), a zip or a libtorch folder.`,
      { cause: error },
    );
  }
  return damaged(path, `${await looksLike(path)} (${reason(error)})`);
}

async function looksLike(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(16);
    const { bytesRead } = await file.read(head, 0, 16, 0);
    if (bytesRead === 0) return 'it is empty';
    const text = head.toString('latin1');
    if (text.startsWith('PK')) return 'it begins as a zip and ends too soon';
    if (/^\s*</.test(text)) return 'it is a web page';
    if (text.startsWith('\x1f\x8b')) return 'it is a gzip file, not a zip';
    return 'it is no zip';
  } finally {
    await file.close();
  }
}

async function writeFully(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    at += (await file.write(chunk, at, chunk.length - at)).bytesWritten;
  }
}

/** The reader's message without a full stop of its own. */
function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
