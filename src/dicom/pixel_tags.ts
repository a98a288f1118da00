import type { DataSet } from 'dicom-parser'
import { NoduleError } from '../errors.js'
import type { SliceHeader } from './header.js'
import { uint16 } from './parse.js'
import type { DicomFile } from './parse.js'

/** Depth and sign of the stored values. Throws NoduleError where they cannot be read. */
export function readBits(file: DicomFile): { bitsAllocated: number; bitsStored: number; signed: boolean } {
  const bitsAllocated = uint16(file.dataSet, 'x00280100') ?? 16
  const bitsStored = uint16(file.dataSet, 'x00280101') ?? bitsAllocated
  if (bitsAllocated !== 8 && bitsAllocated !== 16) {
    throw new NoduleError('UNSUPPORTED', 'cannot read this depth', {
      path: file.path,
      place: '(0028,0100)',
      expected: '8 or 16 bits allocated',
      actual: String(bitsAllocated),
    })
  }
  if (bitsStored < 1 || bitsStored > bitsAllocated) {
    throw new NoduleError('FORMAT', 'wrong Bits Stored', {
      path: file.path,
      place: '(0028,0101)',
      expected: `1 to ${bitsAllocated}`,
      actual: String(bitsStored),
    })
  }
  return { bitsAllocated, bitsStored, signed: uint16(file.dataSet, 'x00280103') === 1 }
}

/**
 * Pixel Padding Value and Range Limit, in the sign of the pixels whatever their VR says: LIDC's 63536 (US) in signed
 * images means -2000.
 */
export function readPadding(dataSet: DataSet, signed: boolean): { low: number; high: number } | undefined {
  const read = (tag: string): number | undefined => {
    const value = uint16(dataSet, tag)
    return value !== undefined && signed && value > 0x7fff ? value - 0x10000 : value
  }
  const value = read('x00280120')
  if (value === undefined) return undefined
  const limit = read('x00280121') ?? value
  return { low: Math.min(value, limit), high: Math.max(value, limit) }
}

/** The table of PS3.3 C.11.1, where there is no slope. */
export function readModalityLut(
  file: DicomFile,
  signed: boolean,
  wanted: boolean,
): Pick<SliceHeader, 'modalityLut' | 'hasModalityLut'> {
  const sequence = file.dataSet.elements['x00283000']
  if (sequence === undefined || !wanted) return { hasModalityLut: false }
  const item = sequence.items?.[0]?.dataSet
  const data = item?.elements['x00283006']
  const first = item === undefined ? undefined : readWord(item, 'x00283002', 2)
  if (item === undefined || data === undefined || first === undefined) return { hasModalityLut: true }
  const count = readWord(item, 'x00283002', 0)! || 0x10000
  if (data.length < 2 * count || data.dataOffset + data.length > file.bytes.length)
    return { hasModalityLut: true }
  const view = new DataView(file.bytes.buffer, file.bytes.byteOffset + data.dataOffset, data.length)
  const values = Uint16Array.from({ length: count }, (_, n) => view.getUint16(2 * n, !file.bigEndian))
  return {
    hasModalityLut: false,
    modalityLut: { first: signed && first > 0x7fff ? first - 0x10000 : first, values },
  }
}

/** A 16-bit value at a byte offset inside an element. */
function readWord(dataSet: DataSet, tag: string, offset: number): number | undefined {
  const element = dataSet.elements[tag]
  if (element === undefined || element.length < offset + 2) return undefined
  return element.dataOffset + offset + 2 <= dataSet.byteArray.length
    ? dataSet.uint16(tag, offset / 2)
    : undefined
}

/** Overlay planes may hide in unused bits of the pixels: Overlay Bit Position (60xx,0102) not 0, no Overlay Data. */
export function hasEmbeddedOverlay(dataSet: DataSet): boolean {
  for (let group = 0x6000; group <= 0x601e; group += 2) {
    const prefix = `x${group.toString(16)}`
    if (dataSet.elements[`${prefix}3000`] === undefined && (uint16(dataSet, `${prefix}0102`) ?? 0) > 0)
      return true
  }
  return false
}
