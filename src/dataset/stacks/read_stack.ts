import { join } from 'node:path'
import sharp from 'sharp'
import type { Metadata, OutputInfo } from 'sharp'
import { NoduleError, describeBriefly } from '../../errors.js'
import { readRegular } from '../../read_files.js'
import type { HuVolume } from '../../volume/index.js'
import type { StackEntry } from './read_index.js'

/** Rows and columns of a stack's slices. */
export const STACK_SIDE = 128

const MAX_READERS = 16

/** A nodule cut out of its scan: only the slices that show it, at their native resolution. */
export interface NoduleStack {
  entry: StackEntry
  /**
   * HU, [n, 128, 128]. Its geometry has the scan's z; x and y (mm) count from the center of the first pixel of the
   * scan's slices, since the index does not say where in the patient that lies.
   */
  volume: HuVolume
  /** How many readers outlined each voxel, [n, 128, 128]. */
  readers: Uint8Array
}

/** The files of a stack: gray slices one below the other, and how many readers outlined each pixel. */
export function stackFiles(folder: string, entry: StackEntry): { slices: string; readers: string } {
  const stem = join(folder, 'stacks', `${entry.patientId}_${entry.nodule}`)
  return { slices: `${stem}.webp`, readers: `${stem}_readers.png` }
}

/** Reads the pictures of a stack. Throws NoduleError (FILE, FORMAT): missing, of another size, no reader. */
export async function readStack(folder: string, entry: StackEntry): Promise<NoduleStack> {
  const count = entry.slices.length
  const files = stackFiles(folder, entry)
  const gray = await readGray(files.slices, count)
  const readers = await readGray(files.readers, count)
  const most = readers.reduce((a, b) => Math.max(a, b), 0)
  if (most < 1 || most > MAX_READERS)
    throw new NoduleError('FORMAT', most < 1 ? 'no reader outlined anything' : 'not numbers of readers', {
      path: files.readers,
      expected: `1 to ${MAX_READERS} readers at some pixel`,
      actual: String(most),
    })
  const pixels = STACK_SIDE * STACK_SIDE
  const data = new Int16Array(count * pixels)
  for (const [k, { scale, offset }] of entry.slices.entries())
    for (let n = k * pixels; n < (k + 1) * pixels; n++)
      data[n] = Math.max(-32768, Math.min(32767, Math.round(gray[n]! * scale + offset)))
  return { entry, volume: { ...volumeFacts(entry), data }, readers }
}

/** All of a stack's volume but the voxels. */
function volumeFacts(entry: StackEntry): Omit<HuVolume, 'data'> {
  const { slices, sliceSpacing, pixelSpacing, zOfAnchor, x0, y0 } = entry
  const first = slices[0]!.steps
  return {
    shape: [slices.length, STACK_SIDE, STACK_SIDE],
    geometry: {
      origin: [x0 * pixelSpacing, y0 * pixelSpacing, zOfAnchor + first * sliceSpacing],
      rowDirection: [1, 0, 0],
      columnDirection: [0, 1, 0],
      sliceDirection: [0, 0, 1],
      spacing: [sliceSpacing, pixelSpacing, pixelSpacing],
      slicePositions: slices.map(({ steps }) => (steps - first) * sliceSpacing),
    },
    sopInstanceUids: slices.map(({ steps }) => (steps === 0 ? entry.sopOfAnchor : '')),
    seriesInstanceUid: entry.seriesInstanceUid,
    patientId: entry.patientId,
  }
}

/** The first channel of an 8-bit picture of `count` slices, one below the other. */
async function readGray(path: string, count: number): Promise<Uint8Array> {
  const bytes = await readRegular(path, { action: 'read stack' })
  let decoded: { data: Buffer; info: OutputInfo }
  try {
    // Before it is decoded: a small file may hold a picture of any size.
    checkSize(path, await sharp(bytes, { limitInputPixels: false }).metadata(), count)
    const image = sharp(bytes, { failOn: 'truncated', limitInputPixels: STACK_SIDE * STACK_SIDE * count })
    decoded = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  } catch (error) {
    if (error instanceof NoduleError) throw error
    throw new NoduleError('FORMAT', 'not a picture that can be read', {
      path,
      expected: 'WebP or PNG',
      actual: describeBriefly(error),
      cause: error,
    })
  }
  const { data, info } = decoded
  const first = new Uint8Array(info.width * info.height)
  for (let n = 0, from = 0; n < first.length; n++, from += info.channels) first[n] = data[from]!
  return first
}

function checkSize(path: string, { width, height }: Pick<Metadata, 'width' | 'height'>, count: number): void {
  if (width === STACK_SIDE && height === STACK_SIDE * count) return
  throw new NoduleError('FORMAT', 'picture of another size than its rows in index.csv', {
    path,
    expected: `${STACK_SIDE} x ${STACK_SIDE * count} (${count} slices)`,
    actual: `${width} x ${height}`,
  })
}
