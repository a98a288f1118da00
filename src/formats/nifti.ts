import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { NoduleError, describeError } from '../errors.js'
import { writeFileAtomic } from '../files.js'
import { voxelToPatient, type VolumeGeometry } from '../geometry/patient.js'
import { readStart } from '../read_files.js'
import type { Vector3 } from '../geometry/vector.js'
import { checkVolume, checkVolumeFile } from './volume_file.js'
import type { ElementType, VolumeFile } from './volume_file.js'
import { greatest } from '../lists.js'

const HEADER = 348
/** Of NIfTI-2. */
const HEADER_2 = 540
/** Compressed bytes that surely hold a header. */
const FIRST_READ = 4096

const TYPES: Record<number, ElementType> = {
  2: 'uint8',
  4: 'int16',
  8: 'int32',
  16: 'float32',
  64: 'float64',
  256: 'int8',
  512: 'uint16',
  768: 'uint32',
  1024: 'int64',
  1280: 'uint64',
}

/** Millimeters of the units of length that are none, by their code: m and micrometers, as ITK scales them. */
const UNITS: Record<number, number> = { 1: 1000, 3: 0.001 }

/**
 * Reads the header of a NIfTI-1 file (.nii, .nii.gz): shape, type and place in the patient, from the sform, else the
 * qform. NIfTI's axes (RAS) become DICOM's (LPS).
 *
 * @throws NoduleError FILE, FORMAT, UNSUPPORTED
 */
export async function readNifti(path: string): Promise<VolumeFile> {
  const { bytes, compressed } = await readHeader(path)
  const wrong = (place: string, expected: string, actual: unknown): NoduleError =>
    new NoduleError('FORMAT', 'wrong NIfTI header', { path, place, expected, actual: String(actual) })
  if (bytes.length < HEADER) throw wrong('header', `${HEADER} bytes`, bytes.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if ([true, false].some((order) => view.getInt32(0, order) === HEADER_2))
    throw new NoduleError('UNSUPPORTED', 'NIfTI-2 is not read: convert it to NIfTI-1', { path })
  const little = view.getInt32(0, true) === HEADER
  if (!little && view.getInt32(0, false) !== HEADER)
    throw wrong('sizeof_hdr', `${HEADER}`, view.getInt32(0, true))
  const magic = Buffer.from(bytes).toString('latin1', 344, 347)
  if (magic !== 'n+1') throw wrong('magic', '"n+1" (header and voxels in one file)', JSON.stringify(magic))
  const int16 = (at: number): number => view.getInt16(at, little)
  const float = (at: number): number => view.getFloat32(at, little)
  const dimensions = int16(40)
  if (dimensions < 3 || dimensions > 7) throw wrong('dim[0]', '3 dimensions', dimensions)
  for (let n = 4; n <= dimensions; n++) {
    if (int16(40 + 2 * n) > 1) throw wrong(`dim[${n}]`, '1 (a single volume)', int16(40 + 2 * n))
  }
  const type = TYPES[int16(70)]
  if (type === undefined) throw wrong('datatype', `one of ${Object.keys(TYPES).join(', ')}`, int16(70))
  const usesQform = !(int16(254) > 0)
  if (usesQform && !(int16(252) > 0))
    throw wrong('sform_code', 'a place in the patient (sform or qform)', 'none')
  const sizes = [80, 84, 88].map(float)
  // nibabel refuses what NIfTI's own library takes for 1 mm.
  if (usesQform && !sizes.every((mm) => mm > 0)) throw wrong('pixdim', '3 sizes above 0', sizes.join(' '))
  const unit = UNITS[view.getUint8(123) & 7] ?? 1
  const affine = (usesQform ? qform(float) : sform(float)).map((row) => row.map((value) => unit * value))
  // RAS to LPS: x and y change their signs.
  const column = (n: number): number[] => affine.map((row, axis) => (axis < 2 ? -1 : 1) * row[n]!)
  const lengths = [0, 1, 2].map((n) => Math.hypot(...column(n)))
  const axis = (n: number): Vector3 => column(n).map((value) => value / lengths[n]!) as unknown as Vector3
  const slope = float(112)
  const scaled = Number.isFinite(slope) && slope !== 0
  // 0 in files of some writers: the voxels follow the header and the four bytes of its extension flag.
  const stated = float(108)
  const offset = stated === 0 ? HEADER + 4 : stated
  if (!Number.isInteger(offset) || offset < HEADER || offset > 2 ** 31)
    throw wrong('vox_offset', `an integer from ${HEADER + 4} on`, stated)
  return checkVolumeFile({
    path,
    dataPath: path,
    format: 'NIfTI-1',
    offset,
    text: false,
    compression: compressed ? 'gzip' : 'none',
    type,
    bigEndian: !little,
    shape: [int16(46), int16(44), int16(42)],
    axes: [axis(0), axis(1), axis(2)],
    spacing: lengths as unknown as Vector3,
    origin: column(3) as unknown as Vector3,
    slope: scaled ? slope : 1,
    intercept: scaled ? float(116) : 0,
  })
}

type Float = (at: number) => number

function sform(float: Float): number[][] {
  return [280, 296, 312].map((row) => [0, 4, 8, 12].map((at) => float(row + at)))
}

/** The rotation of a unit quaternion, times the voxel sizes; the third axis may be turned (qfac). */
function qform(float: Float): number[][] {
  const given = [float(256), float(260), float(264)] as [number, number, number]
  const square = given.reduce((sum, value) => sum + value * value, 0)
  // Beyond 1 by rounding: made a unit quaternion, as NIfTI's own library does.
  const [b, c, d] = (square > 1 ? given.map((value) => value / Math.sqrt(square)) : given) as typeof given
  const a = Math.sqrt(Math.max(0, 1 - square))
  const [x, y, z] = [float(80), float(84), float(88)] as [number, number, number]
  const turned = float(76) < 0 ? -z : z
  return [
    [(a * a + b * b - c * c - d * d) * x, 2 * (b * c - a * d) * y, 2 * (b * d + a * c) * turned, float(268)],
    [2 * (b * c + a * d) * x, (a * a + c * c - b * b - d * d) * y, 2 * (c * d - a * b) * turned, float(272)],
    [2 * (b * d - a * c) * x, 2 * (c * d + a * b) * y, (a * a + d * d - c * c - b * b) * turned, float(276)],
  ]
}

async function readHeader(path: string): Promise<{ bytes: Uint8Array; compressed: boolean }> {
  const bytes = await readStart(path, FIRST_READ)
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return { bytes, compressed: false }
  try {
    // The data breaks off here; what came out until then is enough.
    return { bytes: gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }), compressed: true }
  } catch (error) {
    throw new NoduleError('FORMAT', `cannot inflate: ${describeError(error)}`, { path, cause: error })
  }
}

/** What a NIfTI file can hold here: HU, or a mask. */
export interface NiftiImage {
  /** [z, y, x] */
  data: Int16Array | Uint8Array
  shape: readonly [number, number, number]
  geometry: VolumeGeometry
  /** At most 79 characters of ASCII. */
  description?: string
}

const headerSize = 352

/**
 * The bytes of a NIfTI-1 file (.nii): voxels as they lie in memory (x fastest) and the affine from voxel (i, j, k) to
 * patient mm in NIfTI's axes (RAS: x to the right, y to the front), as sform and, where the axes are orthogonal, qform.
 * Slices at uneven distances cannot be expressed: the median distance stands for all.
 *
 * @throws NoduleError INVALID_PARAMETER
 */
export function encodeNifti(image: NiftiImage): Uint8Array {
  checkVolume(image, [Int16Array, Uint8Array], 32767)
  const { data, shape, geometry } = image
  const [nz, ny, nx] = shape
  const wide = data instanceof Int16Array
  const bytes = new Uint8Array(headerSize + data.byteLength)
  const view = new DataView(bytes.buffer)
  view.setInt32(0, 348, true)
  for (const [n, value] of [3, nx, ny, nz, 1, 1, 1, 1].entries()) view.setInt16(40 + 2 * n, value, true)
  view.setInt16(70, wide ? 4 : 2, true) // datatype: int16 or uint8
  view.setInt16(72, wide ? 16 : 8, true) // bits per voxel
  const affine = affineOf(geometry)
  const rotation = rotationOf(affine)
  const sizes = [rotation.handedness, ...columnLengths(affine)]
  for (const [n, value] of sizes.entries()) view.setFloat32(76 + 4 * n, value, true)
  view.setFloat32(108, headerSize, true) // vox_offset
  view.setFloat32(112, 1, true) // scl_slope
  view.setUint8(123, 2) // units: mm
  const description = new TextEncoder().encode(
    (image.description ?? 'nodule').replaceAll(/[^ -~]/g, '?').slice(0, 79),
  )
  bytes.set(description, 148)
  view.setInt16(252, rotation.quaternion === undefined ? 0 : 1, true) // qform: scanner
  view.setInt16(254, 1, true) // sform: scanner
  for (const [n, value] of (rotation.quaternion ?? [0, 0, 0]).entries())
    view.setFloat32(256 + 4 * n, value, true)
  for (let row = 0; row < 3; row++) {
    view.setFloat32(268 + 4 * row, affine[row]![3]!, true)
    for (let column = 0; column < 4; column++)
      view.setFloat32(280 + 16 * row + 4 * column, affine[row]![column]!, true)
  }
  bytes.set([0x6e, 0x2b, 0x31, 0], 344) // "n+1"
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), headerSize)
  return bytes
}

/** Writes a NIfTI file, compressed where the name ends in .gz. Throws NoduleError FILE, INVALID_PARAMETER. */
export async function writeNifti(path: string, image: NiftiImage): Promise<void> {
  const bytes = encodeNifti(image)
  await writeFileAtomic(path, path.endsWith('.gz') ? gzipSync(bytes, { level: 3 }) : bytes)
}

/** Rows of the affine from voxel (i, j, k, 1) to NIfTI's mm: LPS with x and y turned around. */
function affineOf(geometry: VolumeGeometry): number[][] {
  const { rowDirection, columnDirection, sliceDirection, spacing } = geometry
  const origin = voxelToPatient(geometry, 0, 0, 0)
  return [-1, -1, 1].map((sign, axis) => {
    const at = axis as 0 | 1 | 2
    return [
      sign * rowDirection[at] * spacing[2],
      sign * columnDirection[at] * spacing[1],
      sign * sliceDirection[at] * spacing[0],
      sign * origin[at],
    ]
  })
}

function columnLengths(affine: number[][]): number[] {
  return [0, 1, 2].map((c) => Math.hypot(affine[0]![c]!, affine[1]![c]!, affine[2]![c]!))
}

/**
 * The quaternion (b, c, d) of the affine's rotation and NIfTI's qfac (-1 where the axes are left-handed); undefined
 * where the axes are not orthogonal (gantry tilt).
 */
function rotationOf(affine: number[][]): {
  quaternion: [number, number, number] | undefined
  handedness: number
} {
  const lengths = columnLengths(affine)
  const r = affine.map((row) => [0, 1, 2].map((c) => row[c]! / lengths[c]!))
  const column = (c: number): number[] => r.map((row) => row[c]!)
  const product = (a: number[], b: number[]): number => a.reduce((sum, value, n) => sum + value * b[n]!, 0)
  const determinant =
    r[0]![0]! * (r[1]![1]! * r[2]![2]! - r[1]![2]! * r[2]![1]!) -
    r[0]![1]! * (r[1]![0]! * r[2]![2]! - r[1]![2]! * r[2]![0]!) +
    r[0]![2]! * (r[1]![0]! * r[2]![1]! - r[1]![1]! * r[2]![0]!)
  const handedness = determinant < 0 ? -1 : 1
  const tilted = [
    [0, 1],
    [0, 2],
    [1, 2],
  ].some(([a, b]) => Math.abs(product(column(a!), column(b!))) > 1e-4)
  if (tilted) return { quaternion: undefined, handedness }
  if (handedness < 0) for (const row of r) row[2] = -row[2]!
  // The component of the quaternion that is largest is found first: dividing by it is safe.
  const [xx, yy, zz] = [r[0]![0]!, r[1]![1]!, r[2]![2]!]
  const squares = [1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz]
  const largest = squares.indexOf(greatest(squares))
  const s = 2 * Math.sqrt(squares[largest]!)
  const [d21, d02, d10] = [r[2]![1]! - r[1]![2]!, r[0]![2]! - r[2]![0]!, r[1]![0]! - r[0]![1]!]
  const [s10, s20, s21] = [r[1]![0]! + r[0]![1]!, r[2]![0]! + r[0]![2]!, r[2]![1]! + r[1]![2]!]
  const q = [
    [s / 4, d21 / s, d02 / s, d10 / s],
    [d21 / s, s / 4, s10 / s, s20 / s],
    [d02 / s, s10 / s, s / 4, s21 / s],
    [d10 / s, s20 / s, s21 / s, s / 4],
  ][largest]!
  const sign = q[0]! < 0 ? -1 : 1
  return { quaternion: [sign * q[1]!, sign * q[2]!, sign * q[3]!], handedness }
}
