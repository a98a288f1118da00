import { checkNumber, checkObject, invalidParameter } from '../check.js'
import { boxArea, iou } from '../geometry/box.js'
import type { EdgeBox, ScoredBox } from '../geometry/box.js'
import { positionToSlice, sliceToPosition, voxelToPatient } from '../geometry/patient.js'
import type { Vector3 } from '../geometry/vector.js'
import type { VolumeGeometry } from '../geometry/patient.js'
import { CONFIDENCE, confidenceOf } from './confidence.js'
import type { ConfidenceWeights } from './confidence.js'
import { greatest, least } from '../lists.js'

/** The boxes found on one slice. */
export interface SliceBoxes {
  /** Slice index in the volume. */
  k: number
  sopInstanceUid?: string
  /** Image pixels at the edges. */
  boxes: readonly ScoredBox[]
}

export interface LinkOptions {
  /**
   * Slices further apart than this (mm along the slice direction) are not linked, unless they are neighbors: at least
   * 1.5 spacings are always bridged, and up to 10 mm from one examined slice to the next.
   */
  maxGapMm?: number
  /** Boxes link from this IoU on ... */
  minIou?: number
  /** ... or when their centers are nearer than this share of the smaller box's mean side. */
  maxCenterShare?: number
  /** Nodules below this confidence are left out. */
  minConfidence?: number
  /** The diameter is the longest side of a box times this: nodules lie askew, and predicted boxes are a little small. */
  diameterScale?: number
  /** Nodules more elongated than this (see `Nodule3d.elongation`) look like vessels and are scored down ... */
  elongated?: number
  /** ... by these weights, which make the confidence. */
  weights?: Readonly<ConfidenceWeights>
}

/**
 * diameterScale from the boxes that the shipped model predicts of the validation patients' nodules, in stacks and put into
 * whole scans (188 boxes, mean error 1.1 mm; readers' own boxes would want 1.06 and then miss the greatest axial diameter
 * by 0.45 mm on average). elongated: 99 % of 653 nodules of the training patients are less elongated than 1.31.
 */
export const LINK_DEFAULTS: Required<LinkOptions> = {
  maxGapMm: 5,
  minIou: 0.2,
  maxCenterShare: 0.5,
  minConfidence: 0,
  diameterScale: 1.14,
  elongated: 1.5,
  weights: CONFIDENCE,
}

/** Across a wider hole in a series nobody can tell what belongs together, mm. */
const NEIGHBOR_MM = 10

/** A nodule in the patient, made of one box on each of its slices. */
export interface Nodule3d {
  /** 1, 2, ... in the order of falling confidence. */
  id: number
  /** Patient mm (x, y, z; LPS): mean of the box centers, weighted by score times area. */
  center: Vector3
  /** The same place as fractional voxel indices (k, j, i). */
  centerVoxel: Vector3
  /**
   * mm: the longest side of a slice box, times `diameterScale`, over the strong slices: those that score at least half of
   * the best (the rim slices of a sphere are smaller, and weak boxes are the badly placed ones).
   */
  boxDiameterMm: number
  /** mm along the slice direction from the first to the last slice, and half of the way on to the next ones. */
  extentMm: number
  /** mm in the slices' plane from the center of the first strong box to that of the last one. */
  driftMm: number
  /**
   * The way from the first to the last strong slice, along and across the slices, by the diameter: 0.5 to 1 for a
   * ball, far more for a vessel.
   */
  elongation: number
  /** The score of the best slice, and the mean of the two best (of the one, where there is one). */
  maxScore: number
  top2Score: number
  /** Slices with a box. */
  sliceCount: number
  /**
   * Examined slices, 1 to 3, on which a ball of this diameter here must be seen well: fewer where slices are thick and
   * at the end of a crop, where there are none.
   */
  expectedSlices: number
  /** Mean score of as many slices, the best ones; missing slices count 0: a large box on one slice is no ball. */
  support: number
  /** In (0, 1): see `ConfidenceWeights`. */
  confidence: number
  /** Set by a second stage, with what each of the two says. */
  firstConfidence?: number
  secondConfidence?: number
  /** Ascending in k; `index` is the box's place in the list of its slice. */
  slices: { k: number; sopInstanceUid?: string; index: number; box: EdgeBox; score: number }[]
  /** The box around all slice boxes: image pixels at the edges. */
  box: EdgeBox
}

interface Member {
  k: number
  sopInstanceUid: string | undefined
  position: number
  index: number
  box: ScoredBox
}

/** Throws NoduleError (INVALID_PARAMETER) for a value out of range. */
export function checkLinkOptions(o: Required<LinkOptions>): void {
  checkNumber('maxGapMm', o.maxGapMm, 0, 1000)
  checkNumber('minIou', o.minIou, 0, 1)
  checkNumber('maxCenterShare', o.maxCenterShare, 0, 10)
  checkNumber('minConfidence', o.minConfidence, 0, 1)
  checkNumber('diameterScale', o.diameterScale, 0.1, 10)
  checkNumber('elongated', o.elongated, 0, 1000)
  checkObject('weights', o.weights)
  for (const name of Object.keys(CONFIDENCE) as (keyof ConfidenceWeights)[])
    checkNumber(`weights.${name}`, o.weights[name], -1000, 1000)
}

/**
 * Links the boxes of neighboring slices to nodules. Going up the slices, each box joins the open nodule whose last
 * box it fits best (highest IoU, then nearest center; each nodule takes one box a slice), or opens a new one. Distance
 * between slices is measured in mm, so that gaps in the series and thin slices are treated alike.
 *
 * @param slices every slice that was examined, those without boxes too, in any order, every k at most once
 * @param stepMm usual distance of the slices that were examined; default: of all slices
 * @returns sorted by falling confidence
 */
export function linkBoxes(
  slices: readonly SliceBoxes[],
  geometry: VolumeGeometry,
  options: LinkOptions = {},
  stepMm = geometry.spacing[0],
): Nodule3d[] {
  const o = { ...LINK_DEFAULTS, ...options }
  checkLinkOptions(o)
  checkNumber('stepMm', stepMm, 0, 1e6)
  const sliceMm = Math.max(stepMm, geometry.spacing[0])
  const maxGap = Math.max(o.maxGapMm, 1.5 * sliceMm)
  // Where distances change, neighbors may be further apart than usual.
  const reach = Math.max(maxGap, NEIGHBOR_MM)

  const tracks: Member[][] = []
  let open: Member[][] = []
  let previous = -1
  const examined: number[] = []
  for (const slice of [...slices].sort((a, b) => a.k - b.k)) {
    if (slice.k === previous)
      throw invalidParameter('slices', 'each slice at most once', `k = ${slice.k} twice`)
    previous = slice.k
    const position = sliceToPosition(geometry, slice.k)
    const before = examined.at(-1)
    examined.push(position)
    open = open.filter((track) => {
      const last = track.at(-1)!.position
      return position - last <= (last === before ? reach : maxGap) + 1e-6
    })
    const members = sortedMembers(slice, position)
    const taken = assign(open, members, o)
    members.forEach((member, index) => {
      const track = taken[index]
      if (track !== undefined) track.push(member)
      else {
        const started = [member]
        tracks.push(started)
        open.push(started)
      }
    })
  }
  const distances = { examined, sliceMm, reach }
  const nodules = tracks.map((track) => ({ ...measure(track, geometry, distances, o), id: 0 }))
  return rankNodules(nodules, o.minConfidence)
}

/** Nodules of at least this confidence, sorted by it and numbered. */
export function rankNodules(nodules: readonly Nodule3d[], minConfidence: number): Nodule3d[] {
  checkNumber('minConfidence', minConfidence, 0, 1)
  return nodules
    .filter((nodule) => nodule.confidence >= minConfidence)
    .sort((a, b) => b.confidence - a.confidence || a.slices[0]!.k - b.slices[0]!.k)
    .map((nodule, index) => ({ ...nodule, id: index + 1 }))
}

/** In an order that does not depend on how the boxes came: the result must not either. */
function sortedMembers(slice: SliceBoxes, position: number): Member[] {
  return slice.boxes
    .map((box, index) => ({ k: slice.k, sopInstanceUid: slice.sopInstanceUid, position, index, box }))
    .sort(
      (a, b) =>
        b.box.score - a.box.score || a.box.x1 - b.box.x1 || a.box.y1 - b.box.y1 || a.box.x2 - b.box.x2,
    )
}

/** For each member the track that it joins, if any: the best pairs first. */
function assign(
  open: readonly Member[][],
  members: readonly Member[],
  o: Required<LinkOptions>,
): (Member[] | undefined)[] {
  const pairs: { track: Member[]; index: number; overlap: number; distance: number }[] = []
  for (const track of open) {
    const last = track.at(-1)!.box
    members.forEach(({ box }, index) => {
      const overlap = iou(last, box)
      const distance = centerDistance(last, box)
      const near = distance < o.maxCenterShare * Math.min(meanSide(last), meanSide(box))
      if ((overlap > 0 && overlap >= o.minIou) || near) pairs.push({ track, index, overlap, distance })
    })
  }
  pairs.sort((a, b) => b.overlap - a.overlap || a.distance - b.distance)
  const result: (Member[] | undefined)[] = members.map(() => undefined)
  const used = new Set<Member[]>()
  for (const { track, index } of pairs) {
    if (result[index] !== undefined || used.has(track)) continue
    result[index] = track
    used.add(track)
  }
  return result
}

/** Where the slices lie that were examined, mm along the slice direction. */
interface Distances {
  /** Ascending. */
  examined: readonly number[]
  /** The usual distance. */
  sliceMm: number
  /** Slices further apart are no neighbors. */
  reach: number
}

/** Half of the way from an examined slice to the next one up or down: the usual one, unless it is clearly another there. */
function halfWay({ examined, sliceMm, reach }: Distances, position: number, step: 1 | -1): number {
  const at = examined.indexOf(position)
  const other = examined[at + step]
  if (other === undefined) return sliceMm / 2
  const way = Math.abs(other - position)
  // The last step of a scan is what is left of it.
  const isLeft = Math.max(at, at + step) === examined.length - 1
  const isUnlike = (way > 1.5 * sliceMm && way <= reach) || (way < sliceMm / 1.5 && !isLeft)
  return (isUnlike ? way : sliceMm) / 2
}

/** The share of its radius within which a ball is wide enough to be seen well: 0.6 of its width and more. */
const WIDE_SHARE = 0.8

function measure(
  track: readonly Member[],
  geometry: VolumeGeometry,
  distances: Distances,
  o: Required<LinkOptions>,
): Omit<Nodule3d, 'id'> {
  const [, rowMm, columnMm] = geometry.spacing
  const { examined } = distances
  const scores = track.map(({ box }) => box.score).sort((a, b) => b - a)
  const best = scores[0]!
  const strong = track.filter(({ box }) => box.score >= best / 2)
  const longest = greatest(
    strong.map(({ box }) => Math.max((box.x2 - box.x1) * columnMm, (box.y2 - box.y1) * rowMm)),
  )
  // Never 0: sides may be.
  const boxDiameterMm = Math.max(longest * o.diameterScale, 1e-6)
  let weights = 0
  let x = 0
  let y = 0
  let z = 0
  for (const { box, position } of track) {
    // Never 0: a score may be.
    const weight = Math.max(box.score, 1e-6) * Math.max(boxArea(box), 1e-6)
    weights += weight
    x += (weight * (box.x1 + box.x2)) / 2
    y += (weight * (box.y1 + box.y2)) / 2
    z += weight * position
  }
  const position = z / weights
  // Edge coordinates to voxel indices, which name centers: half a pixel less.
  const centerVoxel: Vector3 = [positionToSlice(geometry, position), y / weights - 0.5, x / weights - 0.5]
  // Around the middle of the boxes, or around the widest one: at the end of a crop the middle lies too far inside.
  const seenFrom = (from: number): number =>
    examined.filter((other) => Math.abs(other - from) <= (WIDE_SHARE * boxDiameterMm) / 2).length
  const widest = strong.reduce((a, b) => (boxArea(b.box) > boxArea(a.box) ? b : a))
  const seen = Math.min(seenFrom(position), seenFrom(widest.position))
  const expectedSlices = Math.min(Math.max(seen, 1), 3)
  const [first, last] = [strong[0]!, strong.at(-1)!]
  const driftMm = Math.hypot(
    ((last.box.x1 + last.box.x2 - first.box.x1 - first.box.x2) / 2) * columnMm,
    ((last.box.y1 + last.box.y2 - first.box.y1 - first.box.y2) / 2) * rowMm,
  )
  const measures = {
    boxDiameterMm,
    driftMm,
    elongation: Math.hypot(last.position - first.position, driftMm) / boxDiameterMm,
    maxScore: best,
    top2Score: (best + (scores[1] ?? best)) / 2,
    sliceCount: track.length,
    expectedSlices,
    support: scores.slice(0, expectedSlices).reduce((sum, score) => sum + score, 0) / expectedSlices,
  }
  return {
    center: voxelToPatient(geometry, ...centerVoxel),
    centerVoxel,
    extentMm:
      track.at(-1)!.position -
      track[0]!.position +
      (halfWay(distances, track[0]!.position, -1) + halfWay(distances, track.at(-1)!.position, 1)),
    ...measures,
    confidence: confidenceOf(measures, o.weights, o.elongated),
    slices: track.map(({ k, sopInstanceUid, index, box: { x1, y1, x2, y2, score } }) => ({
      k,
      ...(sopInstanceUid === undefined ? {} : { sopInstanceUid }),
      index,
      box: { x1, y1, x2, y2 },
      score,
    })),
    box: {
      x1: least(track.map(({ box }) => box.x1)),
      y1: least(track.map(({ box }) => box.y1)),
      x2: greatest(track.map(({ box }) => box.x2)),
      y2: greatest(track.map(({ box }) => box.y2)),
    },
  }
}

function meanSide(box: EdgeBox): number {
  return (box.x2 - box.x1 + box.y2 - box.y1) / 2
}

function centerDistance(a: EdgeBox, b: EdgeBox): number {
  return Math.hypot(a.x1 + a.x2 - b.x1 - b.x2, a.y1 + a.y2 - b.y1 - b.y2) / 2
}
