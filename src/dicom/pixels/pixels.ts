import { NoduleError, fileError } from '../../errors.js'
import { decodeFrame } from './codecs.js'
import { codestreamFamily } from './codestream.js'
import { encapsulatedFrame } from './frames.js'
import type { SliceHeader } from '../read/header.js'
import { memoryLimit } from '../../limits.js'
import { fillFrom, openRegular } from '../../read_files.js'
import { decodeCost } from '../read/limits.js'
import { PIXEL_DATA, readDicom } from '../read/parse.js'
import type { DicomFile } from '../read/parse.js'
import { isNative, isSwapped } from '../read/locate_pixels.js'
import { cleanHighBits, viewValues } from './stored_values.js'
import type { StoredPixels } from './stored_values.js'
import { COMPRESSED } from '../read/transfer_syntax.js'
import { decodeVolumeSlice, readVoxelBytes } from './volume_file.js'

/**
 * Reads the stored values of a slice: [rows, columns] of the header's depth and sign, before the rescale. Native pixel
 * data is read into one buffer and viewed there without a copy.
 *
 * @throws NoduleError FILE, FORMAT (cut off), UNSUPPORTED (color, an unknown transfer syntax)
 */
export async function readPixels(header: SliceHeader): Promise<StoredPixels> {
  if (header.volume !== undefined) {
    return decodeVolumeSlice(await readVoxelBytes(header.volume.file), header.volume)
  }
  if (header.pixelData !== undefined) {
    checkGray(header)
    return storedValues(header, await readNative(header))
  }
  return decodePixels(await readDicom(header.path), header)
}

/** Reads the bytes of an uncompressed frame at the place that the header names. */
async function readNative(header: SliceHeader): Promise<Uint8Array> {
  const { path, frame } = header
  const size = frameBytes(header)
  const { offset, length, swapped } = header.pixelData!
  if ((frame + 1) * size > length) throw cutOff(header, (frame + 1) * size, length)
  const [start, end] = wordsAround(frame * size, size, length, swapped)
  const { handle } = await openRegular(path)
  try {
    const bytes = await fillFrom(handle, offset + start, end - start)
    if (bytes.length < end - start) throw cutOff(header, size, bytes.length)
    return swapped ? swapWords(bytes, frame * size - start, size) : bytes
  } catch (error) {
    throw fileError(path, 'read', error)
  } finally {
    await handle.close()
  }
}

/** The bytes [start, end) of a value, rounded to whole words where their bytes have changed places. */
function wordsAround(start: number, size: number, length: number, swapped: boolean): [number, number] {
  const end = start + size
  return swapped ? [start - (start % 2), Math.min(length, end + (end % 2))] : [start, end]
}

/** Puts the bytes of words back and takes `size` of them from `from` on. */
function swapWords(bytes: Uint8Array, from: number, size: number): Uint8Array {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - (bytes.length % 2))
  whole.swap16()
  return new Uint8Array(bytes.subarray(from, from + size))
}

/** The stored values of a frame of a parsed file; see `readPixels`. */
export async function decodePixels(file: DicomFile, header: SliceHeader): Promise<StoredPixels> {
  checkGray(header)
  const element = file.dataSet.elements[PIXEL_DATA]
  const size = frameBytes(header)
  if (element !== undefined && isNative(file, element, { frames: header.frames, frameBytes: size })) {
    const length = Math.min(element.length, file.bytes.length - element.dataOffset)
    if ((header.frame + 1) * size > length)
      throw cutOff(header, size, Math.max(0, length - header.frame * size))
    // An inflated data set is in the memory already.
    checkCost(file, (file.bytes.length > file.size ? file.bytes.length : 0) + size)
    const swapped = isSwapped(file, element)
    const [start, end] = wordsAround(header.frame * size, size, length, swapped)
    // A copy, aligned (a Buffer's own slice would be a view).
    const bytes = new Uint8Array(file.bytes.subarray(element.dataOffset + start, element.dataOffset + end))
    return storedValues(header, swapped ? swapWords(bytes, header.frame * size - start, size) : bytes)
  }
  const compressed = encapsulatedFrame(file, header.frame, header.frames)
  const family = codestreamFamily(compressed, COMPRESSED[file.transferSyntax])
  if (family !== undefined)
    checkCost(file, decodeCost(family, header.rows * header.columns, header.modalityLut !== undefined))
  const decoded = await decodeFrame(compressed, header, family)
  return storedValues({ ...header, bigEndian: false }, decoded)
}

/** Throws NoduleError FORMAT where reading the image takes more memory than its file may cost: a bomb. */
function checkCost(file: DicomFile, bytes: number): void {
  if (bytes <= memoryLimit(file.size)) return
  throw new NoduleError('FORMAT', 'image too large for its file', {
    path: file.path,
    place: '(0028,0010)',
    expected: `at most ${memoryLimit(file.size)} bytes of memory`,
    actual: `about ${bytes}`,
  })
}

function checkGray(header: SliceHeader): void {
  if (header.samplesPerPixel !== 1) {
    throw new NoduleError('UNSUPPORTED', 'cannot use a color image', {
      path: header.path,
      place: '(0028,0002)',
      expected: '1 sample per pixel',
      actual: String(header.samplesPerPixel),
    })
  }
  if (header.photometric === 'PALETTE COLOR')
    throw new NoduleError('UNSUPPORTED', 'cannot use a color image', {
      path: header.path,
      place: '(0028,0004)',
      expected: 'gray pixels',
      actual: header.photometric,
    })
}

function frameBytes(header: SliceHeader): number {
  return (header.rows * header.columns * header.bitsAllocated) / 8
}

function cutOff(header: SliceHeader, expected: number, actual: number): NoduleError {
  return new NoduleError('FORMAT', 'pixel data is too short', {
    path: header.path,
    place: '(7FE0,0010)',
    expected: `${expected} bytes for ${header.rows} x ${header.columns} pixels of ${header.bitsAllocated} bits`,
    actual: String(actual),
  })
}

/** Views the bytes of one frame as stored values; copies only where the machine's byte order or alignment asks for it. */
function storedValues(header: SliceHeader, bytes: Uint8Array): StoredPixels {
  const { bitsAllocated, bitsStored, signed } = header
  const values = viewValues(bytes, bitsAllocated, signed, header.bigEndian)
  if (bitsStored < bitsAllocated) cleanHighBits(values, bitsStored, signed, header.padding)
  return header.modalityLut === undefined ? values : applyLut(values, header.modalityLut)
}

/** Values below and above the table get its first and last entry (PS3.3 C.11.1.1). */
function applyLut(
  values: StoredPixels,
  { first, values: table }: { first: number; values: Uint16Array },
): Uint16Array {
  const out = new Uint16Array(values.length)
  for (let i = 0; i < out.length; i++)
    out[i] = table[Math.min(Math.max(values[i]! - first, 0), table.length - 1)]!
  return out
}
