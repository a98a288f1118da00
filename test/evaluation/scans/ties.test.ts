import { expect, test } from 'vitest'
import { evaluateScans } from '../../../src/evaluation/scans/scans.js'

const nodule = { seriesUid: 'a', id: 'n', x: 90, y: 0, z: 0, equivalentDiameterMm: 10, excluded: false }

test('of marks that are as probable as the first too many, the first stay; officially none', () => {
  const marks = [0.5, 0.5, 0.9, 0.5, 0.4].map((probability, i) => ({
    ...{ seriesUid: 'a', id: `${i}`, x: i, y: 0, z: 0 },
    probability,
  }))
  const outcome = (official: boolean): unknown[] => {
    const result = evaluateScans(['a'], [nodule], marks, {
      ...{ maxMarks: 2, official, bootstraps: 0 },
    })
    return [result.marks.map((one) => one.outcome !== 'dropped'), result.counts.droppedMarks, result.warnings]
  }
  expect(outcome(false)).toEqual([
    [true, false, true, false, false],
    3,
    ['3 marks beyond the 2 most probable of their scan are dropped'],
  ])
  expect(outcome(true)).toEqual([
    [false, false, true, false, false],
    4,
    [
      '3 marks beyond the 2 most probable of their scan are dropped, and so is 1 among these, of equal probability with the first beyond, as in the official script',
    ],
  ])
})
