import { dirname, join } from 'node:path'
import { checkInteger, checkObject, invalidParameter, show } from '../check.js'
import { NoduleError } from '../errors.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { checkArray } from '../kernels/arrays.js'
import type { Vector3 } from '../geometry/vector.js'

export type ElementType =
  'int8' | 'uint8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'float32' | 'float64'

/** Where the voxels of a MetaImage or NIfTI file lie, and where they belong in the patient. */
export interface VolumeFile {
  /** The file that was named. */
  path: string
  /** The file with the voxels; the same, or the .raw beside an .mhd. */
  dataPath: string
  format: 'MetaImage' | 'NIfTI-1'
  /** Offset of the first voxel in the uncompressed data, bytes; -1: the voxels end the file. */
  offset: number
  compression: 'none' | 'gzip' | 'zlib'
  /** The voxels are numbers in words. */
  text: boolean
  type: ElementType
  bigEndian: boolean
  /** [z, y, x] */
  shape: readonly [number, number, number]
  /** Unit vectors along x, y and z of the file, patient space (LPS). */
  axes: readonly [Vector3, Vector3, Vector3]
  /** Distance of the voxels along x, y and z, mm. */
  spacing: Vector3
  /** Patient position of the first voxel's center, mm. */
  origin: Vector3
  /** HU = value * slope + intercept */
  slope: number
  intercept: number
  /** As DICOM has it, where the file says it: MR, NM ... */
  modality?: string | undefined
}

/** Where a slice lies in its volume file, and which axes are turned to DICOM's directions. */
export interface VolumeSlice {
  file: VolumeFile
  k: number
  mirrorX: boolean
  mirrorY: boolean
}

export const ELEMENT_BYTES: Record<ElementType, number> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  float32: 4,
  float64: 8,
}

/**
 * What can be written as a volume: otherwise the file would say one thing of its voxels and hold another.
 *
 * @param types of `data`
 * @param longest axis, voxels
 * @throws NoduleError INVALID_PARAMETER
 */
export function checkVolume(
  volume: { data: unknown; shape: readonly number[]; geometry: VolumeGeometry },
  types: readonly (new () => Int16Array | Uint8Array)[],
  longest: number,
): void {
  const { data, shape, geometry } = checkObject('volume', volume)
  checkObject('geometry', geometry)
  if (!Array.isArray(shape) || shape.length !== 3) throw invalidParameter('shape', '3 sizes', shape)
  for (const [axis, n] of shape.entries()) checkInteger(`shape[${axis}]`, n, 1, longest)
  checkArray('data', data, types, shape[0]! * shape[1]! * shape[2]!)
  for (const [axis, mm] of geometry.spacing.entries())
    if (!(mm > 0 && Number.isFinite(mm)))
      throw invalidParameter(`geometry.spacing[${axis}]`, 'mm above 0', mm)
  for (const key of ['origin', 'rowDirection', 'columnDirection', 'sliceDirection'] as const)
    if (!geometry[key].every((value) => Number.isFinite(value)))
      throw invalidParameter(`geometry.${key}`, '3 finite numbers', geometry[key])
}

/** The file of voxels beside a header. Throws NoduleError FORMAT where it would lie elsewhere: a header is no guide. */
export function besideOf(path: string, name: string): string {
  if (/[\\/]|^\.{0,2}$|\0/.test(name))
    throw new NoduleError('FORMAT', 'the voxels must lie beside their header', {
      path,
      expected: 'the name of a file without folders',
      actual: show(name),
    })
  return join(dirname(path), name)
}

/** What a header must hold to be a volume. Throws NoduleError FORMAT. */
export function checkVolumeFile(file: VolumeFile): VolumeFile {
  const wrong = (expected: string, actual: string): NoduleError =>
    new NoduleError('FORMAT', `wrong ${file.format} header`, { path: file.path, expected, actual })
  if (!file.shape.every((n) => Number.isInteger(n) && n >= 1 && n <= 65535)) {
    throw wrong('3 sizes from 1 to 65535', file.shape.join(' x '))
  }
  if (file.shape[0] * file.shape[1] * file.shape[2] > 2 ** 31)
    throw wrong('at most 2^31 voxels', file.shape.join(' x '))
  if (!file.spacing.every((value) => value > 0 && Number.isFinite(value))) {
    throw wrong('distances above 0 mm', file.spacing.join(' x '))
  }
  if (![...file.origin, ...file.axes.flat()].every((value) => Number.isFinite(value)))
    throw wrong('finite numbers for the place in the patient', 'others')
  if (![file.slope, file.intercept].every((value) => Number.isFinite(value)))
    throw wrong('finite numbers to rescale the voxels by', `slope ${file.slope}, intercept ${file.intercept}`)
  const [x, y] = file.axes
  if (Math.abs(x[0] * y[0] + x[1] * y[1] + x[2] * y[2]) > 0.01)
    throw wrong('rows at a right angle to columns', 'others')
  return file
}
