import type { DataSet } from 'dicom-parser'
import { NoduleError } from '../../errors.js'
import type { EdgeBox } from '../../geometry/box.js'
import type { Vector3 } from '../../geometry/vector.js'
import { fileContext, itemsOf } from './elements.js'
import type { ElementContext } from './elements.js'
import { PIXEL_DATA, readDicom } from './parse.js'
import { isUncompressed } from './transfer_syntax.js'
import { unitDirection } from './header.js'
import { isGiven, numbersOf, text, uint16 } from './values.js'

/** What a DICOM segmentation object (PS3.3 A.51) outlines in a series, all its segments together. */
export interface Segmentation {
  path: string
  /** The series that it is of; undefined where the file does not say it. */
  seriesInstanceUid: string | undefined
  rows: number
  columns: number
  /** No empty ones. */
  frames: SegmentedFrame[]
}

/** Box around what a frame holds, pixels at the edges, and where the frame lies (LPS, mm). */
export interface SegmentedFrame {
  box: EdgeBox
  /** Center of the first pixel. */
  position: Vector3
  /** Unit vectors along a row and along a column; undefined where the file has none: those of the series. */
  directions: [row: Vector3, column: Vector3] | undefined
  /** Distance between rows and between columns; undefined where the file has none: those of the series. */
  pixelSpacing: [number, number] | undefined
}

/**
 * Reads a binary segmentation object. Throws NoduleError: FILE; FORMAT (no segmentation, cut off, a frame without a
 * place or with a wrong orientation or pixel size); UNSUPPORTED (compressed, fractional).
 */
export async function readSegmentation(path: string): Promise<Segmentation> {
  const file = await readDicom(path)
  const { dataSet } = file
  const modality = text(dataSet, 'x00080060')
  if (modality !== 'SEG')
    throw new NoduleError('FORMAT', 'not a segmentation object', {
      path,
      place: '(0008,0060)',
      expected: 'SEG',
      ...(modality === undefined ? {} : { actual: modality }),
    })
  const bits = uint16(dataSet, 'x00280100')
  if (bits !== 1 || !isUncompressed(file.transferSyntax))
    throw new NoduleError('UNSUPPORTED', 'cannot read this segmentation', {
      path,
      expected: 'one bit a pixel, uncompressed',
      actual: `${bits} bits, transfer syntax ${file.transferSyntax}`,
    })
  const rows = uint16(dataSet, 'x00280010') ?? 0
  const columns = uint16(dataSet, 'x00280011') ?? 0
  const count = Number(text(dataSet, 'x00280008') ?? 1)
  const pixels = dataSet.elements[PIXEL_DATA]
  const needed = Math.ceil((rows * columns * count) / 8)
  if (pixels === undefined || !(needed > 0) || pixels.dataOffset + needed > file.bytes.length)
    throw new NoduleError('FORMAT', 'the pixels are cut off', {
      path,
      expected: `${needed} bytes`,
      actual: String(Math.max(0, file.bytes.length - (pixels?.dataOffset ?? file.bytes.length))),
    })
  const context = fileContext(file)
  const groups = items(dataSet, 'x52009230', context)
  const [shared] = items(dataSet, 'x52009229', context)
  const frames: SegmentedFrame[] = []
  for (let n = 0; n < count; n++) {
    const box = frameBox(file.bytes, pixels.dataOffset * 8 + n * rows * columns, rows, columns)
    if (box !== undefined) frames.push({ box, ...framePlane([groups[n], shared], context, path, n) })
  }
  const [series] = items(dataSet, 'x00081115', context)
  return { path, seriesInstanceUid: series && text(series, 'x0020000e'), rows, columns, frames }
}

/** Where a frame lies: by its own functional groups, else by those that all share. */
function framePlane(
  groups: readonly (DataSet | undefined)[],
  context: ElementContext,
  path: string,
  n: number,
): Omit<SegmentedFrame, 'box'> {
  const find = (sequence: string, tag: string): DataSet | undefined =>
    groups
      .map((group) => group && items(group, sequence, context)[0])
      .find((item) => item !== undefined && isGiven(item, tag))
  const wrong = (summary: string, place: string, expected: string): NoduleError =>
    new NoduleError('FORMAT', `frame ${n + 1} has ${summary}`, { path, place, expected })
  const placed = find('x00209113', 'x00200032')
  const position = placed && numbersOf(placed, 'x00200032')
  if (position?.length !== 3) throw wrong('no place', '(0020,0032)', 'Image Position (Patient)')
  const turned = find('x00209116', 'x00200037')
  const numbers = (turned && numbersOf(turned, 'x00200037')) ?? []
  const [row, column] = [unitDirection(numbers.slice(0, 3)), unitDirection(numbers.slice(3))]
  if (turned !== undefined && (row === undefined || column === undefined || numbers.length !== 6))
    throw wrong('no orientation', '(0020,0037)', 'two unit vectors')
  const measured = find('x00289110', 'x00280030')
  const spacing = measured && numbersOf(measured, 'x00280030')
  if (measured !== undefined && (spacing?.length !== 2 || !spacing.every((mm) => mm > 0)))
    throw wrong('no pixel size', '(0028,0030)', '2 numbers of Pixel Spacing > 0')
  return {
    position: position as unknown as Vector3,
    directions: row && column && [row, column],
    pixelSpacing: spacing as [number, number] | undefined,
  }
}

function items(dataSet: DataSet, tag: string, context: ElementContext): DataSet[] {
  const element = dataSet.elements[tag]
  return element === undefined ? [] : itemsOf(element, context)
}

/** Whether a bit is set, the lowest of a byte first. There may be more than 2^31 bits: no shift can count them. */
export function isSet(bytes: ArrayLike<number>, bit: number): boolean {
  return ((bytes[Math.floor(bit / 8)]! >> (bit % 8)) & 1) === 1
}

/** Box around the bits that are set. */
function frameBox(bytes: Uint8Array, firstBit: number, rows: number, columns: number): EdgeBox | undefined {
  let [x1, y1, x2, y2] = [columns, rows, 0, 0]
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!isSet(bytes, firstBit + y * columns + x)) continue
      x1 = Math.min(x1, x)
      y1 = Math.min(y1, y)
      x2 = Math.max(x2, x + 1)
      y2 = Math.max(y2, y + 1)
    }
  }
  return x2 > x1 ? { x1, y1, x2, y2 } : undefined
}
