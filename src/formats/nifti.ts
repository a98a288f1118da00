import { constants, gunzipSync } from 'node:zlib'
import { NoduleError, describeError } from '../errors.js'
import { readStart } from '../read_files.js'
import type { Vector3 } from '../geometry/vector.js'
import { checkVolumeFile } from './volume_file.js'
import type { ElementType, VolumeFile } from './volume_file.js'

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
}

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
  const affine = int16(254) > 0 ? sform(float) : int16(252) > 0 ? qform(float) : undefined
  if (affine === undefined) throw wrong('sform_code', 'a place in the patient (sform or qform)', 'none')
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
