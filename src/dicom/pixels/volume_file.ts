import { basename, resolve, sep } from 'node:path'
import { gunzipSync, unzipSync } from 'node:zlib'
import { NoduleError, describeError } from '../../errors.js'
import { frameLimit, voxelLimit } from '../../limits.js'
import { openRegular, readRegular } from '../../read_files.js'
import { along, negate } from '../../geometry/vector.js'
import type { Vector3 } from '../../geometry/vector.js'
import type { SliceHeader } from '../read/header.js'
import { readMetaImage } from '../../formats/meta_image.js'
import { readNifti } from '../../formats/nifti.js'
import { decimal } from '../read/values.js'
import type { StoredPixels } from './stored_values.js'
import { ELEMENT_BYTES } from '../../formats/volume_file.js'
import type { ElementType, VolumeFile, VolumeSlice } from '../../formats/volume_file.js'
import { greatest } from '../../lists.js'

/** True for the names of volume files: .mhd, .mha, .nii, .nii.gz */
export function isVolumeFile(path: string): boolean {
  return /\.(mhd|mha|nii|nii\.gz)$/i.test(path)
}

const EXTENSION = /\.(mhd|mha|nii|nii\.gz)$/i

/** A series UID. Of fewer numbers it may be a version or a date. */
const UID = /^[0-2](\.\d+){3,}$/

/**
 * What the series of volume files are called: the file's name without its ending (LUNA16 names its files by series);
 * where several have one name, as much of it and of its folders as tells them apart. Those that are called after one
 * series UID (copies, another format, a mask) are of that series.
 */
export function volumeNames(paths: readonly string[]): Map<string, string> {
  const names = new Map<string, string>()
  const byName = new Map<string, string[]>()
  for (const path of paths) {
    if (!isVolumeFile(path)) continue
    const name = basename(path).replace(EXTENSION, '')
    byName.set(name, [...(byName.get(name) ?? []), path])
  }
  for (const [name, same] of byName) {
    if (same.length === 1 || UID.test(name)) for (const path of same) names.set(path, name)
    else for (const [path, longer] of distinctNames(same)) names.set(path, longer)
  }
  return names
}

/** The shortest ends of paths that differ: with folders, then with endings as well. */
function distinctNames(paths: readonly string[]): [string, string][] {
  const parts = paths.map((path) => resolve(path).split(sep))
  const depth = greatest(parts.map((list) => list.length))
  for (let count = 1; count <= depth; count++) {
    const whole = parts.map((list) => list.slice(-count).join('/'))
    for (const names of [whole.map((name) => name.replace(EXTENSION, '')), whole])
      if (new Set(names).size === paths.length) return paths.map((path, n) => [path, names[n]!])
  }
  return paths.map((path) => [path, path])
}

/**
 * Reads the header of a volume file as slices: a series of its own, in HU. Rows that run to the patient's right and
 * columns that run to the front are turned around, as DICOM has them, but where both do so in a MetaImage: that is the
 * DICOM order of a prone patient, which ITK keeps.
 *
 * @param name of the series; default: the file's name without its ending
 * @throws NoduleError FILE, FORMAT, UNSUPPORTED
 */
export async function readVolumeHeaders(
  path: string,
  name = basename(path).replace(EXTENSION, ''),
): Promise<SliceHeader[]> {
  const file = /\.mh[ad]$/i.test(path) ? await readMetaImage(path) : await readNifti(path)
  await checkVoxels(file)
  const [depth, rows, columns] = file.shape
  const [x, y, z] = file.axes
  const [toRight, toFront] = [isAlong(x, 0) && x[0] < 0, isAlong(y, 1) && y[1] < 0]
  const isProne = file.format === 'MetaImage' && toRight && toFront
  const [mirrorX, mirrorY] = [toRight && !isProne, toFront && !isProne]
  const first = along(
    along(file.origin, x, mirrorX ? (columns - 1) * file.spacing[0] : 0),
    y,
    mirrorY ? (rows - 1) * file.spacing[1] : 0,
  )
  const integer =
    file.type === 'int8' || file.type === 'uint8' || file.type === 'int16' || file.type === 'uint16'
  return Array.from({ length: depth }, (_, k): SliceHeader => ({
    path,
    frame: k,
    frames: depth,
    sopClassUid: '',
    sopInstanceUid: `${name}.${k}`,
    seriesInstanceUid: name,
    studyInstanceUid: '',
    patientId: name,
    // HU needs more than 8 bits: a volume of bytes is a mask.
    modality: ELEMENT_BYTES[file.type] === 1 ? 'SEG' : (file.modality ?? 'CT'),
    imageType: [],
    instanceNumber: k + 1,
    rows,
    columns,
    imagePosition: along(first, z, k * file.spacing[2]),
    rowDirection: mirrorX ? negate(x) : x,
    columnDirection: mirrorY ? negate(y) : y,
    pixelSpacing: [file.spacing[1], file.spacing[0]],
    // Of more slices the distance says it.
    ...(depth === 1 ? { sliceThickness: file.spacing[2] } : {}),
    samplesPerPixel: 1,
    photometric: 'MONOCHROME2',
    bitsAllocated: integer ? 8 * ELEMENT_BYTES[file.type] : 16,
    bitsStored: integer ? 8 * ELEMENT_BYTES[file.type] : 16,
    signed: !file.type.startsWith('uint') || !integer,
    // Wider values are scaled and rounded to HU when they are read.
    rescaleSlope: integer ? file.slope : 1,
    rescaleIntercept: integer ? file.intercept : 0,
    transferSyntax: file.format,
    bigEndian: file.bigEndian,
    hasModalityLut: false,
    volume: { file, k, mirrorX, mirrorY },
  }))
}

/**
 * Compares what a header announces with the size of the file that holds the voxels, before anything is built of it.
 * Throws NoduleError FILE, FORMAT.
 */
async function checkVoxels(file: VolumeFile): Promise<void> {
  const { handle, size } = await openRegular(file.dataPath)
  await handle.close()
  const voxels = voxelBytes(file)
  const wrong = (summary: string, expected: string, actual: string): NoduleError =>
    new NoduleError('FORMAT', summary, { path: file.dataPath, expected, actual })
  if (
    file.text
      ? size < (2 * voxels) / ELEMENT_BYTES[file.type] - 1
      : file.compression === 'none' && size < Math.max(0, file.offset) + voxels
  )
    throw wrong('too few voxels', `${voxels} bytes from byte ${Math.max(0, file.offset)} on`, String(size))
  if (voxels > voxelLimit(size))
    throw wrong(
      'volume too large for its file',
      `at most ${voxelLimit(size)} bytes of voxels`,
      String(voxels),
    )
  const [slices] = file.shape
  if (slices > frameLimit(size))
    throw wrong('too many slices for a file of this size', `at most ${frameLimit(size)}`, String(slices))
}

function voxelBytes(file: VolumeFile): number {
  return file.shape[0] * file.shape[1] * file.shape[2] * ELEMENT_BYTES[file.type]
}

/** The bytes of a volume file's voxels, [z, y, x]. Throws NoduleError FILE, FORMAT. */
export async function readVoxelBytes(file: VolumeFile): Promise<Uint8Array> {
  const size = voxelBytes(file)
  let bytes: Uint8Array = await readRegular(file.dataPath)
  if (file.text) return textVoxels(bytes.subarray(Math.max(0, file.offset)), file)
  try {
    // A bomb gets an error instead of the memory.
    const limits = { maxOutputLength: Math.max(0, file.offset) + size + 65536 }
    if (file.compression === 'gzip') bytes = gunzipSync(bytes, limits)
    else if (file.compression === 'zlib')
      // Also with gzip's header, as MetaIO takes it.
      bytes = unzipSync(bytes.subarray(Math.max(0, file.offset)), limits)
  } catch (error) {
    throw new NoduleError('FORMAT', `cannot inflate the voxels: ${describeError(error)}`, {
      path: file.dataPath,
      cause: error,
    })
  }
  const offset = file.compression === 'zlib' ? 0 : file.offset < 0 ? bytes.length - size : file.offset
  if (offset < 0 || offset + size > bytes.length) {
    throw new NoduleError('FORMAT', 'too few voxels', {
      path: file.dataPath,
      expected: `${size} bytes from byte ${Math.max(0, offset)} on`,
      actual: String(bytes.length),
    })
  }
  return bytes.subarray(offset, offset + size)
}

/** Voxels that are written as numbers (MetaImage's BinaryData = False), as the bytes of the file's type. */
function textVoxels(bytes: Uint8Array, file: VolumeFile): Uint8Array {
  const { type } = file
  const size = ELEMENT_BYTES[type]
  const count = voxelBytes(file) / size
  const out = new Uint8Array(count * size)
  const view = new DataView(out.buffer)
  const wrong = (expected: string, actual: string): NoduleError =>
    new NoduleError('FORMAT', 'too few voxels', { path: file.dataPath, expected, actual })
  let n = 0
  for (let at = 0; n < count && at < bytes.length;) {
    if (isGap(bytes[at]!)) {
      at++
      continue
    }
    let end = at
    while (end < bytes.length && !isGap(bytes[end]!)) end++
    const word = Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(end - at, 40)).toString('latin1')
    const value = decimal(word)
    if (value === undefined) throw wrong(`${count} numbers`, JSON.stringify(word))
    const [low, high] = RANGES[type] ?? [-Infinity, Infinity]
    if (value < low || value > high)
      throw new NoduleError('FORMAT', 'a number that its type cannot hold', {
        path: file.dataPath,
        expected: `${low} to ${high}`,
        actual: word,
      })
    WRITERS[type](view, n * size, value, !file.bigEndian)
    n++
    at = end
  }
  if (n < count) throw wrong(`${count} numbers`, String(n))
  return out
}

/** Blanks, line ends and commas stand between numbers, as MetaIO has it. */
function isGap(byte: number): boolean {
  return byte <= 0x20 || byte === 0x2c
}

/** The stored values of a slice of a volume file, from the bytes of `readVoxelBytes`. */
export function decodeVolumeSlice(bytes: Uint8Array, slice: VolumeSlice): StoredPixels {
  const { file, k, mirrorX, mirrorY } = slice
  const [, rows, columns] = file.shape
  const size = ELEMENT_BYTES[file.type]
  const view = new DataView(bytes.buffer, bytes.byteOffset + k * rows * columns * size, rows * columns * size)
  const little = !file.bigEndian
  const values = makeValues(file.type, rows * columns)
  const whole = size <= 2
  for (let j = 0; j < rows; j++) {
    const to = (mirrorY ? rows - 1 - j : j) * columns
    for (let i = 0; i < columns; i++) {
      const value = READERS[file.type](view, (j * columns + i) * size, little)
      values[to + (mirrorX ? columns - 1 - i : i)] = whole ? value : toHu(value * file.slope + file.intercept)
    }
  }
  return values
}

function makeValues(type: ElementType, length: number): StoredPixels {
  if (type === 'int8') return new Int8Array(length)
  if (type === 'uint8') return new Uint8Array(length)
  return type === 'uint16' ? new Uint16Array(length) : new Int16Array(length)
}

/** NaN, which some writers put outside of the body, becomes air. */
function toHu(value: number): number {
  return Number.isNaN(value) ? -1000 : Math.max(-32768, Math.min(32767, Math.round(value)))
}

const READERS: Record<ElementType, (view: DataView, at: number, little: boolean) => number> = {
  int8: (view, at) => view.getInt8(at),
  uint8: (view, at) => view.getUint8(at),
  int16: (view, at, little) => view.getInt16(at, little),
  uint16: (view, at, little) => view.getUint16(at, little),
  int32: (view, at, little) => view.getInt32(at, little),
  uint32: (view, at, little) => view.getUint32(at, little),
  // In two halves: a BigInt for each voxel would take many times as long.
  int64: (view, at, little) =>
    view.getInt32(little ? at + 4 : at, little) * 2 ** 32 + view.getUint32(little ? at : at + 4, little),
  uint64: (view, at, little) =>
    view.getUint32(little ? at + 4 : at, little) * 2 ** 32 + view.getUint32(little ? at : at + 4, little),
  float32: (view, at, little) => view.getFloat32(at, little),
  float64: (view, at, little) => view.getFloat64(at, little),
}

const WRITERS: Record<ElementType, (view: DataView, at: number, value: number, little: boolean) => void> = {
  int8: (view, at, value) => view.setInt8(at, value),
  uint8: (view, at, value) => view.setUint8(at, value),
  int16: (view, at, value, little) => view.setInt16(at, value, little),
  uint16: (view, at, value, little) => view.setUint16(at, value, little),
  int32: (view, at, value, little) => view.setInt32(at, value, little),
  uint32: (view, at, value, little) => view.setUint32(at, value, little),
  int64: (view, at, value, little) => view.setBigInt64(at, BigInt(Math.trunc(value)), little),
  uint64: (view, at, value, little) => view.setBigUint64(at, BigInt(Math.trunc(value)), little),
  float32: (view, at, value, little) => view.setFloat32(at, value, little),
  float64: (view, at, value, little) => view.setFloat64(at, value, little),
}

/** What whole numbers of a type may be. */
const RANGES: Partial<Record<ElementType, [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  // The last numbers below the powers.
  int64: [-(2 ** 63), 2 ** 63 - 2 ** 10],
  uint64: [0, 2 ** 64 - 2 ** 11],
}

function isAlong(axis: Vector3, n: 0 | 1 | 2): boolean {
  return Math.abs(axis[n]) > 0.7
}
