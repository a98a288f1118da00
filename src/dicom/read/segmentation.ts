import type { DataSet } from 'dicom-parser'
import { NoduleError } from '../../errors.js'
import type { EdgeBox } from '../../geometry/box.js'
import type { Vector3 } from '../../geometry/vector.js'
import { fileContext, itemsOf } from './elements.js'
import type { ElementContext } from './elements.js'
import { PIXEL_DATA, readDicom } from './parse.js'
import { isUncompressed } from './transfer_syntax.js'
import { numbersOf, text, uint16 } from './values.js'

/** What a DICOM segmentation object (PS3.3 A.51) outlines in a series, all its segments together. */
export interface Segmentation {
  path: string
  /** The series that it is of; undefined where the file does not say it. */
  seriesInstanceUid: string | undefined
  rows: number
  columns: number
  /** Box around what each frame holds, pixels at the edges, and where its first pixel lies (LPS, mm); no empty frames. */
  frames: { position: Vector3; box: EdgeBox }[]
}

/**
 * Reads a binary segmentation object. Throws NoduleError: FILE; FORMAT (no segmentation, cut off, a frame without a
 * place); UNSUPPORTED (compressed, fractional).
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
  const frames: Segmentation['frames'] = []
  for (let n = 0; n < count; n++) {
    const box = frameBox(file.bytes, pixels.dataOffset * 8 + n * rows * columns, rows, columns)
    if (box === undefined) continue
    const group = groups[n]
    const plane = group && items(group, 'x00209113', context)[0]
    const position = plane && numbersOf(plane, 'x00200032')
    if (position?.length !== 3)
      throw new NoduleError('FORMAT', `frame ${n + 1} has no place`, {
        path,
        place: '(0020,0032)',
        expected: 'Image Position (Patient)',
      })
    frames.push({ position: position as unknown as Vector3, box })
  }
  const [series] = items(dataSet, 'x00081115', context)
  return { path, seriesInstanceUid: series && text(series, 'x0020000e'), rows, columns, frames }
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
