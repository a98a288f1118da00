import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { frameBoxes } from '../../src/dataset/prepare/boxes.js'
import { selectSlices } from '../../src/dataset/prepare/select.js'
import { partSizes, splitPatients, splitRule } from '../../src/dataset/prepare/split.js'
import { frameToImage } from '../../src/geometry/frame.js'
import { createRandom } from '../../src/random.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-split-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const patients = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ patientId: `P${i}`, seriesInstanceUid: `1.2.${i}` }))

const rule = splitRule('0.7,0.1,0.2', undefined, undefined)

describe('splitPatients', () => {
  it('keeps the fractions, is the same in any order, and keeps patients together', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 80 }), fc.nat(1000), (count, seed) => {
        const series = patients(count)
        const twice = [
          ...series,
          ...series.map((item) => ({ ...item, seriesInstanceUid: `${item.seriesInstanceUid}.9` })),
        ]
        const parts = splitPatients(series, rule, seed)
        expect(parts).toEqual(splitPatients(twice.reverse(), rule, seed))
        const sizes = ['train', 'val', 'test'].map(
          (part) => [...parts.values()].filter((p) => p === part).length,
        )
        expect(sizes.reduce((a, b) => a + b)).toBe(count)
        for (const [i, fraction] of [0.7, 0.1, 0.2].entries()) {
          expect(sizes[i]).toBeGreaterThanOrEqual(1)
          expect(Math.abs(sizes[i]! - fraction * count)).toBeLessThan(2)
        }
      }),
    )
  })

  it('depends on the seed; a new patient moves few others', () => {
    const before = splitPatients(patients(200), rule, 1)
    expect(splitPatients(patients(200), rule, 2)).not.toEqual(before)
    const after = splitPatients(patients(201), rule, 1)
    const moved = [...before].filter(([id, part]) => after.get(id) !== part)
    expect(moved.length).toBeLessThanOrEqual(3)
  })

  it('makes folds of equal size', () => {
    const parts = splitPatients(patients(23), splitRule('', 10, undefined), 1)
    const sizes = new Map<string, number>()
    for (const part of parts.values()) sizes.set(part, (sizes.get(part) ?? 0) + 1)
    expect(sizes.size).toBe(10)
    expect(Math.max(...sizes.values()) - Math.min(...sizes.values())).toBe(1)
  })

  it('takes given parts, of patients or series', () => {
    const path = join(folder, 'given.csv')
    writeFileSync(path, '# comment\nid,subset\nP0,train\n1.2.1; 3\n\nP2\ttest\r\n')
    const parts = splitPatients(patients(4), splitRule('', undefined, path), 1)
    expect([...parts]).toEqual([
      ['P0', 'train'],
      ['P1', 'fold-3'],
      ['P2', 'test'],
    ])
  })

  it.each([
    ['P0,train\nP0,test', /line 2: in two parts: expected P0 in train as before but received test/],
    ['P0', /line 1: wrong line/],
    ['P0,manifest', /line 1: wrong line: expected .*not "manifest"/],
    ['P0,train\nP1,Train', /line 2: a part in other capitals than before: expected train but received Train/],
    ['P0,../../x', /line 1: wrong line/],
    ['P0,a,b', /line 1: wrong line/],
    ['', /names no patient/],
  ])('refuses %j', (content, message) => {
    const path = join(folder, 'bad.csv')
    writeFileSync(path, content)
    expect(() => splitRule('', undefined, path)).toThrow(message)
  })

  it('refuses two series of a patient in two parts, and wrong fractions', () => {
    const path = join(folder, 'torn.csv')
    writeFileSync(path, '1.1,train\n1.2,test\n')
    const series = ['1.1', '1.2'].map((seriesInstanceUid) => ({ patientId: 'P', seriesInstanceUid }))
    expect(() => splitPatients(series, splitRule('', undefined, path), 1)).toThrow(
      /two series of one patient/,
    )
    for (const wrong of ['0.5,0.5', '0.5,0.5,0.5', '1,x,0', '1.2,-0.2,0'])
      expect(() => splitRule(wrong, undefined, undefined)).toThrow(/three fractions/)
    expect(() => splitRule('', 1, undefined)).toThrow(/for folds/)
    expect(() => splitRule('', undefined, join(folder, 'none.csv'))).toThrow(/no such file/)
  })

  it('gives every wanted part something where it can', () => {
    expect(partSizes(3, [0.9, 0.05, 0.05])).toEqual([1, 1, 1])
    expect(partSizes(2, [0.7, 0.1, 0.2])).toEqual([1, 0, 1])
    expect(partSizes(10, [0.8, 0, 0.2])).toEqual([8, 0, 2])
    expect(partSizes(0, [0.8, 0, 0.2])).toEqual([0, 0, 0])
  })
})

describe('selectSlices', () => {
  const positive = new Set([4, 5, 6])
  const excluded = new Set([7, 8])

  it('takes all, those with nodules, or a ratio from the lungs without the excluded', () => {
    const random = createRandom(1)
    expect(selectSlices(10, positive, excluded, [2, 9], { kind: 'all' }, random)).toHaveLength(10)
    expect(selectSlices(10, positive, excluded, [2, 9], { kind: 'nodules' }, random)).toEqual([4, 5, 6])
    const most = selectSlices(10, positive, excluded, [2, 9], { kind: 'ratio', negatives: 9 }, random)
    expect(most).toEqual([2, 3, 4, 5, 6])
    const one = selectSlices(10, positive, excluded, [0, 10], { kind: 'ratio', negatives: 1 / 3 }, random)
    expect(one).toHaveLength(4)
  })

  it('draws every negative alike', () => {
    const counts = new Map<number, number>()
    for (let seed = 0; seed < 2000; seed++) {
      const chosen = selectSlices(
        10,
        new Set([0, 1]),
        new Set(),
        [0, 10],
        { kind: 'ratio', negatives: 1 },
        createRandom(seed),
      )
      for (const k of chosen) counts.set(k, (counts.get(k) ?? 0) + 1)
    }
    for (let k = 2; k < 10; k++) expect(Math.abs(counts.get(k)! - 500)).toBeLessThan(100)
  })
})

describe('frameBoxes', () => {
  const mapping = { originX: 100, originY: 50, scale: 0.8, frameWidth: 352, frameHeight: 256 }
  const boxRule = { minReaders: 3, minAxialDiameterMm: 3, minBoxPx: 4, padBoxPx: 0 }

  it('maps boxes so that they map back exactly, clips, excludes and counts', () => {
    const box = { x1: 200, y1: 100, x2: 220, y2: 130 }
    const { slices, outside } = frameBoxes(
      [
        { id: '1', k: 3, box, accepted: true },
        { id: '2', k: 3, box, accepted: false },
        { id: '3', k: 3, box: { x1: 200, y1: 100, x2: 204, y2: 130 }, accepted: true },
        { id: '4', k: 5, box: { x1: 90, y1: 100, x2: 120, y2: 130 }, accepted: true },
        { id: '5', k: 6, box: { x1: 10, y1: 100, x2: 40, y2: 130 }, accepted: true },
      ],
      mapping,
      boxRule,
    )
    expect(outside).toBe(1)
    expect([...slices.keys()]).toEqual([3, 5])
    expect(slices.get(3)).toMatchObject({ ids: ['1'], excluded: [{}, {}] })
    const back = frameToImage(mapping, slices.get(3)!.rects[0]!)
    for (const key of ['x1', 'y1', 'x2', 'y2'] as const) expect(back[key]).toBeCloseTo(box[key], 10)
    expect(slices.get(5)!.rects[0]!.x1).toBe(0)
  })

  it('a hull goes along, in thousandths of a pixel, but for boxes that are clipped or padded', () => {
    const hull = [
      [100.5, 100.5],
      [119.5, 105.5],
      [110.5, 129.5],
    ] as const
    const box = { x1: 100, y1: 100, x2: 120, y2: 130 }
    const [own, clipped] = [mapping, { ...mapping, originX: 110.2 }].map((into) =>
      frameBoxes([{ id: '1', k: 0, box, hull, accepted: true }], into, boxRule).slices.get(0)!,
    )
    expect(own!.rects[0]!.hull).toEqual([
      [0.4, 40.4],
      [15.6, 44.4],
      [8.4, 63.6],
    ])
    expect(clipped!.rects[0]).toMatchObject({ x1: 0 })
    expect(clipped!.rects[0]).not.toHaveProperty('hull')
    const padded = frameBoxes([{ id: '1', k: 0, box, hull, accepted: true }], mapping, {
      ...boxRule,
      padBoxPx: 20,
    })
    expect(padded.slices.get(0)!.rects[0]).not.toHaveProperty('hull')
  })

  it('pads as the reference did', () => {
    const { slices } = frameBoxes(
      [{ id: '1', k: 0, box: { x1: 200, y1: 100, x2: 210, y2: 200 }, accepted: true }],
      mapping,
      { ...boxRule, padBoxPx: 32 },
    )
    const [rect] = slices.get(0)!.rects
    expect(rect!.x2 - rect!.x1).toBeCloseTo(32, 10)
    expect((rect!.x1 + rect!.x2) / 2).toBeCloseTo(84, 10)
    expect(rect!.y2 - rect!.y1).toBeCloseTo(80, 10)
  })
})
