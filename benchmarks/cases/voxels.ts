/** Sizes of the kernels over voxels; see kernels.ts. */
import { triangleTaps } from '../../src/dataset/resample.js'
import type { FramesInput } from '../../src/kernels/frames.js'
import type { HuBatch } from '../../src/kernels/hu.js'
import type { StoredArray } from '../../src/kernels/reference/hu.js'
import { createRandom } from '../../src/random.js'

export interface HuCase {
  name: string
  stored: 'int16' | 'uint16' | 'uint8'
  slices: number
  pixels: number
  /** Rescale Slope of slice s. */
  slope: (s: number) => number
  intercept: (s: number) => number
  padding?: { low: number; high: number }
  clamp?: [number, number]
  /** Also a benchmark. */
  bench?: boolean
}

const one = (): number => 1
const minus1024 = (): number => -1024

export const huCases: readonly HuCase[] = [
  { name: 'no slices', stored: 'int16', slices: 0, pixels: 0, slope: one, intercept: minus1024 },
  { name: 'empty slices', stored: 'int16', slices: 3, pixels: 0, slope: one, intercept: minus1024 },
  { name: 'one voxel', stored: 'int16', slices: 1, pixels: 1, slope: one, intercept: minus1024 },
  { name: 'odd uint8', stored: 'uint8', slices: 3, pixels: 17 * 13, slope: () => 10, intercept: () => -1000 },
  { name: 'one past a block', stored: 'int16', slices: 2, pixels: 257, slope: one, intercept: minus1024 },
  { name: 'one past a run', stored: 'uint16', slices: 2, pixels: 65537, slope: one, intercept: minus1024 },
  {
    name: 'halves and thirds',
    stored: 'int16',
    slices: 6,
    pixels: 1001,
    slope: (s) => [0.5, -0.5, 1 / 3, -1.5, 0, 1e-3][s] ?? 1,
    intercept: (s) => [0, 0.25, -1024.5, 0.5, -0.5, 1e-7][s] ?? 0,
  },
  {
    name: 'just below a half',
    stored: 'uint8',
    slices: 2,
    pixels: 256,
    slope: () => 0.49999997,
    intercept: () => 0,
  },
  {
    name: 'huge slope',
    stored: 'int16',
    slices: 2,
    pixels: 513,
    slope: (s) => (s === 0 ? 3e38 : -1e6),
    intercept: () => 3e38,
  },
  {
    name: 'fractional intercept',
    stored: 'int16',
    slices: 2,
    pixels: 999,
    slope: one,
    intercept: () => -1024.5,
  },
  {
    name: 'large intercept',
    stored: 'uint16',
    slices: 2,
    pixels: 999,
    slope: one,
    intercept: (s) => (s === 0 ? -70000 : 40000),
  },
  {
    name: 'padding -2000',
    stored: 'int16',
    slices: 3,
    pixels: 1025,
    slope: one,
    intercept: minus1024,
    padding: { low: -2000, high: -2000 },
  },
  {
    name: 'padding range and clamp',
    stored: 'uint16',
    slices: 3,
    pixels: 333,
    slope: () => 1.25,
    intercept: minus1024,
    padding: { low: 63000, high: 65535 },
    clamp: [-1000, 400],
  },
  {
    name: 'minus zero',
    stored: 'int16',
    slices: 2,
    pixels: 300,
    slope: (s) => (s === 0 ? -0 : -1e-45),
    intercept: () => -0,
    clamp: [-5, 0],
  },
  {
    name: 'scan 240x512x512',
    stored: 'int16',
    slices: 240,
    pixels: 512 * 512,
    slope: one,
    intercept: minus1024,
    padding: { low: -2000, high: -2000 },
    bench: true,
  },
]

const storedTypes = { int16: Int16Array, uint16: Uint16Array, uint8: Uint8Array }
const storedRange = { int16: [-32768, 32767], uint16: [0, 65535], uint8: [0, 255] } as const

/** Stored values over the whole range of the type, its ends and the padding value among them. */
export function huInput(c: HuCase): HuBatch {
  const random = createRandom(c.slices * 1000 + (c.pixels % 1000))
  const [low, high] = storedRange[c.stored]
  const slices: StoredArray[] = []
  for (let s = 0; s < c.slices; s++) {
    const slice = new storedTypes[c.stored](c.pixels)
    for (let i = 0; i < c.pixels; i++)
      // Whole scans look like CT: 12 bits; the small cases use every bit.
      slice[i] = c.bench === true ? random.integer(4096) : low + random.integer(high - low + 1)
    if (c.pixels > 3) slice.set([low, high, c.padding?.low ?? 0], 0)
    slices.push(slice)
  }
  const numbers = (f: (s: number) => number): number[] => slices.map((_, s) => f(s))
  return {
    slices,
    slope: numbers(c.slope),
    intercept: numbers(c.intercept),
    padding: c.padding,
    clamp: c.clamp,
  }
}

export interface FramesCase {
  name: string
  stored: 'int16' | 'uint16' | 'uint8'
  slices: number
  rows: number
  columns: number
  /** Frame size, frame pixels per image pixel, and the image position of the frame's corner. */
  width: number
  height: number
  scale: number
  origin: readonly [x: number, y: number]
  /** Three neighbors as channels; else a plane for each slice. */
  frames?: boolean
  layout?: 'NCHW' | 'NHWC'
  output?: 'uint8' | 'float32'
  /** Slope 1, as nearly all CT has it. */
  whole?: boolean
  bench?: boolean
}

const small = { stored: 'int16', slices: 3, rows: 33, columns: 47, width: 35, height: 17 } as const

export const framesCases: readonly FramesCase[] = [
  { ...small, name: 'no slices', slices: 0, scale: 1, origin: [0, 0] },
  { ...small, name: 'one pixel', rows: 1, columns: 1, scale: 20, origin: [0, 0] },
  { ...small, name: 'empty images', rows: 0, columns: 0, scale: 1, origin: [0, 0] },
  { ...small, name: 'no frame pixels', width: 0, scale: 1, origin: [0, 0] },
  { ...small, name: 'same size, whole pixels', scale: 1, origin: [3, 5] },
  { ...small, name: 'shrunk', scale: 0.61, origin: [-1.3, 2.2] },
  { ...small, name: 'shrunk a lot', stored: 'uint8', scale: 0.13, origin: [-80, -60] },
  { ...small, name: 'enlarged', stored: 'uint16', scale: 1.9, origin: [10.1, 4.7] },
  { ...small, name: 'mostly outside', scale: 1.1, origin: [-20, -9] },
  { ...small, name: 'wholly outside', scale: 1, origin: [1000, 2000] },
  { ...small, name: 'neighbors', slices: 5, scale: 0.9, origin: [0, 0], frames: true },
  { ...small, name: 'neighbors, NHWC', slices: 5, scale: 0.9, origin: [0, 0], frames: true, layout: 'NHWC' },
  { ...small, name: 'whole HU, int16', whole: true, scale: 1, origin: [0, 0] },
  {
    ...small,
    name: 'whole HU, uint16',
    stored: 'uint16',
    whole: true,
    width: 64,
    scale: 0.9,
    origin: [0, 0],
  },
  { ...small, name: 'whole HU, uint8', stored: 'uint8', whole: true, scale: 0.9, origin: [0, 0] },
  { ...small, name: 'float32', scale: 0.9, origin: [0, 0], frames: true, output: 'float32' },
  {
    ...small,
    name: 'float32, NHWC',
    scale: 0.9,
    origin: [0, 0],
    frames: true,
    output: 'float32',
    layout: 'NHWC',
  },
  {
    name: 'scan 240x512x512 -> 352x256',
    stored: 'int16',
    slices: 240,
    rows: 512,
    columns: 512,
    // Lungs of 385 x 280 pixels.
    width: 352,
    height: 256,
    scale: 352 / 385,
    origin: [63.5, 110.25],
    frames: true,
    bench: true,
  },
]

export function framesInput(c: FramesCase): FramesInput {
  const { slices, slope, intercept, padding } = huInput({
    name: c.name,
    stored: c.stored,
    slices: c.slices,
    pixels: c.rows * c.columns,
    slope: c.bench === true || c.whole === true ? one : (s) => 0.05 + s / 100,
    intercept: minus1024,
    padding: { low: 200, high: 210 },
    bench: c.bench === true,
  })
  const sources = slices.flatMap((_, k) => [Math.max(k - 1, 0), k, Math.min(k + 1, slices.length - 1)])
  return {
    slices,
    slope,
    intercept,
    padding,
    rows: c.rows,
    columns: c.columns,
    x: triangleTaps(c.columns, c.width, c.scale, c.origin[0]),
    y: triangleTaps(c.rows, c.height, c.scale, c.origin[1]),
    window: { low: -1200, high: 600 },
    ...(c.frames === true ? { sources, channels: 3 } : {}),
    layout: c.layout ?? 'NCHW',
  }
}
