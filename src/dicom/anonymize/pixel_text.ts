import { blankCodestreams } from './codestream_text.js'
import { clearHiddenBits } from './hidden_bits.js'
import { codestreamFamily } from '../pixels/codestream.js'
import { fragmentGroups, join } from '../pixels/frames.js'
import { PIXEL_DATA } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { toLittleEndian } from '../write/encode.js'
import { fileContext, vrOf } from '../read/elements.js'
import { COMPRESSED } from '../read/transfer_syntax.js'
import { numbersOf, text, uint16 } from '../read/values.js'

export interface CleanPixels {
  /** Pixel Data as it is to be written; undefined where there is none. */
  value: Uint8Array | undefined
  warnings: string[]
}

/**
 * Pixel Data without what may tell names beside the picture: bits above Bits Stored, comments in compressed images, bytes
 * behind the last frame.
 *
 * @returns the value in little endian
 * @throws NoduleError UNSUPPORTED where compressed pixels hold hidden bits
 */
export async function cleanPixels(file: DicomFile): Promise<CleanPixels> {
  const element = file.dataSet.elements[PIXEL_DATA]
  if (element === undefined) return { value: undefined, warnings: [] }
  const cleared = await clearHiddenBits(file)
  const stored = file.bytes.subarray(element.dataOffset, element.dataOffset + element.length)
  if (element.encapsulatedPixelData === true) return cleanFragments(file, element.dataOffset, stored)
  const vr = vrOf(element, fileContext(file), file.dataSet)
  const value = cleared ?? (file.bigEndian ? toLittleEndian(stored, vr) : stored)
  const length = nativeBytes(file)
  if (length === undefined) return { value, warnings: [UNKNOWN_END] }
  const rest = value.subarray(length)
  // One byte makes an odd length even.
  const isTold = rest.length > 1 && rest.some((byte) => byte !== 0)
  return {
    value: value.subarray(0, length),
    warnings: isTold ? [`${rest.length} bytes behind the last frame of Pixel Data were left out`] : [],
  }
}

const UNKNOWN_END =
  'the header does not tell where the last frame of Pixel Data (7FE0,0010) ends: look at what follows it'

function cleanFragments(file: DicomFile, offset: number, stored: Uint8Array): CleanPixels {
  const value = new Uint8Array(stored)
  let isKnown = true
  for (const group of fragmentGroups(file, frameCount(file) ?? 1)) {
    const pieces = group.map(({ position, length }) =>
      value.subarray(position - offset, position - offset + length),
    )
    const stream = join(pieces)
    // RLE has no place for words.
    if (codestreamFamily(stream, COMPRESSED[file.transferSyntax]) === 'rle') continue
    const starts = pieceStarts(pieces)
    isKnown = blankCodestreams(stream, starts) && isKnown
    pieces.forEach((piece, n) => piece.set(stream.subarray(starts[n], starts[n]! + piece.length)))
  }
  return { value, warnings: isKnown ? [] : [UNKNOWN_STREAM] }
}

const UNKNOWN_STREAM =
  'compressed pixels of an unknown form may carry comments that tell who it is (7FE0,0010): look at them'

function pieceStarts(pieces: readonly Uint8Array[]): number[] {
  let at = 0
  return pieces.map((piece) => {
    at += piece.length
    return at - piece.length
  })
}

/** undefined where the header says something that is no number of frames. */
function frameCount({ dataSet }: DicomFile): number | undefined {
  if ((text(dataSet, 'x00280008') ?? '') === '') return 1
  const [frames] = numbersOf(dataSet, 'x00280008') ?? []
  return frames !== undefined && frames >= 1 ? Math.trunc(frames) : undefined
}

/** Bytes of all frames, those of 1 bit side by side; undefined where the header does not say. */
function nativeBytes(file: DicomFile): number | undefined {
  const [rows, columns, allocated] = ['x00280010', 'x00280011', 'x00280100'].map(
    (tag) => uint16(file.dataSet, tag) ?? 0,
  ) as [number, number, number]
  const samples = uint16(file.dataSet, 'x00280002') ?? 1
  const bits = rows * columns * samples * allocated * (frameCount(file) ?? 0)
  return bits > 0 ? Math.ceil(bits / 8) : undefined
}
