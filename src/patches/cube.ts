import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import type { PatchHypes } from '../config/patch_hypes.js'
import type { Vector3 } from '../geometry/vector.js'
import { positionToSlice, sliceToPosition } from '../geometry/patient.js'
import type { HuVolume } from '../volume/index.js'

/** Square planes parallel to the slices, one above the other, centered on a point. */
export interface CubeGrid {
  /** Odd: the middle one goes through the point. */
  planes: number
  planeMm: number
  /** Side of a plane, pixels. */
  size: number
  pixelMm: number
}

/** What a cube is made of: a fine grid and, where it has planes, a coarse one of the same size. */
export interface CubeSpec {
  fine: CubeGrid
  coarse?: CubeGrid
  /** HU that becomes gray level 0, and that which becomes 255. */
  windowLow: number
  windowHigh: number
}

export function cubeSpec({ cube }: Pick<PatchHypes, 'cube'>): CubeSpec {
  const { size, coarse_planes: coarse } = cube
  return {
    fine: { planes: cube.planes, planeMm: cube.plane_mm, size, pixelMm: cube.pixel_mm },
    ...(coarse === 0
      ? {}
      : { coarse: { planes: coarse, planeMm: cube.coarse_plane_mm, size, pixelMm: cube.coarse_pixel_mm } }),
    windowLow: cube.window_low_hu,
    windowHigh: cube.window_high_hu,
  }
}

/** Planes of a cube, which are the channels of the network: the fine ones, then the coarse ones. */
export function cubePlanes(spec: CubeSpec): number {
  return spec.fine.planes + (spec.coarse?.planes ?? 0)
}

/** Bytes of a cube. */
export function cubeBytes(spec: CubeSpec): number {
  return cubePlanes(spec) * spec.fine.size ** 2
}

const MAX_BYTES = 2 ** 31

/**
 * Cubes around points of a volume: trilinear between voxel centers; beyond the first and the last slice, row and column
 * that one again (of a stack cut out around a nodule nothing more is known, and air would tell where its border lies).
 * Windowed to gray levels.
 *
 * @param centers voxel indices (k, j, i), which may be fractional
 * @returns uint8 [centers, planes, size, size]
 * @throws NoduleError (INVALID_PARAMETER)
 */
export function sampleCubes(
  volume: Pick<HuVolume, 'data' | 'shape' | 'geometry'>,
  centers: readonly Vector3[],
  spec: CubeSpec,
): Uint8Array {
  checkSpec(spec)
  if (volume.data.length === 0) throw invalidParameter('volume', 'volume with voxels', volume.shape)
  const bytes = cubeBytes(spec)
  if (bytes * centers.length > MAX_BYTES)
    throw invalidParameter('centers', `at most ${Math.floor(MAX_BYTES / bytes)} points`, centers.length)
  const cubes = new Uint8Array(centers.length * bytes)
  const fineBytes = spec.fine.planes * spec.fine.size ** 2
  for (const [n, center] of centers.entries()) {
    if (!center.every(Number.isFinite)) throw invalidParameter('centers', 'finite voxel indices', center)
    const cube = cubes.subarray(n * bytes, (n + 1) * bytes)
    fillGrid(volume, center, spec.fine, spec, cube.subarray(0, fineBytes))
    if (spec.coarse !== undefined) fillGrid(volume, center, spec.coarse, spec, cube.subarray(fineBytes))
  }
  return cubes
}

function checkSpec({ fine, coarse, windowLow, windowHigh }: CubeSpec): void {
  for (const grid of coarse === undefined ? [fine] : [fine, coarse]) {
    checkInteger('planes', grid.planes, 1, 255)
    checkNumber('planeMm', grid.planeMm, 1e-3, 1000)
    checkInteger('size', grid.size, 1, 4096)
    checkNumber('pixelMm', grid.pixelMm, 1e-3, 1000)
  }
  if (coarse !== undefined && coarse.size !== fine.size)
    throw invalidParameter('coarse.size', `${fine.size}, as the fine planes`, coarse.size)
  if (!(windowLow < windowHigh)) throw invalidParameter('windowHigh', `more than ${windowLow}`, windowHigh)
}

/** Where the pixels of a line lie in the image: two voxels each, and the weight of the second. */
interface Taps {
  first: Int32Array
  second: Int32Array
  weight: Float64Array
}

/** @param stride elements from one voxel to the next */
function lineTaps(center: number, stepVoxels: number, count: number, length: number, stride: number): Taps {
  const taps: Taps = {
    first: new Int32Array(count),
    second: new Int32Array(count),
    weight: new Float64Array(count),
  }
  for (let n = 0; n < count; n++) {
    const at = Math.min(Math.max(center + (n - (count - 1) / 2) * stepVoxels, 0), length - 1)
    const low = Math.floor(at)
    taps.first[n] = low * stride
    taps.second[n] = Math.min(low + 1, length - 1) * stride
    taps.weight[n] = at - low
  }
  return taps
}

function fillGrid(
  volume: Pick<HuVolume, 'data' | 'shape' | 'geometry'>,
  [k, j, i]: Vector3,
  { planes, planeMm, size, pixelMm }: CubeGrid,
  { windowLow, windowHigh }: CubeSpec,
  out: Uint8Array,
): void {
  const { data, geometry } = volume
  const [slices, rows, columns] = volume.shape
  const [, rowMm, columnMm] = geometry.spacing
  const ys = lineTaps(j, pixelMm / rowMm, size, rows, columns)
  const xs = lineTaps(i, pixelMm / columnMm, size, columns, 1)
  const position = sliceToPosition(geometry, k)
  const scale = 255 / (windowHigh - windowLow)
  const offset = 0.5 - windowLow * scale
  const { first: x0, second: x1, weight: wx } = xs
  let target = 0
  for (let plane = 0; plane < planes; plane++) {
    const at = positionToSlice(geometry, position + (plane - (planes - 1) / 2) * planeMm)
    const inside = Math.min(Math.max(at, 0), slices - 1)
    const low = Math.min(Math.floor(inside), slices - 1)
    const high = Math.min(low + 1, slices - 1)
    const part = inside - low
    const base0 = low * rows * columns
    const base1 = high * rows * columns
    for (let row = 0; row < size; row++) {
      const a = base0 + ys.first[row]!
      const b = base0 + ys.second[row]!
      const c = base1 + ys.first[row]!
      const d = base1 + ys.second[row]!
      const lower = ys.weight[row]! * scale
      const upper = scale - lower
      const wa = upper * (1 - part)
      const wb = lower * (1 - part)
      const wc = upper * part
      const wd = lower * part
      for (let column = 0; column < size; column++, target++) {
        const left = x0[column]!
        const right = x1[column]!
        const near = wa * data[a + left]! + wb * data[b + left]! + wc * data[c + left]! + wd * data[d + left]!
        const far =
          wa * data[a + right]! + wb * data[b + right]! + wc * data[c + right]! + wd * data[d + right]!
        const gray = near + (far - near) * wx[column]! + offset
        out[target] = gray <= 0 ? 0 : gray >= 255 ? 255 : gray
      }
    }
  }
}

/** How far a volume reaches from a point, mm, none negative: to the centers of its outermost voxels. */
export interface Reach {
  /** Below and above, along the slice direction. */
  ends: [number, number]
  /** To the first and the last column, the first and the last row. */
  sides: [number, number, number, number]
}

/** @param voxel k, j, i, which may be fractional */
export function reachFrom({ shape, geometry }: Pick<HuVolume, 'shape' | 'geometry'>, voxel: Vector3): Reach {
  const [k, j, i] = voxel
  const [, rowMm, columnMm] = geometry.spacing
  const at = sliceToPosition(geometry, k)
  const low = sliceToPosition(geometry, 0)
  const high = sliceToPosition(geometry, shape[0] - 1)
  return {
    ends: [Math.max(0, at - low), Math.max(0, high - at)],
    sides: [
      Math.max(0, i * columnMm),
      Math.max(0, (shape[2] - 1 - i) * columnMm),
      Math.max(0, j * rowMm),
      Math.max(0, (shape[1] - 1 - j) * rowMm),
    ],
  }
}
