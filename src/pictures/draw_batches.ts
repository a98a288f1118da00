import sharp from 'sharp'
import { checkInteger } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import { openBatches } from '../dataset/batches.js'
import type { FrameList } from '../dataset/index.js'
import { NoduleError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { tellUntrained } from '../targets/untrained.js'
import { colors, outline } from './frame_colors.js'
import type { WorkOptions } from '../work.js'

const COLUMNS = 4
/** Small frames are enlarged to about this width, pixels. */
const WIDTH = 288
const GAP = 4
const GREEN = [64, 255, 64] as const
const ORANGE = [255, 144, 32] as const

/**
 * Draws the first frames that training would see, varied as the hypes say, with their boxes (green; places that are
 * neither right nor wrong: orange), in color as the network sees them: one PNG to be looked at.
 * Throws NoduleError (FILE, FORMAT; INVALID_PARAMETER: a name that is no PNG's).
 */
export async function drawBatches(
  list: FrameList,
  hypes: Hypes,
  output: string,
  o: { count?: number; seed?: number | undefined; workers?: number | undefined } & Pick<
    WorkOptions,
    'onWarning'
  > = {},
): Promise<void> {
  // A device or a pipe has no ending.
  if (!/\.png$|^\/(dev|proc)\//i.test(output))
    throw new NoduleError('INVALID_PARAMETER', 'wrong output name', {
      path: output,
      expected: 'a name that ends in .png',
    })
  const count = checkInteger('count', o.count ?? 24, 1, 1000)
  const { image_width: width, image_height: height } = hypes
  const seed = o.seed ?? hypes.solver.rnd_seed
  const { onWarning, workers = 0 } = o
  const warn = onWarning === undefined ? {} : { onWarning }
  const source = await openBatches(list, hypes, { seed, jitter: hypes.solver.use_jitter, workers, ...warn })
  tellUntrained(list.path, source.images, hypes, onWarning)
  const tiles: Buffer[] = []
  const zoom = Math.max(1, Math.round(WIDTH / width))
  try {
    for (let n = 0; tiles.length < count; n++) {
      const { frames, boxes, excluded } = await source.batch(n)
      const values = frames.length / boxes.length
      for (const [place, own] of boxes.entries()) {
        if (tiles.length >= count) break
        const picture = colors(frames.subarray(place * values, (place + 1) * values), width, height)
        const large = await sharp(picture, { raw: { width, height, channels: 3 } })
          .resize(width * zoom, height * zoom, { kernel: 'nearest' })
          .raw()
          .toBuffer()
        const draw = (list: typeof own, color: typeof GREEN | typeof ORANGE): void => {
          for (const { x1, y1, x2, y2 } of list) {
            const box = { x1: x1 * zoom, y1: y1 * zoom, x2: x2 * zoom, y2: y2 * zoom }
            outline(large, width * zoom, height * zoom, box, color)
          }
        }
        draw(excluded[place]!, ORANGE)
        draw(own, GREEN)
        tiles.push(large)
      }
    }
  } finally {
    await source.close()
  }
  const [w, h] = [width * zoom, height * zoom]
  const rows = Math.ceil(tiles.length / COLUMNS)
  const sheet = sharp({
    create: { width: COLUMNS * (w + GAP), height: rows * (h + GAP), channels: 3, background: '#222' },
  }).composite(
    tiles.map((input, n) => ({
      input,
      raw: { width: w, height: h, channels: 3 as const },
      left: (n % COLUMNS) * (w + GAP),
      top: Math.floor(n / COLUMNS) * (h + GAP),
    })),
  )
  await writeFileAtomic(output, await sheet.png().toBuffer())
}
