import type { OpenPredictorOptions } from '../experiment/index.js';
import { checkArguments } from '../torch/check-arguments.js';
import { withDefaults } from '../torch/require.js';
import * as is from '../torch/rules.js';

/** What `serve` takes by name. */
export interface ServeOptions
  extends Pick<
    OpenPredictorOptions,
    'checkpoint' | 'device' | 'sets' | 'maxBatch' | 'window' | 'maxQueue' | 'restarts'
  > {
  /** Where it listens (127.0.0.1: this machine alone). */
  host?: string;
  /** 0 is any that is free (8080). */
  port?: number;
  /** Further names that a request's Host may have. */
  hosts?: readonly string[];
  /** Origins whose pages may ask (none). */
  cors?: readonly string[];
  /** Keys of which a request must have one (none: everybody may ask). */
  keys?: readonly string[];
  /** Bytes of a request (32 MiB). */
  maxBytes?: number;
  /** Pixels of an image (2^22), looked at before it is decoded. */
  maxPixels?: number;
  /** Scenes of a batch that is one request (32). */
  maxItems?: number;
  /** Seconds that a request may take to arrive (30), and then to be answered (30). */
  uploadSeconds?: number;
  answerSeconds?: number;
  /**
   * Seconds that the model may work at one image or one pass before it is taken to hang, and started anew
   * (120, or four times `answerSeconds` where that is more).
   */
  hangSeconds?: number;
  /** Seconds that `close` gives requests under way (10). */
  graceSeconds?: number;
  /** Is told what failed that is no client's doing. */
  log?: (text: string) => void;
}

/** Seconds; timers count no more than 24 of it. */
const DAY = 86_400;

/** The options with all that is left out. */
export type ServeSettings = Required<Omit<ServeOptions, 'device'>> & Pick<ServeOptions, 'device'>;

/** @throws ArgumentError */
export function settingsOf(options: ServeOptions): ServeSettings {
  const hangSeconds = Math.min(DAY, Math.max(120, 4 * (options.answerSeconds ?? 0)));
  const settings = withDefaults<ServeSettings>(
    'serve',
    {
      ...{
        checkpoint: 'latest',
        device: undefined,
        sets: [],
        maxBatch: 8,
        window: 2,
        maxQueue: 64,
        restarts: 5,
      },
      ...{ host: '127.0.0.1', port: 8080, hosts: [], cors: [], keys: [] },
      ...{ maxBytes: 32 << 20, maxPixels: 2 ** 22, maxItems: 32 },
      ...{ uploadSeconds: 30, answerSeconds: 30, hangSeconds, graceSeconds: 10, log: () => {} },
    },
    options,
  );
  checkArguments('serve', settings, {
    checkpoint: is.oneOf('best', 'latest'),
    device: is.maybe(is.text),
    sets: is.listOf(is.text),
    maxBatch: is.count,
    window: is.atMost(is.notNegative, 60_000),
    maxQueue: is.count,
    restarts: is.index,
    host: is.text,
    port: is.atMost(is.index, 65_535),
    hosts: is.listOf(is.text),
    cors: is.listOf(is.text),
    keys: is.listOf(is.text),
    maxBytes: is.count,
    maxPixels: is.count,
    maxItems: is.count,
    uploadSeconds: is.atMost(is.positive, DAY),
    answerSeconds: is.atMost(is.positive, DAY),
    hangSeconds: is.atMost(is.positive, DAY),
    graceSeconds: is.atMost(is.notNegative, DAY),
    log: is.callback,
  });
  return settings;
}
