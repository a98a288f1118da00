// npx tsx benchmarks/quality/agreement.ts (--xml FOLDER | --phantoms COUNT [--first SEED])
// How well one reader's boxes are those of the readers together, slice by slice at IoU 0.5, as a detector's are judged: a
// measure to hold its figures against, no bound. Nodules that at least three of four readers outlined; the others' boxes are the consensus
// of those that are left (half of them, two at least).
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { boxesOf } from '../../src/annotations/consensus.js'
import { clusterMarks, type PlacedMark, readLidcXml } from '../../src/annotations/index.js'
import { agreeMasks, contourExtent, fillContours, joinExtents } from '../../src/annotations/mask.js'
import { iou } from '../../src/geometry/box.js'
import { hardPhantoms, outlinesOf } from './outlines.js'

const readersWanted = 4
/** Where slices are not known but by what was outlined on them; pylidc starts from the slice thickness. */
const tolerance = 2.5
/** Sides of boxes in the scan's pixels; 8 of 0.7 mm are 5.6 mm. */
const small = 8

interface Tally {
  wanted: number
  drawn: number
  hits: number
  small: number
  smallHits: number
}
const empty = (): Tally => ({ wanted: 0, drawn: 0, hits: 0, small: 0, smallHits: 0 })
const tallies = { 'all readers together': empty(), 'the others together': empty() }

type Boxes = ReturnType<typeof boxesOf>

function compare(tally: Tally, wanted: Boxes, drawn: Boxes): void {
  tally.drawn += drawn.length
  for (const { k, box } of wanted) {
    const hit = drawn.some((one) => one.k === k && iou(one.box, box) >= 0.5)
    const isSmall = Math.max(box.x2 - box.x1, box.y2 - box.y1) < small
    tally.wanted++
    if (hit) tally.hits++
    if (isSmall) tally.small++
    if (isSmall && hit) tally.smallHits++
  }
}

let nodules = 0
function judge(marks: readonly PlacedMark[]): void {
  const readers = new Set(marks.map(({ session }) => session)).size
  // A reader with two outlines of it: which one is his box?
  if (readers < 3 || readers !== marks.length) return
  nodules++
  const extent = joinExtents(marks.map(({ contours }) => contourExtent(contours)))
  const masks = marks.map(({ contours }) => fillContours(contours, extent))
  const together = boxesOf(agreeMasks(masks, 0.5))
  for (let session = 0; session < readersWanted; session++) {
    const at = marks.findIndex((mark) => mark.session === session)
    const drawn = at < 0 ? [] : boxesOf(masks[at]!)
    compare(tallies['all readers together'], together, drawn)
    const others = masks.filter((_, n) => n !== at)
    compare(tallies['the others together'], boxesOf(agreeMasks(others, 0.5)), drawn)
  }
}

/** Slices are told by their z: the images are not needed. */
async function* ofReadings(folder: string): AsyncGenerator<PlacedMark[]> {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted()) {
    if (!name.endsWith('.xml')) continue
    const reading = await readLidcXml(join(folder, name))
    if (reading.kind !== 'ct' || reading.sessions.length !== readersWanted) continue
    const marks = reading.sessions.flatMap(({ nodules, readerId }, session) =>
      nodules.map((mark) => ({ ...mark, session, readerId })),
    )
    const heights = new Set(marks.flatMap(({ contours }) => contours.map(({ z }) => z)))
    const slices = new Map([...heights].toSorted((a, b) => a - b).map((z, k) => [z, k]))
    const placed = marks.map((mark) => ({
      ...mark,
      contours: mark.contours.map((contour) => ({ ...contour, k: slices.get(contour.z)! })),
    }))
    yield* clusterMarks(placed, tolerance)
  }
}

const { values } = parseArgs({
  options: {
    xml: { type: 'string' },
    phantoms: { type: 'string' },
    first: { type: 'string', default: '3001' },
  },
})
if (values.xml !== undefined) for await (const marks of ofReadings(values.xml)) judge(marks)
else if (values.phantoms !== undefined)
  for (const phantom of hardPhantoms(Number(values.phantoms), Number(values.first)))
    outlinesOf(phantom).forEach(judge)
else throw new Error('usage: agreement.ts (--xml FOLDER | --phantoms COUNT [--first SEED])')

const share = (some: number, all: number): string => (some / all).toFixed(3)
console.log(
  `${nodules} nodules; slices where at least half of the readers outlined one, once for each reader`,
)
console.log(
  "| one reader's boxes against | slices | recall | precision | slices with a box below 8 px | recall |",
)
console.log('| --- | --- | --- | --- | --- | --- |')
for (const [name, { wanted, drawn, hits, ...rest }] of Object.entries(tallies)) {
  const cells = [wanted, share(hits, wanted), share(hits, drawn)]
  console.log(`| ${[name, ...cells, rest.small, share(rest.smallHits, rest.small)].join(' | ')} |`)
}
