/** The kernels of lung extraction (src/volume/lungs/lungs.ts), in TypeScript and C++; there is no CUDA version. */
import { checkInteger, checkNumber, invalidParameter } from '../check.js'
import { type Device, chooseDevice, findAddon, nativeError, runKernelSync } from './addon.js'
import { checkArray, checkIntegers, checked } from './arrays.js'
import { type RefineWork, blocks, refineReference, shrinkReference } from './reference/lungs.js'
import {
  type Grid,
  type Parts,
  type PartsWork,
  dilateReference,
  findPartsReference,
} from './reference/masks.js'

export interface LungsOptions {
  /** 'auto' (the default), 'reference' or 'cpu'. */
  device?: Device | undefined
}

type Triple = readonly [number, number, number]

/** Voxel indices are int32. */
const MAX_VOXELS = 2 ** 31 - 1
const MAX_SIZE = 2 ** 20

function choose({ device = 'auto' }: LungsOptions): 'reference' | 'cpu' {
  if (device === 'cuda')
    throw invalidParameter('device', "'auto', 'reference' or 'cpu' (there is no CUDA version)", device)
  return chooseDevice(device) === 'reference' ? 'reference' : 'cpu'
}

/** The shape for the kernels; the array must have its length. */
function checkShape(name: string, shape: Triple, length: number): Int32Array {
  for (const axis of [0, 1, 2]) checkInteger(`${name}.shape[${axis}]`, shape[axis], 0, MAX_SIZE)
  const voxels = shape[0] * shape[1] * shape[2]
  if (voxels !== length || voxels > MAX_VOXELS)
    throw invalidParameter(`${name}.shape`, `${length} voxels, up to ${MAX_VOXELS}`, shape)
  return Int32Array.from(shape)
}

function checkFactors(factors: Triple): Int32Array {
  for (const axis of [0, 1, 2]) checkInteger(`factors[${axis}]`, factors[axis], 1, 128)
  return Int32Array.from(factors)
}

/**
 * A volume averaged over blocks of `factors` voxels (1 to 128 per axis), rounded to nearest, half up; the last block of an
 * axis may be cut off.
 *
 * @param volume HU, [z, y, x]
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export function shrinkVolume(
  volume: { data: Int16Array; shape: Triple },
  factors: Triple,
  options: LungsOptions = {},
): { data: Int16Array; shape: [number, number, number] } {
  return checked('volume', volume, () => {
    const data = checkArray('volume.data', volume.data, [Int16Array])
    const shape = checkShape('volume', volume.shape, data.length)
    const checked = checkFactors(factors)
    const small = blocks(shape, checked)
    const output = new Int16Array(small[0] * small[1] * small[2])
    const work = { data, shape, factors: checked, output }
    if (choose(options) === 'reference') shrinkReference(work)
    else runKernelSync('shrink', work)
    return { data: output, shape: small }
  })
}

/** The rows of a ball of `radius` mm: triples of dz, dy and the half width in x, all in voxels and within the grid. */
function ballRows({ shape, spacing }: Grid, radius: number): Int32Array {
  const square = radius * radius
  const out: number[] = []
  const reach = (axis: number): number => Math.min(shape[axis]!, Math.floor(radius / spacing[axis]!) + 1)
  for (let dz = -reach(0); dz <= reach(0); dz++)
    for (let dy = -reach(1); dy <= reach(1); dy++) {
      const rest = (dz * spacing[0]) ** 2 + (dy * spacing[1]) ** 2
      let half = reach(2)
      while (half >= 0 && rest + (half * spacing[2]) ** 2 > square) half--
      if (half >= 0) out.push(dz, dy, half)
    }
  return Int32Array.from(out)
}

function dilate(mask: Grid, radius: number, invert: boolean, options: LungsOptions): Grid {
  return checked('mask', mask, () => {
    const data = checkArray('mask.data', mask.data, [Uint8Array])
    const shape = checkShape('mask', mask.shape, data.length)
    for (const axis of [0, 1, 2]) checkNumber(`mask.spacing[${axis}]`, mask.spacing[axis], 1e-3, 1e9)
    checkNumber('radius', radius, 0, 1e3)
    const output = new Uint8Array(data.length)
    const work = { mask: data, shape, reach: ballRows(mask, radius), invert, output }
    if (choose(options) === 'reference') dilateReference(work)
    else runKernelSync('dilate', work)
    return { ...mask, data: output }
  })
}

/**
 * Dilation by a ball: 1 where a voxel of the mask (those that are 1) lies within `radius` mm.
 *
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export function dilateMask(mask: Grid, radius: number, options: LungsOptions = {}): Grid {
  return dilate(mask, radius, false, options)
}

/**
 * Voxels further than `radius` mm from everything outside of the mask; beyond the grid is nothing.
 *
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export function erodeMask(mask: Grid, radius: number, options: LungsOptions = {}): Grid {
  return dilate(mask, radius, true, options)
}

export interface PartsOptions extends LungsOptions {
  /** Voxels with smaller values form the parts; default: those that are 1. */
  below?: number | undefined
  /** 4-connected within each slice instead of 6-connected. */
  planar?: boolean | undefined
}

/**
 * The connected parts of a volume, as runs along x.
 *
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export function findParts(
  grid: { data: Uint8Array | Int16Array; shape: Triple },
  options: PartsOptions = {},
): Parts {
  return checked('grid', grid, () => {
    const data = checkArray<Uint8Array | Int16Array>('grid.data', grid.data, [Uint8Array, Int16Array])
    const { below, planar = false } = options
    if (below !== undefined) checkInteger('below', below, -32768, 32767)
    if (typeof planar !== 'boolean') throw invalidParameter('planar', 'boolean', planar)
    const work: PartsWork = { data, shape: checkShape('grid', grid.shape, data.length), below, planar }
    if (choose(options) === 'reference') return findPartsReference(work)
    try {
      return findAddon()!.findParts(work)
    } catch (error) {
      throw nativeError(error)
    }
  })
}

export interface RefineInput {
  /** HU, [z, y, x]. */
  data: Int16Array
  shape: Triple
  /** Voxels per block of the coarse grid and axis, 1 to 128. */
  factors: Triple
  /** Right and left lung on the coarse grid after closing. */
  closed: readonly [Uint8Array | undefined, Uint8Array | undefined]
  /** The same before closing: dark blocks only. */
  air: readonly [Uint8Array | undefined, Uint8Array | undefined]
  /** Voxel indices to leave out. */
  trachea: Int32Array
  /** Voxels below are lung, above are wall, HU. */
  surfaceHu: number
  /** Also tell the two lungs apart. */
  sides: boolean
}

export interface Refined {
  /** [z, y, x], 1 in the lungs. */
  mask: Uint8Array
  /** 1 in the right lung, 2 in the left one. */
  sides?: Uint8Array
  /** Voxels of the right and of the left lung. */
  counts: [number, number]
  /** Extent of the mask, [low, high) per axis; undefined where it is empty. */
  box: { z: [number, number]; y: [number, number]; x: [number, number] } | undefined
}

/**
 * Brings the lungs from the coarse grid to full resolution. Blocks deep inside are taken whole; at the surface each voxel
 * is judged by its HU where the lung is air, and taken with its block where closing filled it (vessels, nodules).
 *
 * @throws NoduleError INVALID_PARAMETER, UNAVAILABLE
 */
export function refineLungs(input: RefineInput, options: LungsOptions = {}): Refined {
  return checked('input', input, () => {
    const data = checkArray('data', input.data, [Int16Array])
    const shape = checkShape('data', input.shape, data.length)
    const factors = checkFactors(input.factors)
    const [cz, cy, cx] = blocks(shape, factors)
    const none = new Uint8Array(0)
    const coarse = (name: 'closed' | 'air', side: 0 | 1): Uint8Array => {
      if ((input.closed[side] === undefined) !== (input[name][side] === undefined))
        throw invalidParameter(`air[${side}]`, 'both or none of closed and air', input.air[side])
      return input[name][side] === undefined
        ? none
        : checkArray(`${name}[${side}]`, input[name][side], [Uint8Array], cz * cy * cx)
    }
    const trachea = checkArray('trachea', input.trachea, [Int32Array])
    checkIntegers('trachea', trachea, 0, data.length - 1)
    const work: RefineWork = {
      data,
      shape,
      factors,
      closed: [coarse('closed', 0), coarse('closed', 1)],
      air: [coarse('air', 0), coarse('air', 1)],
      trachea,
      surfaceHu: checkInteger('surfaceHu', input.surfaceHu, -32768, 32767),
      mask: new Uint8Array(data.length),
      sides: input.sides ? new Uint8Array(data.length) : none,
      counts: new Float64Array(2),
      box: new Int32Array(6),
    }
    if (choose(options) === 'reference') refineReference(work)
    else runKernelSync('refine', work)
    const [z1, z2, y1, y2, x1, x2] = work.box as unknown as [number, number, number, number, number, number]
    return {
      mask: work.mask,
      ...(input.sides ? { sides: work.sides } : {}),
      counts: [work.counts[0]!, work.counts[1]!],
      box: z2 === 0 ? undefined : { z: [z1, z2], y: [y1, y2], x: [x1, x2] },
    }
  })
}
