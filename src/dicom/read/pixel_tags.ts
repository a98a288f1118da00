import type { DataSet } from 'dicom-parser'
import { NoduleError } from '../../errors.js'
import type { DicomFile } from './parse.js'
import { COMPRESSED } from './transfer_syntax.js'
import { isGiven, numbersOf, texts, uint16 } from './values.js'

/** Depth and sign of the stored values. */
export interface PixelBits {
  bitsAllocated: number
  bitsStored: number
  signed: boolean
}

/** Throws NoduleError where the stored values cannot be read. */
export function readBits(file: DicomFile): PixelBits {
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
  const highBit = uint16(file.dataSet, 'x00280102') ?? bitsStored - 1
  if (highBit >= bitsStored && !isCodestream(file.transferSyntax)) {
    // Either the values lie in the upper bits or the tag is wrong: 16 times one another, and nobody can tell.
    throw new NoduleError('FORMAT', 'cannot tell which bits hold the pixels', {
      path: file.path,
      place: '(0028,0102)',
      expected: `High Bit ${bitsStored - 1} for ${bitsStored} bits stored`,
      actual: String(highBit),
    })
  }
  const representation = uint16(file.dataSet, 'x00280103') ?? 0
  if (representation > 1)
    throw new NoduleError('FORMAT', 'cannot tell whether pixels have a sign', {
      path: file.path,
      place: '(0028,0103)',
      expected: '0 (unsigned) or 1 (signed)',
      actual: String(representation),
    })
  return { bitsAllocated, bitsStored, signed: representation === 1 }
}

/** Number of Frames; 1 where it is absent, empty or 0. Throws NoduleError FORMAT where it is no such number. */
export function readFrames(dataSet: DataSet, path: string): number {
  const given = numbersOf(dataSet, 'x00280008')?.[0]
  const isWrong = given === undefined ? isGiven(dataSet, 'x00280008') : given < 0 || !Number.isInteger(given)
  if (isWrong)
    throw new NoduleError('FORMAT', 'cannot tell how many frames there are', {
      path,
      place: '(0028,0008)',
      expected: 'a whole number',
      actual: texts(dataSet, 'x00280008').join('\\'),
    })
  return Math.max(1, given ?? 1)
}

/** Codestreams of JPEG and its kin know their own depth. */
function isCodestream(transferSyntax: string): boolean {
  const family = COMPRESSED[transferSyntax]
  return family !== undefined && family !== 'rle'
}

/** Rescale Slope or Intercept; undefined only where the tag is absent. Throws NoduleError FORMAT where it is no number. */
export function readRescale(
  dataSet: DataSet,
  path: string,
): { slope: number | undefined; intercept: number | undefined } {
  const read = (tag: string, place: string, name: string): number | undefined => {
    if (dataSet.elements[tag] === undefined) return undefined
    const numbers = numbersOf(dataSet, tag)
    const value = numbers?.[0]
    if (value === undefined || numbers!.some((other) => other !== value))
      throw new NoduleError('FORMAT', `no number in ${name}`, {
        path,
        place,
        expected: 'one number',
        actual: texts(dataSet, tag).join('\\') || 'an empty value',
      })
    return value
  }
  const slope = read('x00281053', '(0028,1053)', 'Rescale Slope')
  if (slope === 0)
    throw new NoduleError('FORMAT', 'every pixel would be the same', {
      path,
      place: '(0028,1053)',
      expected: 'a Rescale Slope other than 0',
      actual: '0',
    })
  return { slope, intercept: read('x00281052', '(0028,1052)', 'Rescale Intercept') }
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

/** Modality LUT (0028,3000). */
export interface ModalityLut {
  /** The value of each stored value from `first` on. */
  modalityLut?: { first: number; values: Uint16Array } | undefined
  /** There is one that cannot be read. */
  hasModalityLut: boolean
}

/** The table of PS3.3 C.11.1, where there is no slope. */
export function readModalityLut(file: DicomFile, signed: boolean, wanted: boolean): ModalityLut {
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
