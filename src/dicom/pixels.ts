import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { NoduleError, fileError } from '../errors.js'
import { decodeFrame } from './codecs.js'
import { encapsulatedFrame } from './frames.js'
import type { SliceHeader } from './header.js'
import { decodeCost, memoryLimit } from './limits.js'
import { PIXEL_DATA, readDicom } from './parse.js'
import type { DicomFile } from './parse.js'
import { COMPRESSED, isUncompressed } from './transfer_syntax.js'
import { decodeVolumeSlice, readVoxelBytes } from './volume_file.js'

/** Stored values of one image, [rows, columns], in the sign of Pixel Representation. */
export type StoredPixels = Int16Array | Uint16Array | Int8Array | Uint8Array

const LITTLE_ENDIAN_MACHINE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

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
  const { offset, length } = header.pixelData!
  if ((frame + 1) * size > length) throw cutOff(header, (frame + 1) * size, length)
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    const bytes = new Uint8Array(size)
    let filled = 0
    while (filled < size) {
      const { bytesRead } = await handle.read(bytes, filled, size - filled, offset + frame * size + filled)
      if (bytesRead === 0) throw cutOff(header, size, filled)
      filled += bytesRead
    }
    return bytes
  } catch (error) {
    throw fileError(path, 'read', error)
  } finally {
    await handle?.close()
  }
}

/** The stored values of a frame of a parsed file; see `readPixels`. */
export async function decodePixels(file: DicomFile, header: SliceHeader): Promise<StoredPixels> {
  checkGray(header)
  const element = file.dataSet.elements[PIXEL_DATA]
  const size = frameBytes(header)
  if (element !== undefined && isUncompressed(file.transferSyntax) && element.hadUndefinedLength !== true) {
    const start = element.dataOffset + header.frame * size
    const end = Math.min(element.dataOffset + element.length, file.bytes.length)
    if (start + size > end) throw cutOff(header, size, Math.max(0, end - start))
    // An inflated data set is in the memory already.
    checkCost(file, (file.bytes.length > file.size ? file.bytes.length : 0) + size)
    // A copy, aligned (a Buffer's own slice would be a view).
    return storedValues(header, new Uint8Array(file.bytes.subarray(start, start + size)))
  }
  const family = COMPRESSED[file.transferSyntax]
  if (family !== undefined)
    checkCost(file, decodeCost(family, header.rows * header.columns, header.modalityLut !== undefined))
  const decoded = await decodeFrame(encapsulatedFrame(file, header.frame, header.frames), header)
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
  const values = view(bytes, bitsAllocated, signed, header.bigEndian)
  if (bitsStored < bitsAllocated && (signed || header.embeddedOverlay)) {
    cleanHighBits(values, bitsStored, signed, header.embeddedOverlay)
  }
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

function view(bytes: Uint8Array, bitsAllocated: number, signed: boolean, bigEndian: boolean): StoredPixels {
  const { length } = bytes
  if (bitsAllocated === 8) return signed ? new Int8Array(bytes.buffer, bytes.byteOffset, length) : bytes
  const swap = bigEndian === LITTLE_ENDIAN_MACHINE
  const aligned = bytes.byteOffset % 2 === 0 && !swap ? bytes : new Uint8Array(bytes)
  if (swap) Buffer.from(aligned.buffer as ArrayBuffer, aligned.byteOffset, length).swap16()
  return signed
    ? new Int16Array(aligned.buffer, aligned.byteOffset, length / 2)
    : new Uint16Array(aligned.buffer, aligned.byteOffset, length / 2)
}

/**
 * PS3.5 8.1.1 leaves the bits above Bits Stored open. Negative values that lack their sign bits there get them, and
 * overlays are masked off; a value that is right as it is, or is outside of what Bits Stored allows (padding), stays.
 */
function cleanHighBits(values: StoredPixels, bitsStored: number, signed: boolean, overlay: boolean): void {
  const sign = 2 ** (bitsStored - 1)
  const range = 2 ** bitsStored
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (!overlay && (value < sign || value >= range)) continue
    const low = value & (range - 1)
    values[i] = signed && low >= sign ? low - range : low
  }
}
