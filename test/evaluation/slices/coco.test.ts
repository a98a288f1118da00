import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { cocoAveragePrecision } from '../../../src/evaluation/slices/coco.js'
import type { ImagePair } from '../../../src/evaluation/slices/pairs.js'

interface Case {
  truth: [number, number, number, number][][]
  detections: [number, number, number, number, number][][]
  ap: number[]
  from50to95: number
  from10to50: number
}
const { cases } = JSON.parse(
  readFileSync(new URL('../../fixtures/evaluation/coco.json', import.meta.url), 'utf8'),
) as { cases: Case[] }

test.each(cases.map((item, index) => [index, item] as const))('pycocotools, case %i', (_, item) => {
  const images = item.truth.map((truth, index): ImagePair => ({
    image: `${index}`,
    index,
    truth: truth.map(([x1, y1, x2, y2]) => ({ x1, y1, x2, y2 })),
    detections: item.detections[index]!.map(([x1, y1, x2, y2, score]) => ({ x1, y1, x2, y2, score })),
  }))
  const result = cocoAveragePrecision(images)
  result.byIou.forEach(({ ap }, i) => expect(ap).toBeCloseTo(item.ap[i]!, 10))
  expect(result.from50to95).toBeCloseTo(item.from50to95, 10)
  expect(result.from10to50).toBeCloseTo(item.from10to50, 10)
})

const thresholds = JSON.parse(
  readFileSync(new URL('../../fixtures/evaluation/coco_thresholds.json', import.meta.url), 'utf8'),
) as { cases: { true: number; widths: (number | null)[]; ap: number[] }[] }

test('recalls and IoUs exactly on its thresholds count as with pycocotools', () => {
  for (const { true: width, widths, ap } of thresholds.cases) {
    const images = widths.map((x2, index): ImagePair => ({
      ...{ image: `${index}`, index },
      truth: [{ x1: 0, y1: 0, x2: width, y2: 1 }],
      detections: x2 === null ? [] : [{ x1: 0, y1: 0, x2, y2: 1, score: 1 - index / 1000 }],
    }))
    const { byIou, from50to95 } = cocoAveragePrecision(images)
    const ours = byIou.filter(({ iou }) => iou >= 0.5)
    expect(ours.map(({ iou }) => iou)).toEqual([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
    ours.forEach((item, i) => expect(item.ap).toBeCloseTo(ap[i]!, 12))
    expect(from50to95).toBeCloseTo(ap.reduce((sum, value) => sum + value) / 10, 12)
  }
})

test('without true boxes there is no AP', () => {
  expect(cocoAveragePrecision([{ image: 'a', index: 0, truth: [], detections: [] }])).toMatchObject({
    from50to95: null,
    from10to50: null,
  })
})
