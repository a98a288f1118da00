import { existsSync } from 'node:fs'
import { eachAtOnce } from '../each.js'
import { NoduleError, describeError } from '../errors.js'
import { clipBox } from '../geometry/box.js'
import type { EdgeBox } from '../geometry/box.js'
import { readImageSize } from '../formats/images.js'
import { sidesOf, withHull } from '../geometry/hull.js'
import { imageFile, originOf, rectIndex } from './list.js'
import type { FrameList, ListRect } from './list.js'
import { frameFormat } from './read_frame.js'
import type { FrameFormat } from './read_frame.js'
import { agree, count } from '../words.js'
import { greatest } from '../lists.js'

/** An image of a list with the boxes to train on, pixels of the image as it is on disk. */
export interface CheckedImage {
  file: string
  width: number
  height: number
  rects: ListRect[]
  format: FrameFormat
  /** False marks to look at and places to leave alone, pixels of the image. */
  hard: readonly EdgeBox[]
  excluded: readonly EdgeBox[]
}

/** Boxes may reach this far over the border: labeling tools count pixels differently. They are clipped. */
const BORDER_PX = 1

const READS_AT_ONCE = 32
/** As many images are named in one message. */
const MAX_NAMED = 100

/**
 * The list without the entries whose images are not there; a warning names these. Throws NoduleError (FILE) where none
 * is left.
 */
export function skipMissing(list: FrameList): FrameList {
  const kept: number[] = []
  /** By the files of the lists. */
  const missing = new Map<string, string[]>()
  for (const [index, entry] of list.entries.entries()) {
    const file = imageFile(list, entry)
    if (existsSync(file)) {
      kept.push(index)
      continue
    }
    const { path } = originOf(list, index)
    const others = missing.get(path)
    if (others === undefined) missing.set(path, [file])
    else others.push(file)
  }
  if (missing.size === 0) return list
  if (kept.length === 0)
    throw new NoduleError('FILE', 'none of the images is there', {
      path: list.path,
      expected: `such as ${imageFile(list, list.entries[0]!)}`,
    })
  const told = [...missing].map(([path, files]) => {
    const named = files.slice(0, MAX_NAMED).join(', ')
    const others = files.length > MAX_NAMED ? ` and ${files.length - MAX_NAMED} more` : ''
    const what = `${count(files.length, 'image')} ${agree(files.length, 'is', 'are')} missing and skipped`
    return `${path}: ${what}: ${named}${others}`
  })
  return {
    ...list,
    entries: kept.map((index) => list.entries[index]!),
    origins: kept.map((index) => originOf(list, index)),
    warnings: [...list.warnings, ...told],
  }
}

/**
 * Looks at every image of a list (header only) and at the boxes against it.
 * Throws NoduleError: (FILE, FORMAT) for images that are missing or unreadable, with the names of all; (FORMAT)
 * for boxes that reach more than 1 px outside the image, unless `outside` is 'clip'.
 */
export async function checkImages(
  list: FrameList,
  options: { outside?: 'error' | 'clip' } = {},
): Promise<{ images: CheckedImage[]; warnings: string[] }> {
  const images: CheckedImage[] = []
  const failures: { index: number; error: unknown }[] = []
  const warnings: string[] = []
  let clipped = 0
  let lost = 0
  await eachAtOnce(list.entries, READS_AT_ONCE, async (entry, index) => {
    const file = imageFile(list, entry)
    try {
      const format = frameFormat(entry)
      const { width, height } = await readImageSize(file)
      images[index] = {
        file,
        width,
        height: format.channels === 3 ? height : height / format.channels,
        rects: [],
        format,
        // Whatever else they have: the list checks no hulls of these.
        hard: (entry.nodule?.hard ?? []).map(sidesOf),
        excluded: (entry.nodule?.excluded ?? []).map(sidesOf),
      }
    } catch (error) {
      failures.push({ index, error })
    }
  })
  if (failures.length > 0) {
    failures.sort((a, b) => a.index - b.index)
    const first = failures[0]!
    const origin = originOf(list, first.index)
    const reasons = failures.slice(0, MAX_NAMED).map(({ error }) => describeError(error))
    const others = failures.length - reasons.length
    throw new NoduleError(
      first.error instanceof NoduleError ? first.error.code : 'FILE',
      `${failures.length} of ${count(list.entries.length, 'image')} cannot be used: ${reasons.join('; ')}` +
        (others > 0 ? `; and ${others} more` : ''),
      { path: origin.path, place: `/${origin.index}/image_path`, cause: first.error },
    )
  }
  for (const [index, image] of images.entries()) {
    const { rects } = list.entries[index]!
    for (const [number, rect] of rects.entries()) {
      const inside = clipBox(rect, image.width, image.height)
      const excess = greatest(
        (['x1', 'y1', 'x2', 'y2'] as const).map((key) => Math.abs(rect[key] - inside[key])),
      )
      if (excess > BORDER_PX) {
        if (options.outside !== 'clip') {
          const origin = originOf(list, index)
          throw new NoduleError('FORMAT', `box outside the image ${image.file}`, {
            path: origin.path,
            place: `/${origin.index}/rects/${rectIndex(rects, number)}`,
            expected: `x from 0 to ${image.width}, y from 0 to ${image.height}`,
            actual: `x ${rect.x1} to ${rect.x2}, y ${rect.y1} to ${rect.y2}`,
          })
        }
        clipped++
      }
      if (inside.x2 > inside.x1 && inside.y2 > inside.y1) {
        // A box that was cut off has none: it is no longer the box around it.
        const { hull, ...own } = rect
        image.rects.push({ ...own, ...withHull(inside, hull) })
      } else lost++
    }
  }
  if (clipped > 0)
    warnings.push(
      `${list.path}: ${count(clipped, 'box')} ${agree(clipped, 'was', 'were')} clipped to their images`,
    )
  if (lost > 0)
    warnings.push(
      `${list.path}: ${count(lost, 'box')} ${agree(lost, 'lies', 'lie')} wholly outside their images and ${agree(lost, 'was', 'were')} dropped`,
    )
  return { images, warnings }
}
