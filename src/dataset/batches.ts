import { checkInteger, invalidParameter } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import { NoduleError } from '../errors.js'
import type { EdgeBox } from '../geometry/box.js'
import { createRandom } from '../random.js'
import { checkImages } from './check_images.js'
import type { CheckedImage } from './check_images.js'
import type { FrameList } from './list.js'
import { makeBatch } from './make_batch.js'
import type { LoadedFrame } from './make_batch.js'
import { inThreads, runAhead } from './run_ahead.js'

export interface Batch {
  step: number
  /** Gray levels 0..255, [n, image_height, image_width, data.channels]. */
  frames: Float32Array
  /** True boxes of each frame, frame pixels. */
  boxes: EdgeBox[][]
  /** Places of each frame that are neither right nor wrong, frame pixels. */
  excluded: EdgeBox[][]
  /** Files of the frames. */
  paths: string[]
  /** Index of each frame in the list. */
  indices: number[]
}

export interface BatchOptions {
  /** Seed of order, jitter and crops; default solver.rnd_seed. */
  seed?: number
  /** The first step to yield, for going on after a checkpoint. */
  startStep?: number
  /** Shift, scale and mirror; default false. */
  jitter?: boolean
  /** A new order for each pass over the list; default true. */
  shuffle?: boolean
  /** Passes over the list, after which the batches end, the last one shorter; default: endless. */
  passes?: number
  /** Boxes that reach outside their images; default 'error'. */
  outside?: 'error' | 'clip'
  /** Bytes of decoded frames to keep; default 8 GiB, or a third of the free memory. */
  cacheBytes?: number
  /** Batches made ahead; default 2, or one more than the workers. */
  ahead?: number
  /** Threads that make them; default 0: this one. What is made does not depend on it. */
  workers?: number
  onWarning?: (warning: string) => void
}

/** Batches by their number. */
export interface BatchSource {
  /** Batch number n of the run; asked for in order, the next ones are made meanwhile. Throws NoduleError (FILE, FORMAT). */
  batch: (n: number) => Promise<Batch>
  /** Ends what is being made. */
  close: () => Promise<void>
}

/**
 * Batches of frames with their boxes. Item number n = step * batch_size + place in the batch is entry
 * n mod length of the order of pass floor(n / length), with jitter and augment.crops_per_frame c that of floor(n / c); order and jitter depend on seed and n alone, so a run that is
 * resumed at a step gets what the unbroken run got. Images of another size are resized to the frame, boxes with
 * them, or, with data.mm_per_pixel, crops of the frame's size are cut out of them; boxes of biggest_box_px or more are
 * left out. Throws NoduleError for empty lists, missing images and boxes outside them.
 */
export async function openBatches(
  list: FrameList,
  hypes: Hypes,
  options: Omit<BatchOptions, 'startStep'> = {},
): Promise<BatchSource & { count: number; images: readonly CheckedImage[] }> {
  const seed = checkInteger('seed', options.seed ?? hypes.solver.rnd_seed, 0, 0xffffffff)
  const workers = checkInteger('workers', options.workers ?? 0, 0, 64)
  const ahead = checkInteger('ahead', options.ahead ?? Math.max(2, workers + 1), 0, 128)
  const passes = options.passes ?? Infinity
  if (typeof passes !== 'number' || !(passes > 0)) throw invalidParameter('passes', 'number above 0', passes)
  const cacheBytes =
    options.cacheBytes === undefined
      ? Math.min(MOST_CACHED, process.availableMemory() / 3)
      : checkInteger('cacheBytes', options.cacheBytes, 0, Number.MAX_SAFE_INTEGER)
  const { entries } = truncated(list, hypes)
  if (entries.length === 0) {
    throw new NoduleError('FORMAT', 'the list has no frames', {
      path: list.path,
      expected: 'at least one entry',
      actual: '0',
    })
  }
  const { images, warnings } = await checkImages(
    { ...list, entries },
    { outside: options.outside ?? 'error' },
  )
  for (const warning of [...list.warnings, ...warnings]) options.onWarning?.(warning)
  const cache = new FrameCache(cacheBytes)
  const order = new Order(images.length, seed, options.shuffle ?? true)
  const crops = options.jitter === true && hypes.data.mm_per_pixel > 0 ? hypes.augment.crops_per_frame : 1
  // A pass in part ends with a whole item: the batch of half a one would be empty.
  const lastItem = Math.ceil(images.length * crops * passes)
  const count = Math.ceil(lastItem / hypes.batch_size)
  const module = new URL('./batch_worker.js', import.meta.url)
  const { run, close } = inThreads(workers, module, makeBatch)
  const make = async (step: number): Promise<Batch> => {
    const first = step * hypes.batch_size
    const numbers = Array.from({ length: Math.min(hypes.batch_size, lastItem - first) }, (_, i) => first + i)
    const indices = numbers.map((number) => order.entry(Math.floor(number / crops)))
    const { frames, boxes, excluded, decoded } = await run({
      hypes,
      ...{ seed, jitter: options.jitter === true },
      items: numbers.map((number, place) => {
        const index = indices[place]!
        return { number, image: cache.get(index) ?? images[index]! }
      }),
    })
    for (const [place, frame] of decoded.entries()) if (frame !== undefined) cache.put(indices[place]!, frame)
    const paths = indices.map((index) => images[index]!.file)
    // A copy: not everything that takes arrays takes shared memory.
    return { step, frames: new Float32Array(frames), boxes, excluded, paths, indices }
  }
  return { batch: runAhead(make, { ahead, count }), close, count, images }
}

/**
 * The batches one after another, endless without `passes`; see `openBatches`, whose errors are thrown before the first
 * batch.
 */
export async function* batches(
  list: FrameList,
  hypes: Hypes,
  options: BatchOptions = {},
): AsyncGenerator<Batch, void, undefined> {
  const startStep = checkInteger('startStep', options.startStep ?? 0, 0, Number.MAX_SAFE_INTEGER)
  const source = await openBatches(list, hypes, options)
  try {
    for (let step = startStep; step < source.count; step++) yield await source.batch(step)
  } finally {
    await source.close()
  }
}

/** What `data.truncate_data` leaves of a list: the first entries, as many as in TensorBox. */
export function truncated(list: FrameList, { data }: Pick<Hypes, 'data'>): FrameList {
  return data.truncate_data ? { ...list, entries: list.entries.slice(0, TRUNCATED_LENGTH) } : list
}
const TRUNCATED_LENGTH = 10

/** Which entry each item is: pass after pass, each pass in an order of its own. */
class Order {
  readonly #length: number
  readonly #seed: number
  readonly #shuffle: boolean
  readonly #passes = new Map<number, Uint32Array>()

  constructor(length: number, seed: number, shuffle: boolean) {
    this.#length = length
    this.#seed = seed
    this.#shuffle = shuffle
  }

  entry(item: number): number {
    const place = item % this.#length
    if (!this.#shuffle) return place
    const pass = Math.floor(item / this.#length)
    let order = this.#passes.get(pass)
    if (order === undefined) {
      order = Uint32Array.from({ length: this.#length }, (_, index) => index)
      const random = createRandom(this.#seed).fork(`pass ${pass}`)
      for (let i = order.length - 1; i > 0; i--) {
        const j = random.integer(i + 1)
        const swapped = order[i]!
        order[i] = order[j]!
        order[j] = swapped
      }
      this.#passes.set(pass, order)
      // Batches are made in step order: older passes do not come back.
      for (const old of this.#passes.keys()) if (old < pass - 1) this.#passes.delete(old)
    }
    return order[place]!
  }
}

/** Whole frames of 10,000 slices: decoding one takes longer than a crop's share of a step. */
const MOST_CACHED = 2 ** 33

/** Decoded frames, as many as the budget holds. */
class FrameCache {
  readonly #frames = new Map<number, LoadedFrame>()
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  get(index: number): LoadedFrame | undefined {
    return this.#frames.get(index)
  }

  put(index: number, frame: LoadedFrame): void {
    if (this.#frames.has(index) || this.#left < frame.data.length) return
    this.#left -= frame.data.length
    this.#frames.set(index, frame)
  }
}
