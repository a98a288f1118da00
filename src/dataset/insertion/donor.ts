import { NoduleError } from '../../errors.js'
import { ownNodule } from '../stacks/own_nodule.js'
import { STACK_SIDE } from '../stacks/read_stack.js'
import type { NoduleStack } from '../stacks/read_stack.js'
import { measureTissue } from './noise.js'
import type { Tissue } from './noise.js'
import { greatest, least } from '../../lists.js'

/** A real nodule, cut out to be put into another scan. */
export interface Donor {
  patientId: string
  nodule: string
  readers: number
  axialDiameterMm: number
  /** Slices, rows, columns of the block around it. */
  shape: readonly [number, number, number]
  /** mm, [z, y, x]. */
  spacing: readonly [number, number, number]
  /** Each [z, y, x]: HU, the readers' consensus (0 or 1), and how much of each voxel is taken (0 to 1). */
  hu: Float32Array
  mask: Float32Array
  alpha: Float32Array
  /** Middle of the consensus, voxel indices of the block. */
  center: readonly [number, number, number]
  /** The lung tissue around it; undefined where there is none. */
  tissue: Tissue | undefined
  /** Where soft tissue touches it: unit vector in the slice, x and y; undefined for nodules within the lung. */
  wall: readonly [number, number] | undefined
}

/** Pixels around the consensus that a block keeps. */
const MARGIN = 4
/** Soft tissue, HU. */
const SOFT_HU = -300
/** Part of a nodule's surroundings that is soft tissue: from here on it sits at a wall, up to here it can be cut out. */
const WALL_PART = [0.15, 0.6] as const

/**
 * Cuts a nodule out of its stack. Throws NoduleError (UNSUPPORTED) where it is no use as a donor: one slice, gaps between
 * slices, fewer than `minReaders`, at the stack's edge, enclosed by soft tissue.
 */
export function cutDonor(stack: NoduleStack, minReaders: number): Donor {
  const { entry, volume, readers: counts } = stack
  const unfit = (expected: string, actual: string): NoduleError =>
    new NoduleError('UNSUPPORTED', 'a nodule that cannot be put elsewhere', {
      place: `${entry.patientId} ${entry.nodule}`,
      expected,
      actual,
    })
  const slices = volume.shape[0]
  if (slices < 2) throw unfit('2 slices or more', String(slices))
  if (entry.slices.some(({ steps }, k) => steps !== entry.slices[0]!.steps + k))
    throw unfit('slices without a gap', 'a gap')
  const own = ownNodule(stack)
  if (own.readers < minReaders) throw unfit(`${minReaders} readers or more`, String(own.readers))
  const boxes = own.boxes.filter((item) => item.agreed).map((item) => item.box)
  const low = { x: least(boxes.map((b) => b.x1)), y: least(boxes.map((b) => b.y1)) }
  const high = { x: greatest(boxes.map((b) => b.x2)), y: greatest(boxes.map((b) => b.y2)) }
  const [x0, y0] = [low.x - MARGIN, low.y - MARGIN]
  const [width, height] = [high.x + MARGIN - x0, high.y + MARGIN - y0]
  if (x0 < 0 || y0 < 0 || x0 + width > STACK_SIDE || y0 + height > STACK_SIDE)
    throw unfit(`${MARGIN} pixels around the nodule`, 'a nodule at the edge')

  const shape = [slices, height, width] as const
  const hu = new Float32Array(slices * height * width)
  const mask = new Float32Array(hu.length)
  for (let k = 0, at = 0; k < slices; k++) {
    for (let y = y0; y < y0 + height; y++) {
      for (let x = x0; x < x0 + width; x++, at++) {
        const from = (k * STACK_SIDE + y) * STACK_SIDE + x
        hu[at] = volume.data[from]!
        mask[at] = counts[from]! >= own.agreement ? 1 : 0
      }
    }
  }
  const { alpha, soft, shell, wall } = surroundings(hu, mask, shape)
  const part = shell === 0 ? 0 : soft / shell
  if (part > WALL_PART[1]) throw unfit('a nodule in the lung', 'one enclosed by soft tissue')
  const agreed = own.boxes.filter((item) => item.agreed).map((item) => item.k)
  return {
    patientId: entry.patientId,
    nodule: entry.nodule,
    readers: own.readers,
    axialDiameterMm: own.axialDiameterMm,
    shape,
    spacing: [entry.sliceSpacing, entry.pixelSpacing, entry.pixelSpacing],
    hu,
    mask,
    alpha,
    center: [(agreed[0]! + agreed.at(-1)!) / 2, (height - 1) / 2, (width - 1) / 2],
    tissue: measureTissue(volume.data, tissueVoxels(stack)),
    wall: part >= WALL_PART[0] ? wall : undefined,
  }
}

/**
 * How much of each voxel is taken: all within one pixel around the consensus (readers draw on the first pixel outside, and
 * edges are blurred), nothing from two pixels on. And what lies in a shell of two to three and a half pixels: how many
 * voxels, how many of soft tissue, and on which side these are.
 */
function surroundings(
  hu: Float32Array,
  mask: Float32Array,
  [slices, height, width]: readonly [number, number, number],
): { alpha: Float32Array; soft: number; shell: number; wall: [number, number] } {
  const alpha = new Float32Array(mask.length)
  let [soft, shell, sumX, sumY] = [0, 0, 0, 0]
  for (let k = 0; k < slices; k++) {
    const plane = mask.subarray(k * height * width, (k + 1) * height * width)
    if (!plane.includes(1)) continue
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = y * width + x
        const distance = plane[at] === 1 ? 0 : nearest(plane, x, y, width, height)
        alpha[k * height * width + at] = Math.max(0, Math.min(1, 2 - distance))
        if (distance < 2 || distance > 3.5) continue
        shell++
        if (hu[k * height * width + at]! < SOFT_HU) continue
        soft++
        sumX += x - (width - 1) / 2
        sumY += y - (height - 1) / 2
      }
    }
  }
  const length = Math.hypot(sumX, sumY)
  return { alpha, soft, shell, wall: length > 0 ? [sumX / length, sumY / length] : [1, 0] }
}

/** Distance to the nearest voxel of the mask, pixels; Infinity beyond the margin. */
function nearest(plane: Float32Array, x: number, y: number, width: number, height: number): number {
  let best = Infinity
  for (let b = Math.max(0, y - MARGIN); b <= Math.min(height - 1, y + MARGIN); b++)
    for (let a = Math.max(0, x - MARGIN); a <= Math.min(width - 1, x + MARGIN); a++)
      if (plane[b * width + a] === 1) best = Math.min(best, Math.hypot(a - x, b - y))
  return best
}

/** Voxels of the stack that no reader outlined and that have neighbors in their row. */
function tissueVoxels({ readers }: NoduleStack): number[] {
  const voxels: number[] = []
  for (let at = 1; at < readers.length - 1; at++) {
    const x = at % STACK_SIDE
    if (x > 0 && x < STACK_SIDE - 1 && readers[at] === 0) voxels.push(at)
  }
  return voxels
}
