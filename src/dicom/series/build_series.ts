import { dirname } from 'node:path'
import { dot, negate, subtract } from '../../geometry/vector.js'
import type { Vector3 } from '../../geometry/vector.js'
import type { VolumeGeometry } from '../../geometry/patient.js'
import { sliceNormal } from '../read/header.js'
import type { SliceHeader } from '../read/header.js'
import { separateReconstructions } from './reconstructions.js'
import type { Series, SeriesProblem } from './types.js'
import { COMPRESSED, isUncompressed } from '../read/transfer_syntax.js'
import { agree, count } from '../../words.js'
import { greatest, least } from '../../lists.js'

/** Positions closer than this are the same, mm. */
const SAME_POSITION_MM = 0.01
/** A distance above this many medians is a gap. */
const GAP_RATIO = 1.5

/**
 * Stacks the images of one series: leaves out what does not fit, sorts the rest by position along the slice normal and
 * says what is wrong.
 *
 * @param headers images with one Series Instance UID, at least one, in any order
 */
export function buildSeries(headers: readonly SliceHeader[]): Series {
  const problems: SeriesProblem[] = []
  const alike = keepAlike(headers, problems)
  const unreadable = unreadableReason(alike[0]!)
  if (unreadable !== undefined) problems.unshift({ kind: 'unreadable', message: unreadable })
  const direction = headwards(sliceNormal(alike[0]!))
  const along = (header: SliceHeader): number => dot(header.imagePosition, direction)
  const { kept, left, messages } = separateReconstructions(alike, along)
  if (left.length > 0) {
    const paths = left.map((header) => header.path)
    problems.push({ kind: 'several-reconstructions', message: messages.join('; '), paths })
  }
  const sorted = [...kept].sort(
    (a, b) =>
      along(a) - along(b) ||
      (a.instanceNumber ?? 0) - (b.instanceNumber ?? 0) ||
      order(a.path, b.path) ||
      a.frame - b.frame,
  )
  const slices = dropDuplicates(sorted, along, problems)
  const geometry = geometryOf(slices, direction, problems)
  const first = slices[0]!
  if (first.seriesInstanceUid === '') {
    problems.push({
      kind: 'no-series-uid',
      message: 'the files name no series; taken together by folder and study',
    })
  }
  if (first.placedByLocation === true) {
    problems.push({
      kind: 'no-position',
      message: 'the images give no position; stacked by Slice Location, places in the patient are not known',
    })
  }
  const plane = planeName(direction)
  if (plane !== undefined) problems.push({ kind: 'not-axial', message: `the slices are ${plane}, not axial` })
  const isLocalizer = isScout(first)
  if (isLocalizer) problems.push({ kind: 'localizer', message: 'a scout image, no cross-section' })
  if (slices.length === 1) problems.push({ kind: 'single-slice', message: 'one image only' })
  const thickness = mostFrequent(
    slices.map((slice) => slice.sliceThickness).filter((value) => value !== undefined),
  )
  return {
    // Where some slices name none, the series' is meant.
    patientId: first.patientId || (slices.find(({ patientId }) => patientId !== '')?.patientId ?? ''),
    studyInstanceUid: first.studyInstanceUid,
    seriesInstanceUid: first.seriesInstanceUid,
    modality: first.modality,
    folder: dirname(first.path),
    slices,
    geometry,
    ...(thickness === undefined ? {} : { thickness }),
    // A few slices beside the line are a pity; when most are, nothing lies where the geometry says.
    isVolume:
      slices.length > 1 &&
      !isLocalizer &&
      unreadable === undefined &&
      shiftedSlices(problems) <= slices.length / 2,
    problems,
  }
}

/** Terms of Rescale Type (PS3.3 C.11.1.1.2) for what is no HU: optical and electron density, iodine, effective atomic number. */
const OTHER_UNITS: ReadonlySet<string> = new Set(['OD', 'MGML', 'Z_EFF', 'ED', 'EDW', 'PCT'])

/** Why the pixels of an image cannot be used, as far as its header tells. */
function unreadableReason(header: SliceHeader): string | undefined {
  const { samplesPerPixel, photometric, transferSyntax, rescaleType } = header
  if (photometric === 'PALETTE COLOR') return 'pixels are numbers of colors (PALETTE COLOR), not HU'
  if (rescaleType !== undefined && OTHER_UNITS.has(rescaleType))
    return `values are in ${rescaleType} (Rescale Type), not HU`
  if (samplesPerPixel !== 1)
    return `color images (${photometric}, ${samplesPerPixel} samples a pixel) have no HU`
  if (
    header.volume === undefined &&
    header.pixelData === undefined &&
    !isUncompressed(transferSyntax) &&
    COMPRESSED[transferSyntax] === undefined
  )
    return `no decoder for transfer syntax ${transferSyntax}`
  return undefined
}

function shiftedSlices(problems: readonly SeriesProblem[]): number {
  return problems.find(({ kind }) => kind === 'shifted')?.paths?.length ?? 0
}

/** The largest set of images of one size, pixel spacing and orientation; scouts stay alone, whatever their orientation. */
function keepAlike(headers: readonly SliceHeader[], problems: SeriesProblem[]): SliceHeader[] {
  const groups: SliceHeader[][] = []
  for (const header of headers) {
    const group = groups.find(([first]) => fits(first!, header))
    if (group === undefined) groups.push([header])
    else group.push(header)
  }
  // A few slices are worth more than many scouts of them.
  groups.sort((a, b) => Number(isScout(a[0]!)) - Number(isScout(b[0]!)) || b.length - a.length)
  const [kept, ...others] = groups
  const left = others.flat()
  if (left.length > 0) {
    const sizes = others.map(
      ([first]) =>
        `${first!.columns} x ${first!.rows}, ${first!.pixelSpacing.join(' x ')} mm${isScout(first!) ? ', scout' : ''}`,
    )
    problems.push({
      kind: 'mixed-size',
      message: `${left.length} of ${count(headers.length, 'image')} differ in size, spacing or orientation (${[...new Set(sizes)].slice(0, 3).join('; ')}); left out`,
      paths: left.map((header) => header.path),
    })
  }
  return kept!
}

function isScout({ imageType }: SliceHeader): boolean {
  return imageType.includes('LOCALIZER')
}

function fits(a: SliceHeader, b: SliceHeader): boolean {
  const near = (x: readonly number[], y: readonly number[], tolerance: number): boolean =>
    x.every((value, i) => Math.abs(value - y[i]!) <= tolerance)
  return (
    isScout(a) === isScout(b) &&
    a.rows === b.rows &&
    a.columns === b.columns &&
    a.samplesPerPixel === b.samplesPerPixel &&
    (a.placedByLocation === true) === (b.placedByLocation === true) &&
    near(a.pixelSpacing, b.pixelSpacing, 1e-3 * a.pixelSpacing[0]) &&
    near(a.rowDirection, b.rowDirection, 1e-3) &&
    near(a.columnDirection, b.columnDirection, 1e-3)
  )
}

/** One image per position. `sorted` is ascending along the normal, then by Instance Number. */
function dropDuplicates(
  sorted: readonly SliceHeader[],
  along: (header: SliceHeader) => number,
  problems: SeriesProblem[],
): SliceHeader[] {
  const positions: SliceHeader[][] = []
  for (const header of sorted) {
    const last = positions.at(-1)
    if (last !== undefined && along(header) - along(last[0]!) < SAME_POSITION_MM) last.push(header)
    else positions.push([header])
  }
  const repeated = positions.filter((images) => images.length > 1)
  if (repeated.length === 0) return positions.map(([image]) => image!)
  const phases = repeated.length > positions.length / 2 ? phaseOf(sorted, positions) : undefined
  const kept = positions.map((images) => images.find((image) => phases?.(image) === true) ?? images[0]!)
  const keptSet = new Set(kept)
  const left = sorted.filter((image) => !keptSet.has(image))
  const where = repeated.slice(0, 3).map((images) => along(images[0]!).toFixed(2))
  problems.push({
    kind: phases === undefined ? 'duplicate' : 'four-dimensional',
    message:
      phases === undefined
        ? `${count(left.length, 'image')} ${agree(left.length, 'repeats', 'repeat')} a position (${where.join(', ')}${repeated.length > 3 ? ', ...' : ''} mm); the first by Instance Number is kept`
        : `${count(sorted.length, 'image')} at ${positions.length} positions; the first phase is kept`,
    paths: left.map((image) => image.path),
  })
  return kept
}

/** For a time series: which images belong to the phase that covers the most positions. */
function phaseOf(
  images: readonly SliceHeader[],
  positions: readonly SliceHeader[][],
): ((image: SliceHeader) => boolean) | undefined {
  const keys: ((image: SliceHeader) => unknown)[] = [
    (image) => image.temporalPosition,
    (image) => image.acquisitionNumber,
    (image) => image.acquisitionTime,
  ]
  for (const key of keys) {
    const counts = new Map<unknown, number>()
    for (const image of images) counts.set(key(image), (counts.get(key(image)) ?? 0) + 1)
    const [best] = [...counts].sort((a, b) => b[1] - a[1])
    if (counts.size > 1 && best![0] !== undefined && best![1] >= positions.length / 2) {
      return (image) => key(image) === best![0]
    }
  }
  return undefined
}

function geometryOf(
  slices: readonly SliceHeader[],
  normal: Vector3,
  problems: SeriesProblem[],
): VolumeGeometry {
  const first = slices[0]!
  const last = slices.at(-1)!
  const origin = first.imagePosition
  const heights = slices.map((slice) => dot(subtract(slice.imagePosition, origin), normal))
  // With a tilted gantry the origins move along the table, not along the normal.
  let direction = normal
  let perHeight = 1
  if (slices.length > 1) {
    const way = subtract(last.imagePosition, origin)
    const length = Math.hypot(...way)
    const height = heights.at(-1)!
    const drift = Math.hypot(
      way[0] - normal[0] * height,
      way[1] - normal[1] * height,
      way[2] - normal[2] * height,
    )
    // By mm, not by the angle: half a degree is pixels at the end of a long stack.
    if (drift > least(first.pixelSpacing) / 2) {
      direction = [way[0] / length, way[1] / length, way[2] / length]
      perHeight = length / height
    }
    checkLine(slices, origin, way, heights, problems)
    if (direction !== normal) {
      const degrees = (Math.atan2(drift, height) * 180) / Math.PI
      problems.push({
        kind: 'tilted',
        message: `slices are stacked ${degrees.toFixed(degrees < 1 ? 2 : 1)} degrees off their normal`,
      })
    }
  }
  const slicePositions = heights.map((height) => height * perHeight)
  return {
    origin,
    rowDirection: first.rowDirection,
    columnDirection: first.columnDirection,
    sliceDirection: direction,
    spacing: [sliceSpacing(slices, slicePositions, problems), first.pixelSpacing[0], first.pixelSpacing[1]],
    slicePositions,
  }
}

/** Slices whose normal is farther than this from the body's axis are not axial: cosine of 32 degrees; gantries tilt by 30. */
const AXIAL_COSINE = 0.848

/** What slices that are not axial are called; undefined for axial ones. */
function planeName([x, y, z]: Vector3): string | undefined {
  if (Math.abs(z) >= AXIAL_COSINE) return undefined
  if (Math.abs(y) >= AXIAL_COSINE) return 'coronal'
  return Math.abs(x) >= AXIAL_COSINE ? 'sagittal' : 'oblique'
}

/** Reports slices whose origin is more than a pixel off the line from the first to the last one. */
function checkLine(
  slices: readonly SliceHeader[],
  origin: Vector3,
  way: Vector3,
  heights: readonly number[],
  problems: SeriesProblem[],
): void {
  const tolerance = greatest(slices[0]!.pixelSpacing, 1)
  const off = slices.filter((slice, k) => {
    const part = heights[k]! / heights.at(-1)!
    const at = subtract(slice.imagePosition, origin)
    return Math.hypot(at[0] - way[0] * part, at[1] - way[1] * part, at[2] - way[2] * part) > tolerance
  })
  if (off.length > 0) {
    problems.push({
      kind: 'shifted',
      message: `${count(off.length, 'slice')} ${agree(off.length, 'lies', 'lie')} more than ${tolerance.toFixed(1)} mm beside the line of the others`,
      paths: off.map((slice) => slice.path),
    })
  }
}

/**
 * Mean distance of neighbors without gaps, mm (positions are rounded, so that a median would drift); for a single slice
 * its thickness, else 1. Reports gaps and uneven distances, and how far slices lie from where even ones would.
 */
function sliceSpacing(
  slices: readonly SliceHeader[],
  positions: readonly number[],
  problems: SeriesProblem[],
): number {
  const distances = positions.slice(1).map((position, k) => position - positions[k]!)
  if (distances.length === 0) return slices[0]!.sliceThickness ?? 1
  const usual = median(distances)
  const near = distances.filter((distance) => distance <= GAP_RATIO * usual)
  const isWhole = near.length === distances.length
  const spacing = isWhole ? positions.at(-1)! / distances.length : mean(near)
  const drift = greatest(positions.map((position, k) => Math.abs(position - k * spacing)))
  const gaps: string[] = []
  let missing = 0
  distances.forEach((distance, k) => {
    if (distance <= GAP_RATIO * usual) return
    missing += Math.round(distance / spacing) - 1
    gaps.push(`${distance.toFixed(2)} mm between slices ${k} and ${k + 1}`)
  })
  if (gaps.length > 0) {
    const shown = gaps.slice(0, 3).join('; ') + (gaps.length > 3 ? `; ${gaps.length - 3} more` : '')
    problems.push({
      kind: 'gap',
      message: `about ${count(missing, 'slice')} missing (${shown}; mean ${spacing.toFixed(2)} mm)`,
    })
  } else if (
    drift > 0.5 * spacing ||
    distances.some((distance) => Math.abs(distance - spacing) > 0.05 * spacing)
  ) {
    const range = `${least(distances).toFixed(2)} to ${greatest(distances).toFixed(2)} mm`
    problems.push({
      kind: 'uneven-spacing',
      message: `slice distances differ: ${range}, mean ${spacing.toFixed(2)} mm; positions are up to ${drift.toFixed(1)} mm off even ones`,
    })
  }
  return spacing
}

/** The normal, turned so that positions grow towards the head where the slices are more or less axial. */
function headwards(normal: Vector3): Vector3 {
  const [x, y, z] = normal
  const axial = Math.abs(z) >= Math.max(Math.abs(x), Math.abs(y))
  return axial && z < 0 ? negate(normal) : normal
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function mostFrequent(values: readonly number[]): number | undefined {
  const counts = new Map<number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0]
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
