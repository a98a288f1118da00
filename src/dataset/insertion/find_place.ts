import type { Random } from '../../random.js'
import type { HuVolume, Lungs } from '../../volume/index.js'
import type { Donor } from './donor.js'
import { turnDirection, turnDonor } from './patch.js'
import type { Patch, Turn } from './patch.js'

/** A ball that insertions keep away from. */
export interface Occupied {
  /** Voxel indices [k, j, i], which may be fractional. */
  center: readonly [number, number, number]
  diameterMm: number
}

export interface Host {
  volume: HuVolume
  lungs: Pick<Lungs, 'mask' | 'box'>
  occupied: readonly Occupied[]
}

export interface Place {
  center: readonly [number, number, number]
  patch: Patch
  at: 'parenchyma' | 'vessel' | 'wall'
}

/** Space between the surfaces of two nodules beyond the radius of each, mm. */
const APART_MM = 5
/** Brighter than this is a vessel or a wall, HU. */
const SOFT_HU = -400
/** Part of a nodule's place that vessels may fill. */
const MOST_SOFT = 0.1
/** Part of the surroundings that vessels fill beside a vessel. */
const VESSEL_PART = [0.03, 0.3] as const
/** Part of a nodule at the wall that must lie in the lung. */
const LEAST_IN_LUNG = 0.75
/** Pixels by which a nodule at the wall reaches into it, so that no gap is left. */
const OVERLAP_PX = 0.5
/** How far around a place of the lung's border its direction is measured, mm. */
const NORMAL_MM = 5

/**
 * Looks for a place: for a nodule of the lung, one where it lies in lung tissue, beside a vessel where `vessel` asks for
 * it and there is one; for a nodule that sits at a wall, one at the lung's border, turned so that its soft side lies there.
 * @returns undefined where no place is found in so many tries
 */
export function findPlace(
  host: Host,
  donor: Donor,
  vessel: boolean,
  tries: number,
  random: Random,
): Place | undefined {
  const flip = (): boolean => random.uniform() < 0.5
  const turn: Turn = {
    angle: random.uniform() * 2 * Math.PI,
    mirrorX: flip(),
    mirrorY: flip(),
    mirrorZ: flip(),
  }
  return donor.wall === undefined
    ? inTissue(host, donor, turn, vessel, tries, random)
    : atWall(host, donor, donor.wall, turn, tries, random)
}

function inTissue(
  host: Host,
  donor: Donor,
  turn: Turn,
  vessel: boolean,
  tries: number,
  random: Random,
): Place | undefined {
  const patch = turnDonor(donor, host.volume.geometry.spacing, turn)
  let plain: Place | undefined
  for (let n = 0; n < tries; n++) {
    const center = randomLungVoxel(host, random)
    if (center === undefined || !isFree(host, center, donor.axialDiameterMm)) continue
    const found = look(host, center, patch)
    if (found === undefined || found.inLung < found.taken || found.soft > MOST_SOFT * found.taken) continue
    plain ??= { center, patch, at: 'parenchyma' }
    if (!vessel) break
    const part = found.around === 0 ? 0 : found.softAround / found.around
    if (part >= VESSEL_PART[0] && part <= VESSEL_PART[1]) return { center, patch, at: 'vessel' }
  }
  return plain
}

function atWall(
  host: Host,
  donor: Donor,
  wall: readonly [number, number],
  mirrors: Turn,
  tries: number,
  random: Random,
): Place | undefined {
  const [, sy, sx] = host.volume.geometry.spacing
  const reach = reachTowards(donor, wall)
  for (let n = 0; n < tries; n++) {
    const start = randomLungVoxel(host, random)
    const border = start && borderFrom(host, start, random.uniform() * 2 * Math.PI)
    const outward = border && outwardAt(host, border)
    if (border === undefined || outward === undefined) continue
    const inward = reach - OVERLAP_PX * sx
    const center = [
      border[0],
      Math.round(border[1] - (outward[1] * inward) / sy),
      Math.round(border[2] - (outward[0] * inward) / sx),
    ] as const
    if (!isFree(host, center, donor.axialDiameterMm)) continue
    // Tissue must follow behind the nodule, not air of another lung or of the bowel.
    const behind = voxelAt(host, [
      border[0],
      Math.round(border[1] + (outward[1] * NORMAL_MM) / 2 / sy),
      Math.round(border[2] + (outward[0] * NORMAL_MM) / 2 / sx),
    ])
    if (behind === undefined || behind < SOFT_HU) continue
    const own = turnDirection(wall, { ...mirrors, angle: 0 })
    const angle = Math.atan2(outward[1], outward[0]) - Math.atan2(own[1], own[0])
    const patch = turnDonor(donor, host.volume.geometry.spacing, { ...mirrors, angle })
    const found = look(host, center, patch)
    if (found === undefined || found.hollow > 0 || found.soft > MOST_SOFT * found.taken) continue
    if (found.maskInLung < LEAST_IN_LUNG * found.mask) continue
    return { center, patch, at: 'wall' }
  }
  return undefined
}

/** Distance of the consensus' furthest voxel from the donor's middle in a direction of the slice, mm. */
function reachTowards({ mask, shape, spacing, center }: Donor, [x, y]: readonly [number, number]): number {
  const [, height, width] = shape
  let reach = 0
  for (const [at, inside] of mask.entries()) {
    if (inside !== 1) continue
    const dx = ((at % width) - center[2]) * spacing[2]
    const dy = ((Math.floor(at / width) % height) - center[1]) * spacing[1]
    reach = Math.max(reach, dx * x + dy * y + spacing[2] / 2)
  }
  return reach
}

type Voxel = readonly [number, number, number]

function indexOf({ volume }: Host, [k, j, i]: Voxel): number | undefined {
  const [slices, rows, columns] = volume.shape
  if (k < 0 || j < 0 || i < 0 || k >= slices || j >= rows || i >= columns) return undefined
  return (k * rows + j) * columns + i
}

function voxelAt(host: Host, voxel: Voxel): number | undefined {
  const at = indexOf(host, voxel)
  return at === undefined ? undefined : host.volume.data[at]
}

function isLung(host: Host, voxel: Voxel): boolean {
  const at = indexOf(host, voxel)
  return at !== undefined && host.lungs.mask[at] === 1
}

const MAX_DRAWS = 50

function randomLungVoxel(host: Host, random: Random): Voxel | undefined {
  const { z, y, x } = host.lungs.box
  for (let n = 0; n < MAX_DRAWS; n++) {
    const voxel = [z, y, x].map(([low, high]) => low + random.integer(Math.max(1, high - low)))
    if (isLung(host, voxel as unknown as Voxel)) return voxel as unknown as Voxel
  }
  return undefined
}

/** The last voxel of the lung on the way from a voxel in a direction of its slice. */
function borderFrom(host: Host, [k, j, i]: Voxel, angle: number): Voxel | undefined {
  const [dx, dy] = [Math.cos(angle), Math.sin(angle)]
  const at = (n: number): Voxel => [k, Math.round(j + n * dy), Math.round(i + n * dx)]
  let n = 0
  while (isLung(host, at(n + 1))) n++
  return indexOf(host, at(n + 1)) === undefined ? undefined : at(n)
}

/** Unit vector (x, y) out of the lung at its border, from the lung's voxels in a disk. */
function outwardAt(host: Host, [k, j, i]: Voxel): [number, number] | undefined {
  const [, sy, sx] = host.volume.geometry.spacing
  const [h, w] = [Math.ceil(NORMAL_MM / sy), Math.ceil(NORMAL_MM / sx)]
  let [x, y] = [0, 0]
  for (let b = -h; b <= h; b++) {
    for (let a = -w; a <= w; a++) {
      if (Math.hypot(a * sx, b * sy) > NORMAL_MM || !isLung(host, [k, j + b, i + a])) continue
      x -= a * sx
      y -= b * sy
    }
  }
  const length = Math.hypot(x, y)
  return length > 1e-6 ? [x / length, y / length] : undefined
}

/** Whether a ball keeps its distance from all others: at least both diameters and some millimeters. */
function isFree({ volume, occupied }: Host, center: Voxel, diameterMm: number): boolean {
  const { spacing } = volume.geometry
  return occupied.every((other) => {
    const apart = Math.hypot(...center.map((value, axis) => (value - other.center[axis]!) * spacing[axis]!))
    return apart >= diameterMm + other.diameterMm + APART_MM
  })
}

/** What lies where a patch would be put; undefined where it passes the volume's edge. */
function look(
  host: Host,
  center: Voxel,
  patch: Patch,
):
  | {
      /** Voxels that are changed, those of them in the lung, and of these the bright ones. */
      taken: number
      inLung: number
      soft: number
      /** Changed voxels outside of the lung that are dark: another organ's air. */
      hollow: number
      /** Voxels of the consensus, and those of them in the lung. */
      mask: number
      maskInLung: number
      /** Voxels of the block that stay, in the lung, and the bright ones of them. */
      around: number
      softAround: number
    }
  | undefined {
  const { data } = host.volume
  const found = {
    ...{ taken: 0, inLung: 0, soft: 0, hollow: 0 },
    ...{ mask: 0, maskInLung: 0, around: 0, softAround: 0 },
  }
  let outside = false
  forPatch(host.volume, center, patch, (n, at) => {
    const alpha = patch.alpha[n]!
    if (at === undefined) {
      outside ||= alpha > 0
      return
    }
    const lung = host.lungs.mask[at] === 1
    const soft = data[at]! > SOFT_HU
    if (alpha > 0) {
      found.taken++
      if (lung) {
        found.inLung++
        if (soft) found.soft++
      } else if (!soft) found.hollow++
      if (patch.mask[n] === 1) {
        found.mask++
        if (lung) found.maskInLung++
      }
    } else if (lung) {
      found.around++
      if (soft) found.softAround++
    }
  })
  return outside || found.mask === 0 ? undefined : found
}

/** Calls `visit` for each voxel of a patch with its index there and in the volume (undefined outside of it). */
export function forPatch(
  volume: HuVolume,
  [ck, cj, ci]: Voxel,
  { shape }: Patch,
  visit: (n: number, at: number | undefined, voxel: Voxel) => void,
): void {
  const [slices, rows, columns] = volume.shape
  const [hk, hj, hi] = shape.map((size) => (size - 1) / 2) as [number, number, number]
  let n = 0
  for (let k = ck - hk; k <= ck + hk; k++) {
    for (let j = cj - hj; j <= cj + hj; j++) {
      for (let i = ci - hi; i <= ci + hi; i++, n++) {
        const inside = k >= 0 && j >= 0 && i >= 0 && k < slices && j < rows && i < columns
        visit(n, inside ? (k * rows + j) * columns + i : undefined, [k, j, i])
      }
    }
  }
}
