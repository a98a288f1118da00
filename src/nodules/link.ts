import { checkNumber, invalidParameter } from '../check.js'
import { iou } from '../geometry/box.js'
import type { EdgeBox, ScoredBox } from '../geometry/box.js'
import { positionToSlice, sliceToPosition, voxelToPatient } from '../geometry/patient.js'
import type { Vector3, VolumeGeometry } from '../geometry/patient.js'

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
   * Slices further apart than this (mm along the slice direction) are not linked, unless they are neighbors:
   * at least 1.5 spacings are always bridged.
   */
  maxGapMm?: number
  /** Boxes link from this IoU on ... */
  minIou?: number
  /** ... or when their centers are nearer than this share of the smaller box's mean side. */
  maxCenterShare?: number
  /** Nodules below this confidence are left out. */
  minConfidence?: number
}

export const LINK_DEFAULTS: Required<LinkOptions> = {
  maxGapMm: 5,
  minIou: 0.2,
  maxCenterShare: 0.5,
  minConfidence: 0,
}

/** A nodule in the patient, made of one box on each of its slices. */
export interface Nodule3d {
  /** 1, 2, ... in the order of falling confidence. */
  id: number
  /** Patient mm (x, y, z; LPS): mean of the box centers, weighted by score times area. */
  center: Vector3
  /** The same place as fractional voxel indices (k, j, i). */
  centerVoxel: Vector3
  /**
   * mm: the largest mean of a slice box's width and height, over the slices that score at least half of the best
   * (the rim slices of a sphere are smaller, and weak boxes are the badly placed ones).
   */
  boxDiameterMm: number
  /** mm along the slice direction from the first to the last slice, one slice distance included. */
  extentMm: number
  /**
   * In [0, 1]: the mean score over the n slices that score best, where n = box diameter / slice distance, within 1 to 3,
   * is the number of slices that a ball of this diameter must be seen on. Missing slices count as 0, so that a large
   * box on a single slice does not pass for a nodule that is there on all of its slices.
   */
  confidence: number
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

/**
 * Links the boxes of neighboring slices to nodules. Going up the slices, each box joins the open nodule whose last
 * box it fits best (highest IoU, then nearest center; each nodule takes one box a slice), or opens a new one. Distance
 * between slices is measured in mm, so that gaps in the series and thin slices are treated alike.
 *
 * @param slices in any order, every k at most once
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
  checkNumber('maxGapMm', o.maxGapMm, 0, 1000)
  checkNumber('minIou', o.minIou, 0, 1)
  checkNumber('maxCenterShare', o.maxCenterShare, 0, 10)
  checkNumber('minConfidence', o.minConfidence, 0, 1)
  const sliceMm = Math.max(stepMm, geometry.spacing[0])
  const maxGap = Math.max(o.maxGapMm, 1.5 * sliceMm)

  const tracks: Member[][] = []
  let open: Member[][] = []
  let previous = -1
  for (const slice of [...slices].sort((a, b) => a.k - b.k)) {
    if (slice.k === previous)
      throw invalidParameter('slices', 'each slice at most once', `k = ${slice.k} twice`)
    previous = slice.k
    const position = sliceToPosition(geometry, slice.k)
    open = open.filter((track) => position - track.at(-1)!.position <= maxGap + 1e-6)
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
  const nodules = tracks.map((track) => ({ ...measure(track, geometry, sliceMm), id: 0 }))
  return rankNodules(nodules, o.minConfidence)
}

/** Nodules of at least this confidence, sorted by it and numbered. */
export function rankNodules(nodules: readonly Nodule3d[], minConfidence: number): Nodule3d[] {
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

function measure(track: readonly Member[], geometry: VolumeGeometry, sliceMm: number): Omit<Nodule3d, 'id'> {
  const [, rowMm, columnMm] = geometry.spacing
  const best = Math.max(...track.map(({ box }) => box.score))
  let boxDiameterMm = 0
  let weights = 0
  let x = 0
  let y = 0
  let z = 0
  for (const { box, position } of track) {
    const width = box.x2 - box.x1
    const height = box.y2 - box.y1
    if (box.score >= best / 2)
      boxDiameterMm = Math.max(boxDiameterMm, (width * columnMm + height * rowMm) / 2)
    // Never 0: a score may be.
    const weight = Math.max(box.score, 1e-6) * Math.max(width * height, 1e-6)
    weights += weight
    x += (weight * (box.x1 + box.x2)) / 2
    y += (weight * (box.y1 + box.y2)) / 2
    z += weight * position
  }
  // Edge coordinates to voxel indices, which name centers: half a pixel less.
  const centerVoxel: Vector3 = [positionToSlice(geometry, z / weights), y / weights - 0.5, x / weights - 0.5]
  const expected = Math.min(Math.max(Math.floor(boxDiameterMm / sliceMm), 1), 3)
  const scores = track.map(({ box }) => box.score).sort((a, b) => b - a)
  return {
    center: voxelToPatient(geometry, ...centerVoxel),
    centerVoxel,
    boxDiameterMm,
    extentMm: track.at(-1)!.position - track[0]!.position + sliceMm,
    confidence: scores.slice(0, expected).reduce((sum, score) => sum + score, 0) / expected,
    slices: track.map(({ k, sopInstanceUid, index, box: { x1, y1, x2, y2, score } }) => ({
      k,
      ...(sopInstanceUid === undefined ? {} : { sopInstanceUid }),
      index,
      box: { x1, y1, x2, y2 },
      score,
    })),
    box: {
      x1: Math.min(...track.map(({ box }) => box.x1)),
      y1: Math.min(...track.map(({ box }) => box.y1)),
      x2: Math.max(...track.map(({ box }) => box.x2)),
      y2: Math.max(...track.map(({ box }) => box.y2)),
    },
  }
}

function meanSide(box: EdgeBox): number {
  return (box.x2 - box.x1 + box.y2 - box.y1) / 2
}

function centerDistance(a: EdgeBox, b: EdgeBox): number {
  return Math.hypot(a.x1 + a.x2 - b.x1 - b.x2, a.y1 + a.y2 - b.y1 - b.y2) / 2
}
