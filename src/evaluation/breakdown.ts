import { checkNumber } from '../check.js'
import { TEXTURE_TYPES, textureType } from '../annotations/index.js'
import type { NoduleMeasures } from '../dataset/index.js'
import type { ImagePair } from './slices/pairs.js'
import { outcomesAt } from './slices/slices.js'
import { normalQuantile } from './statistics/statistics.js'
import type { FindingOutcome } from './scans/scans.js'

/** How many of a group's true findings were found. */
export interface GroupRow {
  group: string
  total: number
  found: number
  sensitivity: number | null
  /** Wilson's 95 % interval. */
  low: number | null
  high: number | null
}

/** A group of boxes by size: hits and misses by the true box, false positives by the detection. */
export interface SizeRow extends GroupRow {
  falsePositives: number
}

/** Wilson's score interval of k of n. */
export function wilson(k: number, n: number, confidence = 0.95): { low: number; high: number } | null {
  checkNumber('confidence', confidence, 0.01, 0.9999)
  if (n === 0) return null
  const z = normalQuantile((1 + confidence) / 2)
  const p = k / n
  const center = p + (z * z) / (2 * n)
  const half = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))
  const scale = 1 + (z * z) / n
  return { low: Math.max(0, (center - half) / scale), high: Math.min(1, (center + half) / scale) }
}

function row(group: string, total: number, found: number): GroupRow {
  const interval = wilson(found, total)
  return {
    group,
    total,
    found,
    sensitivity: total > 0 ? found / total : null,
    low: interval?.low ?? null,
    high: interval?.high ?? null,
  }
}

/** Lower bounds of the diameter classes, mm. */
export const DIAMETER_CLASSES = [0, 4, 6, 8, 15, 30] as const

/** The class of a value among ascending lower bounds: its index and its name, such as "6 to 8 mm". */
function classOf(value: number, bounds: readonly number[], unit: string): { index: number; name: string } {
  let index = 0
  while (index + 1 < bounds.length && value >= bounds[index + 1]!) index++
  const next = bounds[index + 1]
  const name =
    index === 0
      ? `below ${next!} ${unit}`
      : next === undefined
        ? `${bounds[index]!} ${unit} and more`
        : `${bounds[index]!} to ${next} ${unit}`
  return { index, name }
}

const UNKNOWN_DIAMETER = 'diameter unknown'

/** Found and missed nodules by class of the equivalent diameter; those of none (below 0) stand in a group of their own. */
export function byEquivalentDiameter(findings: readonly FindingOutcome[]): GroupRow[] {
  const groupOf = ({ equivalentDiameterMm: diameter }: FindingOutcome): string =>
    diameter < 0 ? UNKNOWN_DIAMETER : diameterClass(diameter)
  const isAnyUnknown = findings.some((finding) => groupOf(finding) === UNKNOWN_DIAMETER)
  return [...DIAMETER_CLASSES.map(diameterClass), ...(isAnyUnknown ? [UNKNOWN_DIAMETER] : [])].map((name) => {
    const members = findings.filter((finding) => groupOf(finding) === name)
    return row(name, members.length, members.filter((finding) => finding.score !== null).length)
  })
}

function diameterClass(millimeters: number): string {
  return classOf(millimeters, DIAMETER_CLASSES, 'mm').name
}

/** Found and missed nodules by type, as `typeOf` names it; findings without a type are left out. */
export function byType(
  findings: readonly FindingOutcome[],
  typeOf: (finding: FindingOutcome) => string | undefined,
): GroupRow[] {
  const groups = new Map<string, { total: number; found: number }>()
  for (const finding of findings) {
    const type = typeOf(finding)
    if (type === undefined) continue
    const group = groups.get(type) ?? { total: 0, found: 0 }
    group.total++
    if (finding.score !== null) group.found++
    groups.set(type, group)
  }
  return [...groups].sort((a, b) => (a[0] < b[0] ? -1 : 1)).map(([name, g]) => row(name, g.total, g.found))
}

/** Lower bounds of the box classes, pixels of the longer side. */
export const BOX_CLASSES = [0, 8, 12, 16, 24, 32] as const

/** Hits, misses and false positives by the longer side of the box, where detections of `threshold` are kept. */
export function byBoxSize(images: readonly ImagePair[], threshold: number, minIou: number): SizeRow[] {
  const counts = BOX_CLASSES.map(() => ({ total: 0, found: 0, wrong: 0 }))
  const at = (box: ImagePair['truth'][number]): (typeof counts)[number] =>
    counts[classOf(Math.max(box.x2 - box.x1, box.y2 - box.y1), BOX_CLASSES, 'px').index]!
  for (const [i, outcome] of outcomesAt(images, threshold, minIou).entries()) {
    const { truth, detections } = images[i]!
    for (const box of truth) at(box).total++
    for (const pair of outcome.matched) at(truth[pair.truth]!).found++
    for (const detection of outcome.falsePositives) at(detections[detection]!).wrong++
  }
  return counts.map(({ total, found, wrong }, i) => ({
    ...row(classOf(BOX_CLASSES[i]!, BOX_CLASSES, 'px').name, total, found),
    falsePositives: wrong,
  }))
}

/**
 * Hits and misses of true boxes by their nodule's type and its axial diameter, where detections of `threshold` are kept.
 * Boxes of lists that do not say it stand in a group of their own, "type unknown" and "diameter unknown".
 */
export function byMeasures(
  images: readonly ImagePair[],
  threshold: number,
  minIou: number,
): { byType: GroupRow[]; byAxialDiameter: GroupRow[] } {
  const boxes = outcomesAt(images, threshold, minIou).flatMap(({ matched }, i) => {
    const found = new Set(matched.map((pair) => pair.truth))
    const { truth, measures } = images[i]!
    return truth.map((_, t) => ({ found: found.has(t), measured: measures?.[t] }))
  })
  const group = (
    order: readonly string[],
    nameOf: (measured: NoduleMeasures | undefined) => string,
  ): GroupRow[] =>
    order.flatMap((name) => {
      const members = boxes.filter(({ measured }) => nameOf(measured) === name)
      return members.length === 0
        ? []
        : [row(name, members.length, members.filter((box) => box.found).length)]
    })
  return {
    byType: group([...TEXTURE_TYPES, 'type unknown'], (measured) =>
      measured?.texture === undefined ? 'type unknown' : textureType(measured.texture),
    ),
    byAxialDiameter: group([...DIAMETER_CLASSES.map(diameterClass), UNKNOWN_DIAMETER], (measured) =>
      measured === undefined ? UNKNOWN_DIAMETER : diameterClass(measured.axialDiameterMm),
    ),
  }
}
