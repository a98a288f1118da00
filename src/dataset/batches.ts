import { freemem } from 'node:os'
import { checkInteger, invalidParameter } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import { NoduleError } from '../errors.js'
import type { EdgeBox } from '../geometry/box.js'
import { createRandom } from '../random.js'
import type { Random } from '../random.js'
import { checkImages } from './check_images.js'
import type { CheckedImage } from './check_images.js'
import { cropBoxes, cutCrop, drawCrop } from './crops.js'
import type { Canvas } from './crops.js'
import { drawJitter, jitterBoxes, jitterFrame } from './jitter.js'
import type { FrameList } from './list.js'
import { readFrameFile } from './read_frame.js'

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
  /** Seed of order and jitter; default solver.rnd_seed. */
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
  /** Bytes of decoded frames to keep; default 1 GiB, or a quarter of the free memory. */
  cacheBytes?: number
  /** Batches made ahead; default 2. */
  ahead?: number
  onWarning?: (warning: string) => void
}

/**
 * Endless batches of frames with their boxes. Item number n = step * batch_size + place in the batch is entry
 * n mod length of the order of pass floor(n / length); order and jitter depend on seed and n alone, so a run that is
 * resumed at a step gets what the unbroken run got. Images of another size are resized to the frame, boxes with
 * them, or, with data.mm_per_pixel, crops of the frame's size are cut out of them; boxes of biggest_box_px or more are
 * left out. Throws NoduleError before the first batch for empty lists, missing images and boxes outside them.
 */
export async function* batches(
  list: FrameList,
  hypes: Hypes,
  options: BatchOptions = {},
): AsyncGenerator<Batch, void, undefined> {
  const seed = checkInteger('seed', options.seed ?? hypes.solver.rnd_seed, 0, 0xffffffff)
  const startStep = checkInteger('startStep', options.startStep ?? 0, 0, Number.MAX_SAFE_INTEGER)
  const ahead = checkInteger('ahead', options.ahead ?? 2, 0, 64)
  const passes = options.passes ?? Infinity
  if (!(passes > 0)) throw invalidParameter('passes', 'number above 0', passes)
  const entries = hypes.data.truncate_data ? list.entries.slice(0, TRUNCATED_LENGTH) : list.entries
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
  const source = new FrameCache(images, hypes, options.cacheBytes ?? Math.min(2 ** 30, freemem() / 4))
  const order = new Order(images.length, seed, options.shuffle ?? true)
  const lastItem = images.length * passes
  const make = (step: number): Promise<Batch> => {
    const first = step * hypes.batch_size
    const items = Array.from({ length: Math.min(hypes.batch_size, lastItem - first) }, (_, i) => first + i)
    return makeBatch(step, items, order, source, hypes, options.jitter === true ? seed : undefined)
  }
  const queue: Promise<Batch>[] = []
  for (let step = startStep; step * hypes.batch_size < lastItem; step++) {
    while (queue.length <= ahead && (step + queue.length) * hypes.batch_size < lastItem) {
      const batch = make(step + queue.length)
      // The error is thrown where the batch is awaited; without this it would end the process before.
      batch.catch(() => undefined)
      queue.push(batch)
    }
    yield await queue.shift()!
  }
}

/** What `data.truncate_data` leaves of a list, as in TensorBox. */
const TRUNCATED_LENGTH = 10

async function makeBatch(
  step: number,
  items: readonly number[],
  order: Order,
  source: FrameCache,
  hypes: Hypes,
  jitterSeed: number | undefined,
): Promise<Batch> {
  const { image_width: width, image_height: height } = hypes
  const { channels } = hypes.data
  const values = width * height * channels
  const batch: Batch = {
    step,
    frames: new Float32Array(items.length * values),
    boxes: [],
    excluded: [],
    paths: [],
    indices: items.map((item) => order.entry(item)),
  }
  const loaded = await Promise.all(batch.indices.map((index) => source.load(index)))
  for (const [place, frame] of loaded.entries()) {
    const target = batch.frames.subarray(place * values, (place + 1) * values)
    const { boxes, excluded } = put(frame, hypes, jitterSeed, items[place]!, target)
    const biggest = hypes.biggest_box_px
    batch.boxes.push(boxes.filter((box) => box.x2 - box.x1 < biggest && box.y2 - box.y1 < biggest))
    batch.excluded.push(excluded)
    batch.paths.push(frame.file)
  }
  return batch
}

/** Writes the network's frame: the whole one, moved or as it is, or a crop of the canvas. */
function put(
  frame: LoadedFrame,
  hypes: Hypes,
  jitterSeed: number | undefined,
  item: number,
  target: Float32Array,
): { boxes: EdgeBox[]; excluded: EdgeBox[] } {
  const { image_width: width, image_height: height } = hypes
  if (hypes.data.mm_per_pixel > 0) {
    // Without jitter, crops are placed by the seed all the same, but not turned or changed.
    const random = itemRandom(jitterSeed ?? hypes.solver.rnd_seed, item)
    const crop = drawCrop(frame, jitterSeed === undefined ? STILL : hypes.augment, width, height, random)
    cutCrop(frame, crop, width, height, random, target)
    const positive = cropBoxes(frame.boxes, crop, width, height)
    const excluded = cropBoxes(frame.excluded, crop, width, height)
    return { boxes: positive.boxes, excluded: [...positive.cut, ...excluded.boxes, ...excluded.cut] }
  }
  if (jitterSeed === undefined) {
    target.set(frame.data)
    return { boxes: frame.boxes, excluded: frame.excluded }
  }
  const jitter = drawJitter(itemRandom(jitterSeed, item))
  jitterFrame(frame.data, width, height, jitter, target)
  return {
    boxes: jitterBoxes(frame.boxes, width, height, jitter),
    excluded: jitterBoxes(frame.excluded, width, height, jitter),
  }
}

/** Crops that show the frames as they are. */
const STILL: Hypes['augment'] = {
  positive_share: 0.5,
  hard_share: 0,
  rotate: false,
  mirror: false,
  scale: 0,
  gray_shift: 0,
  gray_scale: 0,
  noise: 0,
}

function itemRandom(seed: number, item: number): Random {
  return createRandom(seed).fork(`jitter ${item}`)
}

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

interface LoadedFrame extends Canvas {
  file: string
  boxes: EdgeBox[]
  excluded: EdgeBox[]
}

/** Decodes the images of a list to frames and keeps as many as the budget holds. */
class FrameCache {
  readonly #images: readonly CheckedImage[]
  readonly #hypes: Hypes
  readonly #frames = new Map<number, Promise<LoadedFrame>>()
  #left: number

  constructor(images: readonly CheckedImage[], hypes: Hypes, bytes: number) {
    this.#images = images
    this.#hypes = hypes
    this.#left = bytes
  }

  load(index: number): Promise<LoadedFrame> {
    const known = this.#frames.get(index)
    if (known !== undefined) return known
    const image = this.#images[index]!
    const frame = this.#decode(image)
    const { image_width: width, image_height: height, data } = this.#hypes
    const pixels = data.mm_per_pixel > 0 ? image.width * image.height : width * height
    if (this.#left >= pixels * data.channels) {
      this.#left -= pixels * data.channels
      this.#frames.set(index, frame)
    }
    return frame
  }

  async #decode(image: CheckedImage): Promise<LoadedFrame> {
    const { scaleX, scaleY, ...frame } = await readFrameFile(image.file, image.format, this.#hypes)
    const scaled = (boxes: readonly EdgeBox[]): EdgeBox[] =>
      boxes.map(({ x1, y1, x2, y2 }) => ({
        x1: x1 * scaleX,
        y1: y1 * scaleY,
        x2: x2 * scaleX,
        y2: y2 * scaleY,
      }))
    return {
      ...frame,
      file: image.file,
      channels: this.#hypes.data.channels,
      boxes: scaled(image.rects),
      excluded: scaled(image.excluded),
      hard: scaled(image.hard),
    }
  }
}
