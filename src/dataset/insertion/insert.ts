import { checkInteger, checkNumber } from '../../check.js'
import { NoduleError } from '../../errors.js'
import type { EdgeBox } from '../../geometry/box.js'
import { pixelBox, pixelHull } from '../../geometry/hull.js'
import type { Hull } from '../../geometry/hull.js'
import type { Random } from '../../random.js'
import type { HuVolume, Lungs } from '../../volume/index.js'
import type { NoduleStack } from '../stacks/read_stack.js'
import { cutDonor } from './donor.js'
import type { Donor } from './donor.js'
import { measureTissue, noisePlane } from './noise.js'
import type { Tissue } from './noise.js'
import type { Patch } from './patch.js'
import { findPlace, forPatch } from './find_place.js'
import type { Occupied, Place } from './find_place.js'

export interface InsertionOptions {
  /** Nodules to put in. */
  count: number
  /** What the host holds already: insertions keep away from it. */
  occupied?: readonly Occupied[]
  /** Readers that a donor must have; default 3. */
  minReaders?: number
  /** Part of the nodules within the lung that are put beside a vessel; default 0.4. */
  vesselShare?: number
  /** Places tried for each nodule; default 300. */
  tries?: number
}

/** A nodule that was put into a volume. */
export interface InsertedNodule {
  donorPatientId: string
  donorNodule: string
  readers: number
  /** Of the donor, mm. */
  axialDiameterMm: number
  /** Voxel indices [k, j, i] of its middle. */
  center: readonly [number, number, number]
  at: Place['at']
  /** Voxels of the consensus. */
  voxels: number
  /** The consensus on each slice, pixels at the edges, and the hull of its pixels' centers. */
  boxes: { k: number; box: EdgeBox; hull: Hull }[]
}

export interface Insertion {
  volume: HuVolume
  placed: InsertedNodule[]
  /** Donors that could not be used and nodules for which no place was found. */
  warnings: string[]
}

/** The most by which a donor's lung tissue is brought to the host's level, HU. */
const MAX_SHIFT = 150
/** Resampling takes some of a donor's noise away. */
const NOISE_LEFT = 0.75
const MAX_NOISE = 80
/** Donors that are noisier than their host by more than this would be known by their speckles, HU. */
const MAX_EXCESS = 30
/** The noise of a host is measured at about so many voxels. */
const SAMPLES = 20000

/**
 * Puts real nodules into the lungs of a scan: HU and consensus of stacks, in true size, mirrored and turned in the slice,
 * blended over about a pixel, with noise added where the host is noisier; away from what the host holds and from each
 * other. Stacks are taken in their order until `count` are in. The host stays as it is.
 * Throws NoduleError (INVALID_PARAMETER).
 */
export function insertNodules(
  host: HuVolume,
  lungs: Pick<Lungs, 'mask' | 'box'>,
  stacks: readonly NoduleStack[],
  options: InsertionOptions,
  random: Random,
): Insertion {
  const count = checkInteger('count', options.count, 0, 1000)
  const minReaders = checkInteger('minReaders', options.minReaders ?? 3, 1, 100)
  const share = checkNumber('vesselShare', options.vesselShare ?? 0.4, 0, 1)
  const tries = checkInteger('tries', options.tries ?? 300, 1, 1e6)
  const hostNoise = lungTissue(host, lungs.mask)?.noise ?? Infinity
  const volume: HuVolume = { ...host, data: host.data.slice() }
  const occupied: Occupied[] = [...(options.occupied ?? [])]
  const placed: InsertedNodule[] = []
  const warnings: string[] = []
  for (const stack of stacks) {
    if (placed.length === count) break
    const { patientId, nodule } = stack.entry
    const own = random.fork(`${patientId} ${nodule} ${placed.length}`)
    let donor: Donor
    try {
      donor = cutDonor(stack, minReaders)
    } catch (error) {
      if (!(error instanceof NoduleError)) throw error
      warnings.push(error.message)
      continue
    }
    const noise = donor.tissue?.noise ?? 0
    if (noise > hostNoise + MAX_EXCESS) {
      warnings.push(
        `${patientId} ${nodule}: ${noise.toFixed(0)} HU of noise, too much beside ${hostNoise.toFixed(0)} HU`,
      )
      continue
    }
    const place = findPlace({ volume: host, lungs, occupied }, donor, own.uniform() < share, tries, own)
    if (place === undefined) {
      warnings.push(
        `${patientId} ${nodule}: no place for ${donor.axialDiameterMm.toFixed(1)} mm in ${tries} tries`,
      )
      continue
    }
    blend(volume, donor, place, own)
    occupied.push({ center: place.center, diameterMm: donor.axialDiameterMm })
    placed.push({
      donorPatientId: donor.patientId,
      donorNodule: donor.nodule,
      readers: donor.readers,
      axialDiameterMm: donor.axialDiameterMm,
      center: place.center,
      at: place.at,
      ...maskOf(volume, place),
    })
  }
  if (placed.length < count) warnings.push(`${placed.length} of ${count} nodules were put in`)
  return { volume, placed, warnings }
}

/** Level and noise of a whole scan's lungs. */
function lungTissue({ data }: HuVolume, mask: Uint8Array): Tissue | undefined {
  let inside = 0
  for (const voxel of mask) inside += voxel
  const step = Math.max(1, Math.floor(inside / SAMPLES))
  const voxels: number[] = []
  let n = 0
  for (let at = 1; at < data.length - 1; at++) if (mask[at] === 1 && n++ % step === 0) voxels.push(at)
  return measureTissue(data, voxels)
}

function blend(volume: HuVolume, donor: Donor, { center, patch }: Place, random: Random): void {
  const { data } = volume
  const around: number[] = []
  forPatch(volume, center, patch, (_, at) => {
    if (at !== undefined && at > 0 && at < data.length - 1) around.push(at)
  })
  const host = measureTissue(data, around)
  const both = host !== undefined && donor.tissue !== undefined ? { host, donor: donor.tissue } : undefined
  const shift = both ? Math.max(-MAX_SHIFT, Math.min(MAX_SHIFT, both.host.level - both.donor.level)) : 0
  const lacking = both ? both.host.noise ** 2 - (NOISE_LEFT * both.donor.noise) ** 2 : 0
  const noise = addedNoise(patch, Math.min(MAX_NOISE, Math.sqrt(Math.max(0, lacking))), random)
  forPatch(volume, center, patch, (n, at) => {
    const alpha = patch.alpha[n]!
    if (at === undefined || alpha === 0) return
    const hu = patch.hu[n]!
    // Lung tissue is shifted whole, soft tissue not at all.
    const tissue = Math.max(0, Math.min(1, (-400 - hu) / 400))
    data[at] = Math.round(data[at]! * (1 - alpha) + alpha * (hu + shift * tissue + noise[n]!))
  })
}

function addedNoise({ shape }: Patch, deviation: number, random: Random): Float32Array {
  const [slices, rows, columns] = shape
  const noise = new Float32Array(slices * rows * columns)
  if (deviation === 0) return noise
  for (let k = 0; k < slices; k++)
    noise.set(
      noisePlane(columns, rows, random).map((value) => value * deviation),
      k * rows * columns,
    )
  return noise
}

function maskOf(volume: HuVolume, { center, patch }: Place): Pick<InsertedNodule, 'voxels' | 'boxes'> {
  const pixels = new Map<number, [number, number][]>()
  let voxels = 0
  forPatch(volume, center, patch, (n, at, [k, j, i]) => {
    if (at === undefined || patch.mask[n] !== 1) return
    voxels++
    const own = pixels.get(k)
    if (own === undefined) pixels.set(k, [[i, j]])
    else own.push([i, j])
  })
  const boxes = [...pixels].map(([k, own]) => {
    const hull = pixelHull(own)
    return { k, box: pixelBox(hull), hull }
  })
  return { voxels, boxes }
}
