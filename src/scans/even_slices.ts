import type { HuVolume } from '../volume/hu_volume.js'
import { greatest } from '../lists.js'

/** Slices that lie farther from an even place than this part of the slice distance are moved there. */
const TOLERANCE = 0.5
/** A stack with gaps of more than this has no slices to make others of. */
const MAX_GROWTH = 4

/**
 * A volume whose slices lie where a file with one slice distance says they lie. Where some would be off by more than half
 * a distance, the stack is resampled at even positions, linearly between neighbors; else it is returned as it is.
 *
 * @returns the volume, and a line that says what was done (undefined: nothing)
 */
export function evenSlices(volume: HuVolume): { volume: HuVolume; note: string | undefined } {
  const { data, shape, geometry } = volume
  const [depth, rows, columns] = shape
  const { slicePositions: positions, spacing } = geometry
  const [distance] = spacing
  const off = greatest(
    positions.map((position, k) => Math.abs(position - k * distance)),
    0,
  )
  if (off <= TOLERANCE * distance) return { volume, note: undefined }
  const count = Math.round(positions[depth - 1]! / distance) + 1
  if (count > MAX_GROWTH * depth)
    return {
      volume,
      note: `slices lie up to ${off.toFixed(1)} mm from where the file says: too far apart to resample`,
    }
  const plane = rows * columns
  const out = new Int16Array(count * plane)
  let below = 0
  for (let k = 0; k < count; k++) {
    const position = k * distance
    while (below < depth - 2 && positions[below + 1]! <= position) below++
    const gap = positions[below + 1]! - positions[below]!
    const part = Math.min(1, Math.max(0, (position - positions[below]!) / gap))
    const [low, high] = [below * plane, (below + 1) * plane]
    for (let i = 0; i < plane; i++)
      out[k * plane + i] = Math.round(data[low + i]! * (1 - part) + data[high + i]! * part)
  }
  return {
    volume: {
      ...volume,
      data: out,
      shape: [count, rows, columns],
      geometry: { ...geometry, slicePositions: Array.from({ length: count }, (_, k) => k * distance) },
    },
    note: `${depth} slices, up to ${off.toFixed(1)} mm from even places, were resampled to ${count} at ${Number(distance.toFixed(3))} mm`,
  }
}

/**
 * The same for a mask of such a volume: each even place takes the nearest slice, so that the mask lies on the voxels that
 * `evenSlices` makes of the volume.
 */
export function evenMask(
  mask: Uint8Array,
  { shape, geometry }: Pick<HuVolume, 'shape' | 'geometry'>,
): { mask: Uint8Array; shape: HuVolume['shape']; geometry: HuVolume['geometry']; note: string | undefined } {
  const [depth, rows, columns] = shape
  const { slicePositions: positions, spacing } = geometry
  const [distance] = spacing
  const off = greatest(
    positions.map((position, k) => Math.abs(position - k * distance)),
    0,
  )
  const count = Math.round(positions[depth - 1]! / distance) + 1
  if (off <= TOLERANCE * distance || count > MAX_GROWTH * depth)
    return { mask, shape, geometry, note: undefined }
  const plane = rows * columns
  const out = new Uint8Array(count * plane)
  let nearest = 0
  for (let k = 0; k < count; k++) {
    const away = (at: number): number => Math.abs(positions[at]! - k * distance)
    while (nearest < depth - 1 && away(nearest + 1) < away(nearest)) nearest++
    out.set(mask.subarray(nearest * plane, (nearest + 1) * plane), k * plane)
  }
  return {
    mask: out,
    shape: [count, rows, columns],
    geometry: { ...geometry, slicePositions: Array.from({ length: count }, (_, k) => k * distance) },
    note: `the mask of ${depth} slices, up to ${off.toFixed(1)} mm from even places, is written on ${count} at ${Number(distance.toFixed(3))} mm, as convert writes them`,
  }
}
