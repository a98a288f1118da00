import { NoduleError } from '../../errors.js'
import { codestreamFamily, jpeg2000Size, jpegSize } from '../pixels/codestream.js'
import { decodeFrame } from '../pixels/codecs.js'
import type { FrameHeader } from '../pixels/codecs.js'
import { encapsulatedFrame } from '../pixels/frames.js'
import { isNative } from '../read/locate_pixels.js'
import { PIXEL_DATA } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { readBits, readPadding } from '../read/pixel_tags.js'
import { cleanHighBits, viewValues } from '../pixels/stored_values.js'
import { COMPRESSED } from '../read/transfer_syntax.js'
import { numbersOf, text, uint16 } from '../read/values.js'

/**
 * Clears what stands above Bits Stored: overlay planes (text and drawings) hide there, announced or not.
 *
 * @returns native Pixel Data in little endian; undefined where nothing has to change
 * @throws NoduleError UNSUPPORTED where compressed pixels hold such bits
 */
export async function clearHiddenBits(file: DicomFile): Promise<Uint8Array | undefined> {
  const { dataSet } = file
  const element = dataSet.elements[PIXEL_DATA]
  const allocated = uint16(dataSet, 'x00280100')
  if (element === undefined || (allocated !== 8 && allocated !== 16)) return undefined
  const bits = readBits(file)
  if (bits.bitsStored >= bits.bitsAllocated) return undefined
  const rows = uint16(dataSet, 'x00280010') ?? 0
  const columns = uint16(dataSet, 'x00280011') ?? 0
  const samples = uint16(dataSet, 'x00280002') ?? 1
  const frames = Math.max(1, Math.trunc(numbersOf(dataSet, 'x00280008')?.[0] ?? 1))
  const frameBytes = (rows * columns * samples * bits.bitsAllocated) / 8
  const exact = exactPadding(file, bits.signed)
  if (isNative(file, element, { frames, frameBytes })) {
    const end = Math.min(element.dataOffset + element.length, file.bytes.length)
    const even = end - ((end - element.dataOffset) % (bits.bitsAllocated / 8))
    // A copy: 8-bit pixels in big-endian words are cleaned where they lie.
    const bytes = new Uint8Array(file.bytes.subarray(element.dataOffset, even))
    const values = viewValues(bytes, bits.bitsAllocated, bits.signed, file.bigEndian)
    cleanHighBits(values, bits.bitsStored, bits.signed, exact)
    const cleaned = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    if (file.bigEndian && bits.bitsAllocated === 8 && element.vr === 'OW')
      Buffer.from(cleaned.buffer, cleaned.byteOffset, cleaned.length - (cleaned.length % 2)).swap16()
    return cleaned
  }
  // Color is 8 bits a sample, all of them used.
  if (samples !== 1) return undefined
  const header: FrameHeader = {
    path: file.path,
    rows,
    columns,
    ...bits,
    photometric: text(dataSet, 'x00280004') ?? '',
    transferSyntax: file.transferSyntax,
  }
  for (let frame = 0; frame < frames; frame++) await checkFrame(file, header, frame, frames, exact)
  return undefined
}

async function checkFrame(
  file: DicomFile,
  header: FrameHeader,
  frame: number,
  frames: number,
  exact: { low: number; high: number } | undefined,
): Promise<void> {
  const stream = encapsulatedFrame(file, frame, frames)
  const family = codestreamFamily(stream, COMPRESSED[file.transferSyntax])
  const depth = family === 'rle' ? header.bitsAllocated : (jpegSize(stream) ?? jpeg2000Size(stream))?.bits
  // A stream of no more bits than are stored has no place for others.
  if (depth !== undefined && depth <= header.bitsStored) return
  const decoded = await decodeFrame(stream, header, family)
  const values = viewValues(decoded, header.bitsAllocated, header.signed, false)
  const cleaned = values.slice()
  cleanHighBits(cleaned, header.bitsStored, header.signed, exact)
  // Negative values may stand there with their sign spread or without.
  const range = 2 ** header.bitsStored
  const isPlain = values.every((value) => value >= 0 && value < range)
  if (isPlain || values.every((value, i) => value === cleaned[i])) return
  throw new NoduleError('UNSUPPORTED', 'an overlay may hide in the compressed pixels', {
    path: file.path,
    place: '(7FE0,0010)',
    expected: `nothing above ${header.bitsStored} bits stored`,
    actual: `bits there in frame ${frame + 1}`,
  })
}

/** Padding that is one value, stored with all its bits: kept. */
function exactPadding(file: DicomFile, signed: boolean): { low: number; high: number } | undefined {
  const padding = readPadding(file.dataSet, signed)
  return padding?.low === padding?.high ? padding : undefined
}
