// npx tsx benchmarks/quality/phantoms.ts --truth LIST --found FOLDER [--iou 0.5]
// Judges boxes on slices of phantoms, where the truth is exact: LIST is what `nodule prepare PHANTOMS --slices all` wrote of
// them, FOLDER what `nodule detect PHANTOMS` found (--min-confidence 0.02). Each box is ranked by its own confidence, the
// first stage's, and by the confidence of its nodule, both stages', times its own.
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { readList } from '../../src/dataset/index.js'
import {
  byBoxSize,
  evaluatePairs,
  framesOfScans,
  pairImages,
  readDetectionFolder,
} from '../../src/evaluation/index.js'

const { values } = parseArgs({
  options: {
    truth: { type: 'string' },
    found: { type: 'string' },
    iou: { type: 'string', default: '0.5' },
  },
})
const { truth, found } = values
if (truth === undefined || found === undefined)
  throw new Error('usage: phantoms.ts --truth LIST --found FOLDER')
const iou = Number(values.iou)

const list = readList(truth)
const warnings: string[] = []
const scans = await readDetectionFolder(found, warnings)
for (const warning of warnings) console.error(warning)

const small = (rows: ReturnType<typeof byBoxSize>): string =>
  rows[0]!.total === 0 ? '' : `${rows[0]!.found} of ${rows[0]!.total}`

console.log(
  '| boxes ranked by | AP | recall | best F1 | its recall, precision | below 8 px: at best F1, at all |',
)
console.log('| --- | --- | --- | --- | --- | --- |')
for (const [name, predictions] of [
  [
    'first stage',
    framesOfScans(
      list,
      scans,
      () =>
        ({ nodule, score }) =>
          nodule === undefined ? undefined : score,
    ),
  ],
  ['both stages', framesOfScans(list, scans)],
] as const) {
  const { images } = pairImages(list.entries, predictions, {
    ignoreExcluded: true,
    truthDir: dirname(truth),
    predictionsDir: dirname(truth),
  })
  const { ap, counts, bestF1 } = evaluatePairs(images, { iou })
  const sizes = [bestF1?.threshold ?? 1, 0].map((threshold) => small(byBoxSize(images, threshold, iou)))
  const cells = [
    ...[ap, counts.recall, bestF1?.f1].map((value) => value?.toFixed(3) ?? ''),
    `${bestF1?.recall?.toFixed(2)}, ${bestF1?.precision?.toFixed(2)}`,
    sizes.join(', '),
  ]
  console.log(`| ${[name, ...cells].join(' | ')} |`)
}
console.log(`${list.entries.length} slices, ${list.entries.flatMap((e) => e.rects).length} boxes, IoU ${iou}`)
