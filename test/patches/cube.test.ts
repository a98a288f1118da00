import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { patientToVoxel, voxelToPatient } from '../../src/geometry/patient.js'
import type { Vector3 } from '../../src/geometry/vector.js'
import { PLAIN_VIEW, renderView, storedSpec } from '../../src/patches/augment.js'
import { cubeBytes, cubePlanes, reachFrom, sampleCubes } from '../../src/patches/cube.js'
import type { CubeGrid, CubeSpec } from '../../src/patches/cube.js'
import { createRandom } from '../../src/random.js'
import type { HuVolume } from '../../src/volume/index.js'
import { randomVolume, volumeOf } from './volumes.js'

/** The same by the plainest way: each pixel through patient coordinates, eight voxels by a function. */
function plainCube(volume: HuVolume, center: Vector3, spec: CubeSpec): number[] {
  const { geometry, shape, data } = volume
  const middle = voxelToPatient(geometry, ...center)
  const within = (at: number, size: number): number => Math.min(Math.max(at, 0), size - 1)
  const hu = (k: number, j: number, i: number): number =>
    data[(within(k, shape[0]) * shape[1] + within(j, shape[1])) * shape[2] + within(i, shape[2])]!
  const between = (at: number, value: (index: number) => number): number =>
    value(Math.floor(at)) * (1 - (at - Math.floor(at))) + value(Math.floor(at) + 1) * (at - Math.floor(at))
  const values: number[] = []
  for (const grid of [spec.fine, ...(spec.coarse === undefined ? [] : [spec.coarse])]) {
    for (let p = 0; p < grid.planes; p++) {
      for (let row = 0; row < grid.size; row++) {
        for (let column = 0; column < grid.size; column++) {
          const step = (n: number, count: number, mm: number): number => (n - (count - 1) / 2) * mm
          const [k, j, i] = patientToVoxel(geometry, [
            middle[0] + step(column, grid.size, grid.pixelMm),
            middle[1] + step(row, grid.size, grid.pixelMm),
            middle[2] + step(p, grid.planes, grid.planeMm),
          ])
          const value = between(within(k, shape[0]), (slice) =>
            between(j, (y) => between(i, (x) => hu(slice, y, x))),
          )
          const gray = ((value - spec.windowLow) * 255) / (spec.windowHigh - spec.windowLow)
          values.push(Math.min(255, Math.max(0, gray)))
        }
      }
    }
  }
  return values
}

const grid = (planes: number, size: number, planeMm = 2, pixelMm = 0.7): CubeGrid => ({
  planes,
  size,
  planeMm,
  pixelMm,
})
const window = { windowLow: -1000, windowHigh: 400 }

describe('sampleCubes', () => {
  it('equals the plain reference on random volumes, points and grids, within rounding', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.boolean(), (seed, wide) => {
        const volume = randomVolume(seed)
        const random = createRandom(seed).fork('points')
        const point = (): Vector3 =>
          volume.shape.map((size) => (random.uniform() * 1.6 - 0.3) * size) as unknown as Vector3
        const size = 1 + random.integer(12)
        const spec: CubeSpec = {
          fine: grid(1 + 2 * random.integer(4), size, 0.5 + 3 * random.uniform(), 0.3 + random.uniform()),
          ...(wide ? { coarse: grid(3, size, 4, 1.4) } : {}),
          windowLow: -1100 + 200 * random.uniform(),
          windowHigh: 300 + 200 * random.uniform(),
        }
        const centers = [point(), point()]
        const cubes = sampleCubes(volume, centers, spec)
        const expected = centers.flatMap((center) => plainCube(volume, center, spec))
        expect(cubes.length).toBe(expected.length)
        expect(cubes.length).toBe(2 * cubeBytes(spec))
        cubes.forEach((gray, n) => expect(Math.abs(gray - expected[n]!)).toBeLessThanOrEqual(0.5001))
      }),
      { numRuns: 60 },
    )
  })

  it('is the last slice, row and column again beyond the ends', () => {
    const volume = volumeOf([2, 4, 4], [0, 2], [1, 1], (k, _, i) => (k === 0 ? -300 : 100) + 10 * i)
    const cube = sampleCubes(volume, [[0, 1.5, 1.5]], { fine: grid(5, 6, 2, 1), ...window })
    const plane = (p: number): number[] => [...cube.subarray(p * 36, (p + 1) * 36)]
    expect(plane(0)).toEqual(plane(2))
    expect(plane(1)).toEqual(plane(2))
    expect(plane(4)).toEqual(plane(3))
    const row = (hu: number): number[] =>
      [0, 0, 1, 2, 3, 3].map((i) => Math.round(((hu + 1000 + 10 * i) * 255) / 1400))
    for (const n of [0, 2, 5]) {
      expect(plane(2).slice(6 * n, 6 * n + 6)).toEqual(row(-300))
      expect(plane(3).slice(6 * n, 6 * n + 6)).toEqual(row(100))
    }
  })

  it('knows how far a volume reaches from a point', () => {
    const volume = volumeOf([2, 4, 6], [0, 2], [0.5, 0.7], () => 0)
    expect(reachFrom(volume, [0.5, 1, 4])).toEqual({
      ends: [1, 1],
      sides: [2.8, expect.closeTo(0.7), 0.5, 1],
    })
    expect(reachFrom(volume, [3, -1, 7])).toEqual({ ends: [6, 0], sides: [expect.closeTo(4.9), 0, 0, 2] })
  })

  it('takes 200 cubes in a fraction of a second', () => {
    const volume = volumeOf(
      [40, 300, 300],
      Array.from({ length: 40 }, (_, k) => 2.5 * k),
      [0.7, 0.7],
      (k, j, i) => ((k * 31 + j * 17 + i * 7) % 1400) - 1000,
    )
    const spec: CubeSpec = { fine: grid(9, 48), ...window }
    const centers = Array.from({ length: 200 }, (_, n): Vector3 => [n % 40, 30 + n, 250 - n])
    // Time of the processor, not of the clock: other work runs on the machine. The goal is 200 ms.
    const times = [0, 1, 2].map(() => {
      const start = process.cpuUsage()
      sampleCubes(volume, centers, spec)
      return process.cpuUsage(start).user / 1000
    })
    expect(Math.min(...times)).toBeLessThan(400)
  })

  it.each<[string, Partial<CubeSpec>, Vector3[], string]>([
    ['a point that is no number', {}, [[0, Number.NaN, 1]], 'Expected finite voxel indices for centers'],
    ['no planes', { fine: grid(0, 4) }, [], 'Expected integer between 1 and 255 for planes but received 0'],
    ['pixels of 0 mm', { fine: grid(1, 4, 2, 0) }, [], 'for pixelMm but received 0'],
    ['grids of two sizes', { coarse: grid(1, 5) }, [], 'Expected 4, as the fine planes for coarse.size'],
    ['a window without width', { windowHigh: -1000 }, [], 'Expected more than -1000 for windowHigh'],
  ])('refuses %s', (_, change, centers, message) => {
    const volume = volumeOf([1, 2, 2], [0], [1, 1], () => 0)
    const sample = (): Uint8Array => sampleCubes(volume, centers, { fine: grid(1, 4), ...window, ...change })
    expect(sample).toThrow(NoduleError)
    expect(sample).toThrow(message)
  })
})

describe('renderView', () => {
  const spec: CubeSpec = { fine: grid(5, 12), coarse: grid(3, 12, 4, 1.4), ...window }
  const volume = volumeOf(
    [30, 80, 80],
    Array.from({ length: 30 }, (_, k) => 1.5 * k),
    [0.7, 0.8],
    (k, j, i) => 500 * Math.sin(k / 3) * Math.cos(j / 9) + 5 * i - 500,
  )
  const center: Vector3 = [14.2, 40.3, 39.1]
  const stored = sampleCubes(volume, [center], storedSpec(spec))
  const planes = cubePlanes(spec)
  const render = (view: object): Float32Array => {
    const out = new Float32Array(12 * 12 * planes)
    renderView(stored, spec, { ...PLAIN_VIEW, ...view }, createRandom(3), out)
    return out
  }
  const at = (cube: Float32Array, row: number, column: number, plane: number): number =>
    cube[(row * 12 + column) * planes + plane]!

  it('as it is holds the same as a cube sampled for the network', () => {
    const cube = sampleCubes(volume, [center], spec)
    const view = render({})
    for (let plane = 0; plane < planes; plane++)
      for (let n = 0; n < 144; n++)
        expect(Math.abs(view[n * planes + plane]! - cube[plane * 144 + n]!)).toBeLessThanOrEqual(1e-3)
  })

  it('mirrors in x, y and z and turns about the center', () => {
    const plain = render({})
    const mirrored = render({ mirrorX: true, mirrorY: true, mirrorZ: true })
    const turned = render({ angle: Math.PI / 2 })
    for (const [row, column, plane] of [
      [0, 3, 1],
      [5, 11, 0],
      [7, 2, 4],
    ] as const) {
      expect(at(mirrored, row, column, plane)).toBeCloseTo(at(plain, 11 - row, 11 - column, 4 - plane), 3)
      // A quarter turn shows at (row, column) what lay at (column, 11 - row).
      expect(at(turned, row, column, plane)).toBeCloseTo(at(plain, column, 11 - row, plane), 2)
    }
  })

  it('scales in all directions', () => {
    const larger: CubeSpec = { ...spec, fine: grid(5, 12, 2.2, 0.77), coarse: grid(3, 12, 4.4, 1.54) }
    const expected = sampleCubes(volume, [center], larger)
    const view = render({ scale: 1.1 })
    // Two interpolations, one after the other, blur a little.
    for (let plane = 0; plane < planes; plane++)
      for (const n of [0, 13, 77, 143])
        expect(Math.abs(view[n * planes + plane]! - expected[plane * 144 + n]!)).toBeLessThan(8)
  })

  it('repeats the plane at an end, as a volume does that ends there', () => {
    const view = render({ reach: { ...PLAIN_VIEW.reach, ends: [2, 0] } })
    for (const [row, column] of [
      [0, 0],
      [6, 9],
    ] as const) {
      const values = [0, 1, 2, 3, 4].map((plane) => at(view, row, column, plane))
      expect(values[0]).toBe(values[1])
      expect(values[3]).toBe(values[2])
      expect(values[4]).toBe(values[2])
      expect(values[1]).not.toBe(values[2])
    }
  })

  it('repeats the column and row at a side, in the fine and the coarse planes, however it is turned', () => {
    // Pixels lie half a pixel and more from the middle: 3.9 mm hold six of 0.7 mm and three of 1.4 mm, 0.4 mm one and none.
    const view = render({ reach: { ...PLAIN_VIEW.reach, sides: [3.9, Infinity, Infinity, 0.4] } })
    const plain = render({})
    for (const [plane, first, last] of [
      [2, 0, 6],
      [6, 3, 5],
    ] as const) {
      for (let column = 0; column < 12; column++)
        expect(at(view, 3, column, plane)).toBe(at(plain, 3, Math.max(column, first), plane))
      for (let row = last; row < 12; row++) expect(at(view, row, 9, plane)).toBe(at(plain, last, 9, plane))
    }
    const turned = render({ angle: Math.PI, reach: { ...PLAIN_VIEW.reach, sides: [3.9, 99, 99, 0.4] } })
    expect(at(turned, 8, 10, 6)).toBeCloseTo(at(turned, 8, 8, 6), 4)
    expect(at(turned, 0, 3, 6)).toBeCloseTo(at(turned, 6, 3, 6), 4)
  })

  it('changes contrast and brightness about the middle gray, and stays within 0 and 255', () => {
    const plain = render({})
    const view = render({ contrast: 1.5, brightness: 20 })
    plain.forEach((gray, n) =>
      expect(view[n]).toBeCloseTo(Math.min(255, Math.max(0, (gray - 127.5) * 1.5 + 147.5)), 2),
    )
    const noisy = render({ noise: 10 })
    const differences = [...noisy].map((gray, n) => gray - plain[n]!)
    const deviation = Math.sqrt(differences.reduce((sum, d) => sum + d * d, 0) / differences.length)
    expect(deviation).toBeGreaterThan(7)
    expect(deviation).toBeLessThan(13)
  })
})
