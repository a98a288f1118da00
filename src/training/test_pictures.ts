import { join } from 'node:path'
import sharp from 'sharp'
import { writeFileAtomic } from '../files.js'
import type { EdgeBox } from '../geometry/box.js'
import { stitchFrame } from '../inference/stitch.js'
import type { RawFrame } from '../inference/raw_frame.js'
import type { Hypes } from '../config/hypes.js'
import { colors, outline } from '../pictures/frame_colors.js'
import { image } from './summaries.js'
import type { SummaryValue } from './summaries.js'
import { STITCHING } from './validate.js'

/** TensorBox's colors: every box above its confidence, and over it those that the stitching accepts. */
const RED = [255, 0, 0] as const
const GREEN = [0, 255, 0] as const
/** Pictures that stay in the run's folder: 0_pred.jpg ... 9_true.jpg, the newest over the oldest. */
const PICTURES = 10

/**
 * Draws a test frame with what the model says and with the truth: N_pred.jpg and N_true.jpg in the run's folder, where
 * N = (step / display_iter) mod 10, and the same as values of the event files. Throws NoduleError (FILE).
 * @param frame gray levels [image_height, image_width, channels]
 */
export async function drawTest(
  folder: string,
  step: number,
  frame: Float32Array,
  raw: RawFrame,
  truth: readonly EdgeBox[],
  hypes: Hypes,
): Promise<SummaryValue[]> {
  const number = Math.floor(step / hypes.logging.display_iter) % PICTURES
  const all: EdgeBox[] = []
  raw.confidences.forEach((score, n) => {
    const [x1, y1, x2, y2] = raw.boxes.subarray(4 * n, 4 * n + 4) as unknown as [
      number,
      number,
      number,
      number,
    ]
    if (score > STITCHING.minScore) all.push({ x1, y1, x2, y2 })
  })
  const accepted = stitchFrame(raw, hypes, STITCHING)
  const { image_width: width, image_height: height } = hypes
  const values: SummaryValue[] = []
  for (const [kind, suppressed, boxes] of [
    ['pred', all, accepted],
    ['true', [], truth],
  ] as const) {
    const picture = colors(frame, width, height)
    for (const box of suppressed) outline(picture, width, height, box, RED)
    for (const box of boxes) outline(picture, width, height, box, GREEN)
    const pixels = sharp(picture, { raw: { width, height, channels: 3 } })
    await writeFileAtomic(
      join(folder, `${number}_${kind}.jpg`),
      await pixels.clone().jpeg({ quality: 92 }).toBuffer(),
    )
    values.push(image(`test/${kind}_boxes`, { width, height, png: await pixels.png().toBuffer() }))
  }
  return values
}
