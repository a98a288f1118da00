import { readFrame, readList, writeList } from '../dataset/index.js'
import type { FrameList, ListEntry } from '../dataset/index.js'
import { NoduleError } from '../errors.js'
import { toPlanes } from '../onnx/planes.js'
import { DETECT_DEFAULTS } from './scan.js'
import type { Session } from './session.js'
import { checkStitchParameters, stitchFrame } from './stitch.js'
import type { StitchParameters } from './stitch.js'

export interface DetectListOptions {
  parameters?: StitchParameters
  onProgress?: (done: number, total: number) => void
  /** Called for each image that cannot be read. */
  onProblem?: (message: string) => void
  interrupted?: () => boolean
}

export interface DetectListResult {
  entries: ListEntry[]
  boxes: number
  failed: number
  warnings: string[]
  interrupted: boolean
}

/**
 * Detects in the images of a TensorBox list and writes a list of the same entries, with the boxes found in place of the
 * true ones: pixels of the image, `score` in [0, 1]. `image_path` and other keys stay as they are. Images that cannot
 * be read are reported and left out. Nothing is written when the work is interrupted.
 *
 * @throws NoduleError (FILE, FORMAT) of the lists
 */
export async function detectList(
  listPath: string,
  session: Session,
  output: string,
  o: DetectListOptions = {},
): Promise<DetectListResult> {
  const list = readList(listPath)
  const parameters = o.parameters ?? DETECT_DEFAULTS
  checkStitchParameters(parameters)
  const result: DetectListResult = {
    entries: [],
    boxes: 0,
    failed: 0,
    warnings: [...list.warnings],
    interrupted: false,
  }
  // The next image is decoded while the model runs on this one.
  let next = attempt(list, 0, session)
  for (const [index, entry] of list.entries.entries()) {
    if (o.interrupted?.() === true) {
      result.interrupted = true
      break
    }
    const frame = await next
    next = attempt(list, index + 1, session)
    if (frame instanceof NoduleError) {
      result.failed++
      o.onProblem?.(frame.message)
      continue
    }
    if (frame === undefined) break
    const rects = await detectFrame(frame, session, parameters)
    result.boxes += rects.length
    result.entries.push({ ...entry, rects })
    o.onProgress?.(index + 1, list.entries.length)
  }
  await next
  // Half a list of predictions would look like a whole one with misses.
  if (!result.interrupted) await writeList(output, result.entries)
  return result
}

type ReadFrame = Awaited<ReturnType<typeof readFrame>>

async function attempt(
  list: FrameList,
  index: number,
  session: Session,
): Promise<ReadFrame | NoduleError | undefined> {
  const entry = list.entries[index]
  if (entry === undefined) return undefined
  try {
    return await readFrame(list, entry, session.hypes)
  } catch (error) {
    if (error instanceof NoduleError) return error
    throw error
  }
}

async function detectFrame(
  { data, scaleX, scaleY }: ReadFrame,
  session: Session,
  parameters: StitchParameters,
): Promise<ListEntry['rects']> {
  const raw = await session.run(toPlanes(data, session.hypes.data.channels), 1)
  return stitchFrame(raw, session.hypes, parameters).map((box) => ({
    x1: box.x1 / scaleX,
    y1: box.y1 / scaleY,
    x2: box.x2 / scaleX,
    y2: box.y2 / scaleY,
    score: box.score,
  }))
}
