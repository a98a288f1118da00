import { describe, expect, it } from 'vitest'
import { chartSvg } from '../../src/report/chart.js'

/** A chart of one line, and of the same values as dots and as a band. */
function draw(values: readonly number[]): string {
  const points = values.map((y, x): [number, number] => [x, y])
  const x = points.map(([first]) => first)
  return chartSvg({
    title: 'learning rate',
    x: { name: 'step' },
    y: { name: 'rate' },
    lines: [
      { name: 'line', points },
      { name: 'dots', points, scatter: true },
    ],
    bands: [{ name: 'band', x, low: values, high: values, color: '#0072b2' }],
  })
}

describe('chartSvg', () => {
  it.each([
    ['smaller than any normal number', [1e-320, 1e-320]],
    ['that differ by a denormal', [0, 5e-324]],
    ['whose distance overflows', [-1e308, 1e308]],
    ['without an end', [Infinity, 1]],
  ])('draws values %s', (_, values) => {
    const svg = draw(values)
    expect(svg).toMatch(/^<svg/)
    expect(svg).not.toMatch(/NaN|Infinity/)
  })

  it('draws ordinary values where they were', () => {
    expect(draw([1e-6, 2e-6])).toContain('learning rate')
    expect(draw([1, 2])).not.toBe(draw([1, 3]))
  })
})
