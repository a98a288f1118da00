import type { Hypes } from '../config/hypes.js'
import type { EdgeBox } from '../geometry/box.js'
import { sidesOf } from '../geometry/hull.js'
import type { HullBox } from '../geometry/hull.js'
import { createRandom } from '../random.js'
import type { Random } from '../random.js'
import type { CheckedImage } from './check_images.js'
import { cropBoxes, cutCrop, drawCrop } from './crops.js'
import type { Canvas, Crop } from './crops.js'
import { airGray, hypesWindow } from './frames.js'
import { drawJitter, isPlainJitter, jitterBoxes, jitterCrop, jitterFrame } from './jitter.js'
import { readFrameFile } from './read_frame.js'
import { changeKernel, deform, deformBoxes, drawElastic, drawKernel } from './vary.js'

/** An image that was decoded; its pixels lie in memory that threads share. */
export interface LoadedFrame extends Canvas {
  file: string
  boxes: HullBox[]
  excluded: EdgeBox[]
}

/** A batch to be made, in whatever thread: nothing here depends on what was made before. */
export interface BatchTask {
  hypes: Hypes
  /** Of jitter and of crops. */
  seed: number
  /** Frames as the hypes vary them; false: as they are. */
  jitter: boolean
  /** The item's number in the run, which seeds what is drawn for it, and its image. */
  items: readonly { number: number; image: CheckedImage | LoadedFrame }[]
}

export interface MadeBatch {
  /** Gray levels 0..255, [n, image_height, image_width, data.channels], in memory that threads share. */
  frames: Float32Array
  boxes: EdgeBox[][]
  excluded: EdgeBox[][]
  /** The images that were decoded for it, by their place. */
  decoded: (LoadedFrame | undefined)[]
}

export async function makeBatch({ hypes, seed, jitter, items }: BatchTask): Promise<MadeBatch> {
  const { image_width: width, image_height: height, biggest_box_px: biggest } = hypes
  const values = width * height * hypes.data.channels
  const frames = new Float32Array(new SharedArrayBuffer(items.length * values * 4))
  const made: MadeBatch = { frames, boxes: [], excluded: [], decoded: [] }
  // Each image once, however many crops are cut from it.
  const reading = new Map<CheckedImage | LoadedFrame, Promise<LoadedFrame>>()
  const read = async (image: CheckedImage | LoadedFrame): Promise<LoadedFrame> =>
    'data' in image ? image : decode(image, hypes)
  for (const { image } of items) if (!reading.has(image)) reading.set(image, read(image))
  const loaded = await Promise.all(items.map(async ({ image }) => reading.get(image)!))
  for (const [place, frame] of loaded.entries()) {
    const target = frames.subarray(place * values, (place + 1) * values)
    const random = itemRandom(seed, items[place]!.number)
    const { boxes, excluded } = put(frame, hypes, jitter, random, target)
    const isTarget = (box: EdgeBox): boolean => box.x2 - box.x1 < biggest && box.y2 - box.y1 < biggest
    // Hulls served to move them.
    made.boxes.push(boxes.filter(isTarget).map(sidesOf))
    // No background either, which cells without a box are taught.
    made.excluded.push([...excluded, ...boxes.filter((box) => !isTarget(box)).map(sidesOf)])
    made.decoded.push(frame === items[place]!.image ? undefined : frame)
  }
  return made
}

async function decode(image: CheckedImage, hypes: Hypes): Promise<LoadedFrame> {
  const { scaleX, scaleY, data, ...frame } = await readFrameFile(image.file, image.format, hypes)
  const scaled = (boxes: readonly HullBox[]): HullBox[] =>
    boxes.map(({ x1, y1, x2, y2, hull }) => ({
      x1: x1 * scaleX,
      y1: y1 * scaleY,
      x2: x2 * scaleX,
      y2: y2 * scaleY,
      ...(hull === undefined ? {} : { hull: hull.map(([x, y]) => [x * scaleX, y * scaleY] as const) }),
    }))
  const shared = new Uint8Array(new SharedArrayBuffer(data.length))
  shared.set(data)
  return {
    ...frame,
    data: shared,
    file: image.file,
    channels: hypes.data.channels,
    boxes: scaled(image.rects),
    excluded: scaled(image.excluded),
    hard: scaled(image.hard),
  }
}

interface Boxes {
  boxes: HullBox[]
  excluded: EdgeBox[]
}

/** Boxes that were moved, whole ones and those that the frame cuts. */
type Moved = Readonly<{ boxes: HullBox[]; cut: EdgeBox[] }>

/** What is cut is neither right nor wrong, like what is excluded. */
function neither(positive: Moved, excluded: Moved): Boxes {
  return { boxes: positive.boxes, excluded: [...positive.cut, ...excluded.boxes, ...excluded.cut] }
}

/** Writes the network's frame: the whole one, moved or as it is, or a crop of the canvas. */
function put(frame: LoadedFrame, hypes: Hypes, jitter: boolean, random: Random, target: Float32Array): Boxes {
  const { image_width: width, image_height: height } = hypes
  const air = airGray(hypesWindow(hypes))
  const cut = (crop: Crop): Boxes => {
    cutCrop(frame, crop, width, height, air, random, target)
    return neither(
      cropBoxes(frame.boxes, crop, width, height),
      cropBoxes(frame.excluded, crop, width, height),
    )
  }
  if (!jitter) {
    // Crops are placed by the seed all the same, but not turned or changed.
    if (hypes.data.mm_per_pixel > 0) return cut(drawCrop(frame, STILL, width, height, random))
    target.set(frame.data)
    return { boxes: frame.boxes, excluded: frame.excluded }
  }
  return vary(
    hypes.data.mm_per_pixel > 0 ? cut(drawCrop(frame, hypes.augment, width, height, random)) : jittered(),
  )

  function jittered(): Boxes {
    const drawn = drawJitter(random, hypes.jitter)
    if (!isPlainJitter(hypes.jitter)) return cut(jitterCrop(drawn, hypes.jitter, width, height, random))
    jitterFrame(frame.data, width, height, drawn, air, target)
    return neither(
      jitterBoxes(frame.boxes, width, height, drawn),
      jitterBoxes(frame.excluded, width, height, drawn),
    )
  }

  function vary({ boxes, excluded }: Boxes): Boxes {
    const { blur, elastic: limit } = hypes.augment
    if (blur > 0) changeKernel(target, width, height, drawKernel(blur, random))
    if (limit === 0) return { boxes, excluded }
    const elastic = drawElastic(limit, width, height, random)
    deform(target, width, height, elastic)
    return {
      boxes: deformBoxes(boxes, width, height, elastic),
      excluded: deformBoxes(excluded, width, height, elastic),
    }
  }
}

/** Crops that show the frames as they are. */
const STILL: Hypes['augment'] = {
  positive_share: 0.5,
  hard_share: 0,
  crops_per_frame: 1,
  rotate: false,
  mirror: false,
  scale: 0,
  gray_shift: 0,
  gray_scale: 0,
  noise: 0,
  blur: 0,
  elastic: 0,
}

function itemRandom(seed: number, item: number): Random {
  return createRandom(seed).fork(`jitter ${item}`)
}
