import type { SliceHeader } from '../read/header.js'
import { append } from '../../lists.js'

/** What differs between reconstructions of one acquisition, and what to call it. */
const KEYS: readonly (readonly [string, (header: SliceHeader) => string])[] = [
  ['study', (header) => header.studyInstanceUid],
  ['unit', (header) => header.rescaleType ?? ''],
  ['kernel', (header) => header.kernel ?? ''],
  ['thickness', ({ sliceThickness: mm }) => (mm === undefined ? '' : `${Number(mm.toFixed(2))} mm`)],
  ['description', (header) => header.seriesDescription ?? ''],
  ['image type', (header) => header.imageType.join('\\')],
  ['tube voltage', ({ kvp }) => (kvp === undefined ? '' : `${kvp} kV`)],
  ['series number', ({ seriesNumber }) => (seriesNumber === undefined ? '' : String(seriesNumber))],
  [
    'acquisition',
    (header) => (header.acquisitionNumber === undefined ? '' : String(header.acquisitionNumber)),
  ],
]

/** Positions closer than this are the same, mm. */
const SAME_POSITION_MM = 0.01
/** Neighbors that are no farther apart than this many median distances leave no gap. */
const GAP_RATIO = 1.5

/** Slices of one reconstruction, and those of others under the same Series Instance UID. */
export interface Separated {
  kept: SliceHeader[]
  left: SliceHeader[]
  /** "6 with kernel B30f are kept, 6 with B70f left out"; one per key that told them apart. */
  messages: string[]
}

/**
 * Takes one reconstruction of several that lie in the same place of the patient: the one of most slices, of equals the
 * thinner, of equals the first in the order of names. Slices that only continue others (a second acquisition farther
 * down, one slice without the tag) stay with them: only what is whole without the others is separated.
 */
export function separateReconstructions(
  headers: readonly SliceHeader[],
  along: (header: SliceHeader) => number,
): Separated {
  let kept = [...headers]
  const left: SliceHeader[] = []
  const messages: string[] = []
  for (const [name, key] of KEYS) {
    const groups = groupsOf(kept, key)
    const [main, ...others] = groups
    if (main === undefined || others.length === 0) continue
    const positions = positionsOf(main[1], along)
    const doubled = others.filter(([, group]) => isCovered(group, positions, along, name === 'acquisition'))
    if (doubled.length === 0) continue
    const gone = new Set(doubled.flatMap(([, group]) => group))
    kept = kept.filter((header) => !gone.has(header))
    append(left, gone)
    const shown = doubled.map(([value, group]) => `${group.length} with ${quote(value)}`)
    messages.push(
      `several reconstructions by ${name}: ${main[1].length} images with ${quote(main[0])} are kept, ${shown.slice(0, 3).join(', ')}${shown.length > 3 ? ', ...' : ''} left out`,
    )
  }
  return { kept, left, messages }
}

function groupsOf(
  headers: readonly SliceHeader[],
  key: (header: SliceHeader) => string,
): [string, SliceHeader[]][] {
  const groups = new Map<string, SliceHeader[]>()
  for (const header of headers) {
    const value = key(header)
    const group = groups.get(value)
    if (group === undefined) groups.set(value, [header])
    else group.push(header)
  }
  const thickness = (group: readonly SliceHeader[]): number => group[0]!.sliceThickness ?? Infinity
  return [...groups].sort(
    ([a, x], [b, y]) => y.length - x.length || thickness(x) - thickness(y) || (a < b ? -1 : 1),
  )
}

/** Ascending, each once. */
function positionsOf(headers: readonly SliceHeader[], along: (header: SliceHeader) => number): number[] {
  const sorted = headers.map(along).sort((a, b) => a - b)
  return sorted.filter((z, n) => n === 0 || z - sorted[n - 1]! >= SAME_POSITION_MM)
}

/**
 * True where most of a group's slices lie at or between neighbors of the main group, which leaves no gap there.
 *
 * @param between only slices between others count: those at the same places are phases of a time series
 */
function isCovered(
  group: readonly SliceHeader[],
  main: readonly number[],
  along: (header: SliceHeader) => number,
  between: boolean,
): boolean {
  if (main.length < 2) return false
  const distances = main.slice(1).map((z, n) => z - main[n]!)
  const gap = GAP_RATIO * distances.sort((a, b) => a - b)[distances.length >> 1]!
  let covered = 0
  let same = 0
  for (const header of group) {
    const z = along(header)
    const above = main.findIndex((other) => other > z - SAME_POSITION_MM)
    if (above >= 0 && Math.abs(main[above]! - z) < SAME_POSITION_MM) same++
    else if (above > 0 && main[above]! - main[above - 1]! <= gap) covered++
  }
  return between ? covered > group.length / 2 : covered + same > group.length / 2
}

function quote(value: string): string {
  return value === '' ? 'none' : JSON.stringify(value)
}
