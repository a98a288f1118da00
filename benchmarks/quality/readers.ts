// npx tsx benchmarks/quality/readers.ts (--stacks FOLDER | --phantoms COUNT [--first SEED] [--spacing MM])
// How readers outline nodules, measured in one way on patients and on phantoms (hard ones): at what contrast they end a
// nodule along z, and at what share of its brightness its border lies in the plane. Only nodules in free lung (three
// quarters of the ring around them below -600 HU) that four readers outlined.
import { parseArgs } from 'node:util'
import { contourExtent, fillContours, joinExtents } from '../../src/annotations/mask.js'
import { readStackIndex } from '../../src/dataset/stacks/read_index.js'
import { readStack } from '../../src/dataset/stacks/read_stack.js'
import { greatest } from '../../src/lists.js'
import { hardPhantoms, outlinesOf } from './outlines.js'

/** Slices that a reader at least outlined, [n, rows, columns]: HU, and how many readers outlined each pixel. */
interface Outlined {
  hu: Int16Array
  readers: Uint8Array
  shape: readonly [number, number, number]
}

const readersWanted = 4

async function* ofStacks(folder: string): AsyncGenerator<Outlined> {
  for (const entry of readStackIndex(folder).stacks) {
    const { volume, readers } = await readStack(folder, entry)
    yield { hu: volume.data, readers, shape: volume.shape }
  }
}

function* ofPhantoms(count: number, first: number, spacing: number): Generator<Outlined> {
  for (const phantom of hardPhantoms(count, first, { spacing, nodules: 12 })) {
    const { volume } = phantom
    const [, rows, columns] = volume.shape
    for (const marks of outlinesOf(phantom)) {
      const lines = marks.map(({ contours }) => contours)
      const { k, j, i } = joinExtents(lines.map(contourExtent))
      const rim = 12
      const [j0, i0] = [Math.max(0, j[0] - rim), Math.max(0, i[0] - rim)]
      const [j1, i1] = [Math.min(rows - 1, j[1] + rim), Math.min(columns - 1, i[1] + rim)]
      const extent = { k, j: [j0, j1], i: [i0, i1] } as const
      const masks = lines.map((contours) => fillContours(contours, extent))
      const shape = masks[0]!.shape
      const [, height, width] = shape
      const sums = new Uint8Array(masks[0]!.voxels.length)
      for (const { voxels } of masks) for (const [n, value] of voxels.entries()) sums[n]! += value
      const hu = Int16Array.from(sums, (_, n) => {
        const slice = k[0] + Math.floor(n / (height * width))
        const row = j0 + (Math.floor(n / width) % height)
        return volume.data[(slice * rows + row) * columns + i0 + (n % width)]!
      })
      yield { hu, readers: sums, shape }
    }
  }
}

/** What is within `steps` 4-neighbor steps of a mask. */
function grown(mask: Uint8Array, width: number, steps: number): Uint8Array {
  let now = mask
  for (let n = 0; n < steps; n++)
    now = now.map((value, at) => {
      const x = at % width
      return value |
        (now[at - width] ?? 0) |
        (now[at + width] ?? 0) |
        (x > 0 ? now[at - 1]! : 0) |
        (x < width - 1 ? now[at + 1]! : 0)
        ? 1
        : 0
    })
  return now
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!
}

/** Contrast of an end of a nodule, as a share of its greatest, and how many readers outlined that slice. */
const ends: { contrast: number; readers: number }[] = []
/** Pixels across, and the share of the slice's brightness that as many pixels as were outlined have. */
const borders: { across: number; level: number }[] = []
let nodules = 0

function measure({ hu, readers, shape }: Outlined): void {
  const [count, rows, columns] = shape
  const plane = rows * columns
  if (greatest(readers) < readersWanted) return
  const slice = <T extends Int16Array | Uint8Array>(of: T, k: number): T =>
    of.subarray(k * plane, (k + 1) * plane) as T
  const masks = Array.from({ length: count }, (_, k) =>
    slice(readers, k).map((value) => (2 * value >= readersWanted ? 1 : 0)),
  )
  const areas = masks.map((mask) => mask.reduce((a, b) => a + b, 0))
  const drawn = areas.flatMap((area, k) => (area > 0 ? [k] : []))
  if (drawn.length === 0) return
  const main = areas.indexOf(greatest(areas))
  const all = masks[0]!.map((_, n) => (masks.some((mask) => mask[n] === 1) ? 1 : 0))
  const near = grown(all, columns, 3)
  const ring = [...grown(all, columns, 8)].flatMap((value, n) =>
    value === 1 && near[n] === 0 ? [slice(hu, main)[n]!] : [],
  )
  const lung = quantile(ring, 0.5)
  if (lung > -650 || quantile(ring, 0.75) > -600) return
  const brightness = (k: number, mask: Uint8Array): number => {
    const now = slice(hu, k)
    let most = -Infinity
    for (const [n, inside] of grown(mask, columns, 1).entries()) {
      if (inside === 0) continue
      let sum = 0
      for (const dy of [-columns, 0, columns]) for (const dx of [-1, 0, 1]) sum += now[n + dy + dx] ?? lung
      most = Math.max(most, sum / 9)
    }
    return most - lung
  }
  const brightest = greatest(drawn.map((k) => brightness(k, masks[k]!)))
  if (brightest < 250) return
  nodules++
  const [low, high] = [drawn[0]!, drawn.at(-1)!]
  for (const [k, nearest] of [
    [low - 1, low],
    [low, low],
    [high, high],
    [high + 1, high],
  ] as const) {
    if (k < 0 || k >= count || (k === high && low === high)) continue
    ends.push({ contrast: brightness(k, masks[nearest]!) / brightest, readers: greatest(slice(readers, k)) })
  }
  for (const k of drawn) {
    const area = areas[k]!
    if (area < 6) continue
    const now = slice(hu, k)
    const inner = grown(
      masks[k]!.map((value) => 1 - value),
      columns,
      1,
    )
    const inside = [...now].filter((_, n) => inner[n] === 0)
    const full = quantile(inside.length > 0 ? inside : [...now].filter((_, n) => masks[k]![n] === 1), 0.75)
    const around = grown(masks[k]!, columns, 3)
    const bright = [...now].filter((_, n) => around[n] === 1).toSorted((a, b) => b - a)
    borders.push({
      across: 2 * Math.sqrt(area / Math.PI),
      level: (bright[Math.min(area, bright.length - 1)]! - lung) / (full - lung),
    })
  }
}

const { values } = parseArgs({
  options: {
    stacks: { type: 'string' },
    phantoms: { type: 'string' },
    first: { type: 'string', default: '5001' },
    spacing: { type: 'string', default: '2.5' },
  },
})
if ((values.stacks === undefined) === (values.phantoms === undefined))
  throw new Error('usage: readers.ts (--stacks FOLDER | --phantoms COUNT [--first SEED] [--spacing MM])')
const source =
  values.stacks === undefined
    ? ofPhantoms(Number(values.phantoms), Number(values.first), Number(values.spacing))
    : ofStacks(values.stacks)
for await (const one of source) measure(one)

console.log(`${nodules} nodules in free lung that four readers outlined`)
console.log('| contrast, share of the greatest | slices at an end | outlined by 1, 2, 3, 4 or more readers |')
console.log('| --- | --- | --- |')
for (let low = 0; low < 0.99; low += 0.1) {
  const within = ends.filter(({ contrast }) => contrast >= low && contrast < low + 0.1)
  const by = [1, 2, 3, 4].map((least) => within.filter(({ readers }) => readers >= least).length)
  console.log(`| ${low.toFixed(1)} to ${(low + 0.1).toFixed(1)} | ${within.length} | ${by.join(', ')} |`)
}
console.log('| pixels across | slices | level of the border: 10, 25, 50, 75, 90 % |')
console.log('| --- | --- | --- |')
for (const [low, high] of [
  [0, 5],
  [5, 8],
  [8, 12],
  [12, 128],
] as const) {
  const levels = borders.filter(({ across }) => across >= low && across < high).map(({ level }) => level)
  if (levels.length === 0) continue
  const shares = [0.1, 0.25, 0.5, 0.75, 0.9].map((share) => quantile(levels, share).toFixed(2))
  console.log(`| ${low} to ${high} | ${levels.length} | ${shares.join(', ')} |`)
}
