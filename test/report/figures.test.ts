import { expect, it } from 'vitest'
import { learningRateChart, lossChart, validationChart } from '../../src/report/figures.js'

const entry = (step: number, parts: Record<string, number>): Parameters<typeof lossChart>[0][number] => ({
  ...{ step, lr: 0.1, loss: 2, testLoss: 3, parts },
})

it('losses are drawn in pairs of one color: the training solid, the test dashed', () => {
  const parts = { confidence: 1, testConfidence: 1.5, box: 0.5, testBox: 0.7, accuracy: 0.9 }
  const { lines } = lossChart([entry(0, parts), entry(50, parts)])
  expect(lines.map(({ name, dashed }) => [name.split(',')[0], dashed === true])).toEqual([
    ['loss', false],
    ['test loss', true],
    ['confidence', false],
    ['test confidence', true],
    ['box', false],
    ['test box', true],
  ])
  for (let n = 0; n < lines.length; n += 2) expect(lines[n + 1]!.color).toBe(lines[n]!.color)
  expect(lines[3]!.points).toEqual([
    [0, 1.5],
    [50, 1.5],
  ])
})

it('the looks at the whole test list are a chart where there were any', () => {
  expect(validationChart([entry(0, {})])).toBeUndefined()
  const chart = validationChart([entry(0, {}), entry(50, { testAp: 0.25, testRecall: 0.5 })])!
  expect(chart.lines.map(({ name, points }) => [name, points])).toEqual([
    ['AP at IoU 0.5, 0.250 at the end', [[50, 0.25]]],
    ['recall at precision 0.735, 0.500 at the end', [[50, 0.5]]],
  ])
})

it('a second stage has the area under the ROC curve of its test cubes', () => {
  const chart = validationChart([entry(0, {}), entry(50, { testAuc: 0.875 })])!
  expect(chart).toMatchObject({ title: 'Test cubes', y: { name: 'AUC' } })
  expect(chart.lines.map(({ name, points }) => [name, points])).toEqual([
    ['area under the ROC curve, 0.875 at the end', [[50, 0.875]]],
  ])
})

it('no two ticks of an axis read the same', () => {
  const { format } = learningRateChart([entry(0, {})]).y
  expect([5e-5, 1e-4, 1.5e-4, 2e-4, 0.0015, 150_000].map((value) => format!(value))).toEqual([
    ...['5e-5', '1e-4', '1.5e-4', '2e-4', '0.0015', '1.5e+5'],
  ])
})
