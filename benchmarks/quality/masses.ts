// npx tsx benchmarks/quality/masses.ts --model FILE [--second FILE] [--data FOLDER] [--scans PATIENT,...] [--part test|val]
// Masses are rare in LIDC-IDRI, whose nodules end at 30 mm. So nodules of patients that the model has not seen are magnified
// (three times at most) to 15, 25, 35 and 45 mm, and put into whole scans, a few in each copy: how many are found at the
// default confidence, how many have a mark at all, and how much of the box of the middle slice the lungs' mask holds.
import { insertNodules } from '../../src/dataset/insertion/insert.js'
import { MOST_MAGNIFIED, magnifiedStack } from '../../src/dataset/stacks/magnified.js'
import { ownNodule } from '../../src/dataset/stacks/own_nodule.js'
import { voxelToPatient } from '../../src/geometry/patient.js'
import { detectVolume } from '../../src/inference/index.js'
import { createRandom } from '../../src/random.js'
import { loadVolume, segmentLungs } from '../../src/volume/index.js'
import { occupiedBy, readDonors } from './inserted.js'
import { best, hits, parametersOf } from './marks.js'
import { open } from './opened.js'

/** Masses in one copy of a scan: more leave no lung between them. */
const IN_A_COPY = 3
const TRIES = 400

const {
  values,
  session,
  defaults,
  stacks: folder,
  part,
  scans,
} = await open('masses.ts', {
  sizes: { type: 'string', default: '15,25,35,45' },
  copies: { type: 'string', default: '5' },
})
const { minScore, minConfidence } = defaults
const judged = { session, minScore }
const donors = await readDonors(folder, part, 10)

interface Mass {
  sizeMm: number
  atWall: boolean
  confidence: number
  measuredMm: number | undefined
  inMask: number
}

const masses: Mass[] = []
const sizes = String(values['sizes']).split(',').map(Number)
for (const { series, findings } of scans) {
  const volume = await loadVolume(series)
  const [, rows, columns] = volume.shape
  const lungs = segmentLungs(volume)
  for (const sizeMm of sizes) {
    for (let copy = 0; copy < Number(values['copies']); copy++) {
      const random = createRandom(7).fork(`${sizeMm} ${copy}`)
      const stacks = donors
        .map((stack) => ({ stack, factor: sizeMm / ownNodule(stack).axialDiameterMm }))
        .filter(({ factor }) => factor <= MOST_MAGNIFIED)
        .map(({ stack, factor }) => ({ stack: magnifiedStack(stack, factor), place: random.uniform() }))
        .sort((a, b) => a.place - b.place)
        .map(({ stack }) => stack)
      const options = { count: IN_A_COPY, occupied: occupiedBy(findings, volume), tries: TRIES }
      const inserted = insertNodules(volume, lungs, stacks, options, random)
      const { mask } = segmentLungs(inserted.volume)
      const { nodules } = await detectVolume(inserted.volume, session, {
        parameters: parametersOf(judged, 'lungs'),
      })
      for (const { center, at, boxes } of inserted.placed) {
        const place = voxelToPatient(volume.geometry, ...center)
        const hit = best(nodules.filter((mark) => hits(mark.center, place, sizeMm)))
        const { k, box } = boxes[boxes.length >> 1]!
        let inside = 0
        for (let y = box.y1; y < box.y2; y++)
          for (let x = box.x1; x < box.x2; x++) inside += mask[(k * rows + y) * columns + x]!
        masses.push({
          sizeMm,
          atWall: at === 'wall',
          confidence: hit?.confidence ?? 0,
          measuredMm: hit?.boxDiameterMm,
          inMask: inside / ((box.y2 - box.y1) * (box.x2 - box.x1)),
        })
      }
    }
  }
}

const middle = (numbers: number[]): string => {
  numbers.sort((a, b) => a - b)
  return numbers[numbers.length >> 1]?.toFixed(2) ?? ''
}
const count = (some: readonly Mass[], from: number): number =>
  some.filter(({ confidence }) => confidence >= from).length

console.log(
  `| magnified to, mm | masses | at ${minConfidence}: in the lung, at the wall | marked at all | median of confidence, of the mask's share at the wall, of the measured mm |`,
)
console.log('| --- | --- | --- | --- | --- |')
for (const sizeMm of sizes) {
  const some = masses.filter((mass) => mass.sizeMm === sizeMm)
  const [wall, free] = [some.filter(({ atWall }) => atWall), some.filter(({ atWall }) => !atWall)]
  const cells = [
    sizeMm,
    some.length,
    `${count(free, minConfidence)} of ${free.length}, ${count(wall, minConfidence)} of ${wall.length}`,
    count(some, Number.MIN_VALUE),
    [
      middle(some.map(({ confidence }) => confidence)),
      middle(wall.map(({ inMask }) => inMask)),
      middle(some.flatMap(({ measuredMm }) => measuredMm ?? [])),
    ].join(', '),
  ]
  console.log(`| ${cells.join(' | ')} |`)
}
