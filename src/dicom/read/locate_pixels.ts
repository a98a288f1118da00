import type { Element } from 'dicom-parser'
import { NoduleError } from '../../errors.js'
import type { DicomFile } from './parse.js'
import { COMPRESSED, DEFLATED_LITTLE_ENDIAN, isUncompressed } from './transfer_syntax.js'
import { uint16 } from './values.js'

/** Where the stored values lie in a file, bytes. */
export interface PixelPlace {
  offset: number
  length: number
  /** 8-bit values in big-endian words: each two have changed places (PS3.5 A.3). */
  swapped: boolean
}

interface FrameSizes {
  frames: number
  frameBytes: number
}

/**
 * True where Pixel Data holds the stored values as they are: the transfer syntax says so, or it names a compression and
 * the value has the length of the image and holds no fragments (writers that decompress and forget to say so).
 */
export function isNative(file: DicomFile, element: Element, { frames, frameBytes }: FrameSizes): boolean {
  if (element.hadUndefinedLength === true || element.encapsulatedPixelData === true) return false
  if (isUncompressed(file.transferSyntax)) return true
  if (COMPRESSED[file.transferSyntax] === undefined) return false
  const excess = element.length - frames * frameBytes
  const { bytes } = file
  const at = element.dataOffset
  const hasItem =
    bytes[at] === 0xfe && bytes[at + 1] === 0xff && bytes[at + 2] === 0 && bytes[at + 3] === 0xe0
  return (excess === 0 || excess === 1) && !hasItem
}

/** True for 8-bit pixels whose bytes have changed places in the words of a big-endian file. */
export function isSwapped(file: DicomFile, element: Element): boolean {
  return file.bigEndian && element.vr === 'OW' && (uint16(file.dataSet, 'x00280100') ?? 16) === 8
}

/**
 * The frames that are there. A lying number of them must not fill the memory: compressed, no more than the file has room
 * for.
 *
 * @param size bytes of the whole file
 * @throws NoduleError FORMAT where native pixel data ends before its last frame: nobody knows what became of the others
 */
export function presentFrames(file: DicomFile, element: Element, size: number, sizes: FrameSizes): number {
  const { frames, frameBytes } = sizes
  if (element.hadUndefinedLength === true || !isUncompressed(file.transferSyntax))
    return Math.min(frames, Math.max(1, Math.floor(size / 64)))
  // A single image that is too short is told where it is read.
  if (frames > 1 && element.length < frames * frameBytes)
    throw new NoduleError('FORMAT', 'Pixel Data is too short for its frames', {
      path: file.path,
      place: '(7FE0,0010)',
      expected: `${frames * frameBytes} bytes for ${frames} frames`,
      actual: String(element.length),
    })
  return Math.min(frames, size)
}

/**
 * Where native pixel data lies; undefined where it must be decompressed first.
 *
 * @param size bytes of the whole file
 * @throws NoduleError FORMAT where the file ends inside of the first frame
 */
export function locatePixels(
  file: DicomFile,
  element: Element,
  size: number,
  sizes: FrameSizes,
): PixelPlace | undefined {
  if (!isNative(file, element, sizes) || file.transferSyntax === DEFLATED_LITTLE_ENDIAN) return undefined
  const present = Math.max(0, size - element.dataOffset)
  if (present < element.length && present < sizes.frameBytes) {
    throw new NoduleError('FORMAT', 'file ends inside the pixel data', {
      path: file.path,
      place: '(7FE0,0010)',
      expected: `${element.length} bytes`,
      actual: String(present),
    })
  }
  return {
    offset: element.dataOffset,
    length: Math.min(element.length, present),
    swapped: isSwapped(file, element),
  }
}
