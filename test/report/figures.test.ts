import { expect, it } from 'vitest'
import { COLORS } from '../../src/report/chart.js'
import {
  comparedTrainingCharts,
  learningRateChart,
  lossChart,
  validationChart,
} from '../../src/report/training_charts.js'
import type { TrainingRun } from '../../src/report/training_charts.js'

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

it('trainings are drawn on top of each other, a color a run, whatever their lengths', () => {
  const run = (name: string, steps: number, parts: Record<string, number> = {}): TrainingRun => ({
    name,
    log: Array.from({ length: steps }, (_, n) => entry(10 * n, parts)),
  })
  const charts = comparedTrainingCharts([run('a', 3, { testAp: 0.4 }), run('b', 200, { testAp: 0.5 })])
  expect(Object.keys(charts)).toEqual(['loss', 'ap', 'learning-rate'])
  const facts = (key: string): unknown[] =>
    charts[key]!.lines.map(({ name, points, dashed }) => [name, points.length, dashed === true])
  expect(facts('loss')).toEqual([
    ['a: loss 2.00 at the end', 3, false],
    ['a: test loss 3.00', 3, true],
    ['b: loss 2.00 at the end', 200, false],
    ['b: test loss 3.00', 200, true],
  ])
  expect(facts('ap')).toEqual([
    ['a: 0.400 at the end', 3, false],
    ['b: 0.500 at the end', 200, false],
  ])
  for (const { lines } of Object.values(charts)) {
    const colors = lines.map(({ color }) => color)
    expect(new Set(colors).size).toBe(2)
    expect(colors[0]).toBe(COLORS[0])
    expect(colors.at(-1)).toBe(COLORS[1])
  }
  // What only one of them has is in its own part of the page.
  const mixed = comparedTrainingCharts([run('a', 3, { testAp: 0.4 }), run('cubes', 3, { testAuc: 0.9 })])
  expect(Object.keys(mixed)).toEqual(['loss', 'learning-rate'])
  const cubes = comparedTrainingCharts([run('a', 3, { testAuc: 0.9 }), run('b', 3, { testAuc: 0.8 })])
  expect(Object.keys(cubes)).toEqual(['loss', 'auc', 'learning-rate'])
})
