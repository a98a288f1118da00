import { NoduleError } from '../../errors.js'
import { PIXEL_DATA } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { COMPRESSED, EXPLICIT_LITTLE_ENDIAN, isUncompressed } from '../read/transfer_syntax.js'

/** VRs with a 4-byte length. */
const LONG_VRS = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV'])
const UNDEFINED_LENGTH = 0xffffffff

/** Bytes that change places between big and little endian, by VR. */
const WORD_BYTES: Readonly<Record<string, number>> = {
  ...{ AT: 2, OW: 2, SS: 2, US: 2, FL: 4, OF: 4, OL: 4, SL: 4, UL: 4 },
  ...{ FD: 8, OD: 8, OV: 8, SV: 8, UV: 8 },
}

/**
 * An element in explicit VR little endian.
 *
 * @param tag 8 hexadecimal digits
 * @param value its bytes, padded to an even length here
 * @param encapsulated `value` is the fragments of a compressed image: the length is undefined, a delimiter ends them
 */
export function encodeElement(tag: string, vr: string, value: Uint8Array, encapsulated = false): Buffer {
  const padded = value.length % 2 === 0 ? value : Buffer.concat([value, Buffer.from([padByte(vr)])])
  // A value that is too long for its VR is written as unknown (PS3.5 6.2.2).
  const written = !LONG_VRS.has(vr) && padded.length > 0xffff ? 'UN' : vr
  const head = Buffer.alloc(LONG_VRS.has(written) ? 12 : 8)
  head.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16))
  head.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2)
  head.write(written, 4, 'latin1')
  if (head.length === 12) head.writeUInt32LE(encapsulated ? UNDEFINED_LENGTH : padded.length, 8)
  else head.writeUInt16LE(padded.length, 6)
  return Buffer.concat(encapsulated ? [head, padded, SEQUENCE_END] : [head, padded])
}

const SEQUENCE_END = Buffer.from('feffdde000000000', 'hex')

function padByte(vr: string): number {
  return vr === 'UI' || LONG_VRS.has(vr) ? (vr === 'UT' || vr === 'UC' || vr === 'UR' ? 0x20 : 0) : 0x20
}

/** A sequence of items, each the bytes of its elements. */
export function encodeSequence(tag: string, items: readonly Uint8Array[]): Buffer {
  const parts = items.flatMap((item) => {
    const head = Buffer.from('feff00e000000000', 'hex')
    head.writeUInt32LE(item.length, 4)
    return [head, item]
  })
  return encodeElement(tag, 'SQ', Buffer.concat(parts))
}

/** A value of a big-endian file in little endian. */
export function toLittleEndian(value: Uint8Array, vr: string): Uint8Array {
  const size = WORD_BYTES[vr] ?? 1
  if (size === 1) return value
  const swapped = Buffer.from(value)
  for (let at = 0; at + size <= swapped.length; at += size) swapped.subarray(at, at + size).reverse()
  return swapped
}

/**
 * A Part 10 file: preamble, file meta information, and a data set in explicit VR little endian (compressed pixel data
 * keeps its transfer syntax).
 *
 * @throws NoduleError FORMAT where there is no SOP Class or Instance UID; UNSUPPORTED where native pixels have a transfer
 *   syntax that nobody knows: they may be in any order of bytes
 */
export function encodeFile(
  file: DicomFile,
  uids: { sopClass: string; sopInstance: string },
  dataSet: Uint8Array,
): Buffer {
  for (const [uid, expected] of [
    [uids.sopInstance, 'SOP Instance UID (0008,0018)'],
    [uids.sopClass, 'SOP Class UID (0008,0016)'],
  ] as const)
    if (uid === '')
      throw new NoduleError('FORMAT', 'cannot write an object without identity', {
        path: file.path,
        expected,
        actual: 'none',
      })
  const pixels = file.dataSet.elements[PIXEL_DATA]
  const isEncapsulated = pixels?.encapsulatedPixelData === true
  if (isEncapsulated && isUncompressed(file.transferSyntax))
    throw new NoduleError('FORMAT', 'compressed pixels under a transfer syntax that has none', {
      path: file.path,
      place: '(0002,0010)',
      expected: 'the transfer syntax of the compression',
      actual: file.transferSyntax,
    })
  const isKnown = isUncompressed(file.transferSyntax) || COMPRESSED[file.transferSyntax] !== undefined
  if (pixels !== undefined && !isEncapsulated && !isKnown)
    throw new NoduleError('UNSUPPORTED', 'cannot tell how the pixels are written', {
      path: file.path,
      place: '(0002,0010)',
      expected: 'a known transfer syntax',
      actual: file.transferSyntax,
    })
  // Native pixels under the name of a compression are written as what they are.
  const isCompressed = !isUncompressed(file.transferSyntax) && (pixels === undefined || isEncapsulated)
  const syntax = isCompressed ? file.transferSyntax : EXPLICIT_LITTLE_ENDIAN
  const text = (tag: string, vr: string, value: string): Buffer =>
    encodeElement(tag, vr, Buffer.from(value, 'latin1'))
  const meta = Buffer.concat([
    encodeElement('00020001', 'OB', Uint8Array.of(0, 1)),
    text('00020002', 'UI', uids.sopClass),
    text('00020003', 'UI', uids.sopInstance),
    text('00020010', 'UI', syntax),
    text('00020012', 'UI', '2.25.187532086440361829187530446287162345101'),
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(meta.length)
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    encodeElement('00020000', 'UL', length),
    meta,
    dataSet,
  ])
}
