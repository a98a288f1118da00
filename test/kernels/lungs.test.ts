import { describe, expect, it } from 'vitest'
import {
  type RefineInput,
  dilateMask,
  erodeMask,
  findParts,
  refineLungs,
  shrinkVolume,
} from '../../src/kernels/index.js'
import { addonStatus, setThreads } from '../../src/kernels/addon.js'
import {
  balls,
  blockCases,
  gridShapes,
  huData,
  maskInput,
  maskKinds,
  refineInput,
} from '../../benchmarks/cases/kernels.js'
import { devices } from './devices.js'

const cpu = devices.find(({ device }) => device === 'cpu')!
const reference = { device: 'reference' as const }
const native = { device: 'cpu' as const }

describe('the references', () => {
  it('average blocks and round half up', () => {
    const data = Int16Array.of(1, 2, 5, -1, -2, 6)
    expect([...shrinkVolume({ data, shape: [1, 1, 6] }, [1, 1, 2], reference).data]).toEqual([2, 2, 2])
    expect([...shrinkVolume({ data, shape: [1, 2, 3] }, [1, 2, 2], reference).data]).toEqual([0, 6])
    expect([
      ...shrinkVolume({ data: Int16Array.of(-1, -2), shape: [1, 1, 2] }, [1, 1, 2], reference).data,
    ]).toEqual([-1])
  })

  it('sum the largest blocks without overflow', () => {
    const shape = [128, 128, 128] as const
    for (const value of [-32768, 32767]) {
      const data = new Int16Array(128 ** 3).fill(value)
      expect([...shrinkVolume({ data, shape }, shape, reference).data]).toEqual([value])
      if (!cpu.skip) expect([...shrinkVolume({ data, shape }, shape, native).data]).toEqual([value])
    }
  })

  it('take deep and filled blocks whole, judge the surface by HU, and leave the trachea out', () => {
    // Five blocks of two voxels: wall, lung, filled, lung, wall.
    const data = Int16Array.of(0, -800, -800, 0, 0, 0, -800, -800, -800, 0)
    const closed = Uint8Array.of(0, 1, 1, 1, 0)
    const air = Uint8Array.of(0, 1, 0, 1, 0)
    const input: RefineInput = {
      data,
      shape: [1, 1, 10],
      factors: [1, 1, 2],
      closed: [undefined, closed],
      air: [undefined, air],
      trachea: Int32Array.of(7, 7, 0),
      surfaceHu: -400,
      sides: true,
    }
    const { mask, sides, counts, box } = refineLungs(input, reference)
    expect([...mask]).toEqual([0, 1, 1, 0, 1, 1, 1, 0, 1, 0])
    expect([...sides!]).toEqual([...mask].map((value) => 2 * value))
    expect(counts).toEqual([0, 6])
    expect(box).toEqual({ z: [0, 1], y: [0, 1], x: [1, 9] })
    expect(refineLungs({ ...input, closed: [undefined, undefined], air: [undefined, undefined] }).box).toBe(
      undefined,
    )
  })

  it('refuse what does not fit', () => {
    const mask = maskInput([2, 3, 4], 'noise', 1)
    const code = expect.objectContaining({ code: 'INVALID_PARAMETER' }) as unknown
    expect(() => dilateMask({ ...mask, shape: [2, 3, 5] }, 1)).toThrow(code)
    expect(() => dilateMask(mask, -1)).toThrow(code)
    expect(() => dilateMask({ ...mask, spacing: [1, 0, 1] }, 1)).toThrow(code)
    expect(() => dilateMask(mask, 1, { device: 'cuda' })).toThrow('there is no CUDA version')
    expect(() => findParts(mask, { below: 0.5 })).toThrow(code)
    expect(() => shrinkVolume({ data: new Int16Array(24), shape: [2, 3, 4] }, [0, 1, 1])).toThrow(code)
    const input = refineInput(blockCases[4]!, 'both', 1)
    expect(() => refineLungs({ ...input, trachea: Int32Array.of(input.data.length) })).toThrow(code)
    expect(() => refineLungs({ ...input, air: [undefined, input.air[1]] })).toThrow(code)
    expect(() => refineLungs({ ...input, closed: [new Uint8Array(3), input.closed[1]] })).toThrow(code)
  })
})

describe.skipIf(cpu.skip)(`${cpu.title}: the same bits as the reference`, () => {
  it.each(gridShapes.map((shape) => ({ shape })))('dilateMask and erodeMask, $shape', ({ shape }) => {
    for (const [seed, kind] of maskKinds.entries())
      for (const { radius, spacing } of balls) {
        const mask = { ...maskInput(shape, kind, seed), spacing }
        for (const work of [dilateMask, erodeMask])
          expect(work(mask, radius, native).data, `${kind} ${radius}`).toEqual(
            work(mask, radius, reference).data,
          )
      }
  })

  it.each(gridShapes.map((shape) => ({ shape })))('findParts, $shape', ({ shape }) => {
    for (const planar of [false, true]) {
      for (const [seed, kind] of maskKinds.entries())
        for (const below of [undefined, 0, 1, 2, 300]) {
          const mask = maskInput(shape, kind, seed)
          expect(findParts(mask, { ...native, planar, below })).toEqual(
            findParts(mask, { ...reference, planar, below }),
          )
        }
      const image = { data: huData(shape, 7), shape }
      for (const below of [undefined, -32768, -32767, -400, 0, 32767])
        expect(findParts(image, { ...native, planar, below })).toEqual(
          findParts(image, { ...reference, planar, below }),
        )
    }
  })

  it.each(blockCases)('shrinkVolume, $name', ({ shape, factors }) => {
    const volume = { data: huData(shape, 3), shape }
    expect(shrinkVolume(volume, factors, native)).toEqual(shrinkVolume(volume, factors, reference))
  })

  it.each(blockCases)('refineLungs, $name', (c) => {
    for (const [seed, lungs] of (['both', 'right', 'left', 'none', 'both'] as const).entries()) {
      const input = refineInput(c, lungs, seed)
      expect(refineLungs(input, native)).toEqual(refineLungs(input, reference))
    }
  })

  it('with any number of threads', () => {
    const { threads: before } = addonStatus()
    const mask = { ...maskInput([40, 30, 70], 'sparse', 5), spacing: [2, 1, 1] as const }
    const expected = dilateMask(mask, 5, native)
    try {
      for (const threads of [1, 3]) {
        setThreads(threads)
        expect(dilateMask(mask, 5, native)).toEqual(expected)
      }
    } finally {
      setThreads(before)
    }
  })
})
