/**
 * The one list of sizes on which the kernels are compared (test/kernels) and timed (benchmarks/kernels.ts): none, one,
 * odd sizes, one past a block, ties, NaN. Inputs are made from the case's seed, so that both see the same numbers.
 */
import { triangleTaps } from '../../src/dataset/resample.js'
import type { FramesInput } from '../../src/native/frames.js'
import type { HuBatch } from '../../src/native/hu.js'
import type { MatchInput } from '../../src/native/hungarian.js'
import type { StoredArray } from '../../src/native/reference/hu.js'
import type { RezoomInput } from '../../src/native/rezoom.js'
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
  bench?: boolean
}

const small = { stored: 'int16', slices: 3, rows: 33, columns: 47, width: 35, height: 17 } as const

export const framesCases: readonly FramesCase[] = [
  { ...small, name: 'no slices', slices: 0, scale: 1, origin: [0, 0] },
  { ...small, name: 'one pixel', rows: 1, columns: 1, scale: 20, origin: [0, 0] },
  { ...small, name: 'no frame pixels', width: 0, scale: 1, origin: [0, 0] },
  { ...small, name: 'same size, whole pixels', scale: 1, origin: [3, 5] },
  { ...small, name: 'shrunk', scale: 0.61, origin: [-1.3, 2.2] },
  { ...small, name: 'shrunk a lot', stored: 'uint8', scale: 0.13, origin: [-80, -60] },
  { ...small, name: 'enlarged', stored: 'uint16', scale: 1.9, origin: [10.1, 4.7] },
  { ...small, name: 'mostly outside', scale: 1.1, origin: [-20, -9] },
  { ...small, name: 'wholly outside', scale: 1, origin: [1000, 2000] },
  { ...small, name: 'neighbors', slices: 5, scale: 0.9, origin: [0, 0], frames: true },
  { ...small, name: 'neighbors, NHWC', slices: 5, scale: 0.9, origin: [0, 0], frames: true, layout: 'NHWC' },
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
    slope: c.bench === true ? one : (s) => 0.05 + s / 100,
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

export interface RezoomCase {
  name: string
  shape: readonly [n: number, h: number, w: number, c: number]
  boxes: number
  offsetsX: readonly number[]
  offsetsY: readonly number[]
  stride: number
  layout: 'NHWC' | 'NCHW'
  /** How the boxes lie. */
  kind?: 'inside' | 'anywhere' | 'on pixels' | 'NaN'
  bench?: boolean
}

const quarter = [-0.25, 0.25] as const

export const rezoomCases: readonly RezoomCase[] = [
  {
    name: 'no images',
    shape: [0, 3, 3, 4],
    boxes: 0,
    offsetsX: [0],
    offsetsY: [0],
    stride: 8,
    layout: 'NHWC',
  },
  {
    name: 'no boxes',
    shape: [2, 3, 3, 4],
    boxes: 0,
    offsetsX: [0],
    offsetsY: [0],
    stride: 8,
    layout: 'NHWC',
  },
  {
    name: 'no channels',
    shape: [1, 3, 3, 0],
    boxes: 2,
    offsetsX: [0],
    offsetsY: [0],
    stride: 8,
    layout: 'NHWC',
  },
  {
    name: 'one pixel',
    shape: [1, 1, 1, 1],
    boxes: 1,
    offsetsX: [0],
    offsetsY: [0],
    stride: 8,
    layout: 'NHWC',
  },
  {
    name: 'one row',
    shape: [1, 1, 9, 3],
    boxes: 7,
    offsetsX: quarter,
    offsetsY: quarter,
    stride: 4,
    layout: 'NHWC',
  },
  {
    name: 'odd sizes',
    shape: [2, 7, 11, 17],
    boxes: 5,
    offsetsX: [-0.25, 0, 0.25],
    offsetsY: quarter,
    stride: 8,
    layout: 'NHWC',
  },
  {
    name: 'odd sizes',
    shape: [2, 7, 11, 17],
    boxes: 5,
    offsetsX: [-0.25, 0, 0.25],
    offsetsY: quarter,
    stride: 8,
    layout: 'NCHW',
  },
  {
    name: 'boxes anywhere',
    shape: [2, 8, 11, 65],
    boxes: 9,
    offsetsX: [-0.5, 0.125],
    offsetsY: [-1, 0, 2],
    stride: 8,
    layout: 'NHWC',
    kind: 'anywhere',
  },
  {
    name: 'on pixel centers',
    shape: [1, 8, 8, 257],
    boxes: 4,
    offsetsX: [0],
    offsetsY: [0],
    stride: 8,
    layout: 'NHWC',
    kind: 'on pixels',
  },
  {
    name: 'NaN and infinite boxes',
    shape: [1, 4, 5, 3],
    boxes: 6,
    offsetsX: quarter,
    offsetsY: quarter,
    stride: 8,
    layout: 'NHWC',
    kind: 'NaN',
  },
  {
    name: '88x5 boxes, 32x44x256, 4 samples',
    shape: [1, 32, 44, 256],
    boxes: 440,
    offsetsX: quarter,
    offsetsY: quarter,
    stride: 8,
    layout: 'NHWC',
    bench: true,
  },
]

/** Features and output gradients are normal; boxes lie as the case says. */
export function rezoomInput(c: RezoomCase): { input: RezoomInput; gradient: Float32Array } {
  const random = createRandom(7 + c.boxes)
  const [n, height, width, channels] = c.shape
  const normals = (count: number): Float32Array => Float32Array.from({ length: count }, random.normal)
  const frame = [width * c.stride, height * c.stride] as const
  const boxes = new Float32Array(n * c.boxes * 4)
  for (let b = 0; b < boxes.length; b += 4) {
    const at = (axis: 0 | 1): number =>
      c.kind === 'on pixels'
        ? (random.integer(c.shape[axis === 0 ? 2 : 1]) + 0.5) * c.stride
        : c.kind === 'anywhere'
          ? frame[axis] * (2 * random.uniform() - 0.5)
          : frame[axis] * (0.1 + 0.8 * random.uniform())
    const size = (): number => (c.kind === 'anywhere' ? 100 * random.normal() : 4 + 40 * random.uniform())
    boxes.set([at(0), at(1), size(), size()], b)
  }
  if (c.kind === 'NaN')
    boxes.set([
      NaN,
      1,
      2,
      3,
      1,
      NaN,
      2,
      3,
      9,
      9,
      NaN,
      3,
      Infinity,
      9,
      1,
      1,
      9,
      -Infinity,
      1,
      1,
      9,
      9,
      1,
      Infinity,
    ])
  const { offsetsX, offsetsY, stride, layout, shape } = c
  const samples = offsetsX.length * offsetsY.length
  return {
    input: {
      features: normals(n * height * width * channels),
      shape,
      boxes,
      offsetsX,
      offsetsY,
      stride,
      layout,
    },
    gradient: normals(n * c.boxes * samples * channels),
  }
}

export interface MatchCase {
  name: string
  cells: number
  p: number
  t: number
  /** Boxes on a coarse grid: nearly all cells have several least assignments. */
  ties?: boolean
  minIou: number
  bench?: boolean
}

export const matchCases: readonly MatchCase[] = [
  { name: 'no cells', cells: 0, p: 5, t: 5, minIou: 0.25 },
  { name: 'no truths', cells: 3, p: 5, t: 0, minIou: 0.25 },
  { name: 'no predictions', cells: 3, p: 0, t: 5, minIou: 0.25 },
  { name: 'one by one', cells: 2, p: 1, t: 1, minIou: 0.25 },
  { name: 'ties', cells: 50, p: 5, t: 5, ties: true, minIou: 0.25 },
  { name: 'more truths than predictions', cells: 33, p: 3, t: 7, minIou: 0.25 },
  { name: 'more predictions than truths', cells: 33, p: 7, t: 3, minIou: 0.5 },
  { name: 'one past a block of cells', cells: 65, p: 5, t: 5, minIou: 0.25 },
  { name: 'largest', cells: 3, p: 64, t: 64, minIou: 0.1 },
  { name: '88 cells of 5x5', cells: 88, p: 5, t: 5, minIou: 0.25, bench: true },
]

/** Boxes near each other, so that both sides of the overlap threshold occur; counts from 0 to t (all t to time). */
export function matchInput(c: MatchCase): MatchInput {
  const random = createRandom(c.cells * 100 + c.p * 10 + c.t)
  const box = (): number[] =>
    c.ties === true
      ? [random.integer(2) * 4, 0, 8, 8]
      : [4 * random.normal(), 4 * random.normal(), 6 + 8 * random.uniform(), 6 + 8 * random.uniform()]
  const boxes = (count: number): Float32Array => Float32Array.from(Array.from({ length: count }, box).flat())
  return {
    predictions: boxes(c.cells * c.p),
    truths: boxes(c.cells * c.t),
    counts: Int32Array.from({ length: c.cells }, () => (c.bench === true ? c.t : random.integer(c.t + 1))),
    p: c.p,
    t: c.t,
    minIou: c.minIou,
  }
}

/** Sizes of linearSumAssignment. */
export interface AssignmentCase {
  name: string
  rows: number
  columns: number
  /** Costs are whole numbers below this (ties); 0: uniform in [0, 1). */
  levels: number
  bench?: boolean
}

export const assignmentCases: readonly AssignmentCase[] = [
  { name: 'empty', rows: 0, columns: 0, levels: 0 },
  { name: 'no columns', rows: 4, columns: 0, levels: 0 },
  { name: 'one', rows: 1, columns: 1, levels: 0 },
  { name: 'row', rows: 1, columns: 9, levels: 0 },
  { name: 'column', rows: 9, columns: 1, levels: 0 },
  { name: 'wide', rows: 13, columns: 29, levels: 0 },
  { name: 'tall', rows: 29, columns: 13, levels: 0 },
  { name: 'ties', rows: 40, columns: 40, levels: 3 },
  { name: 'wide ties', rows: 31, columns: 40, levels: 5 },
  { name: 'all equal', rows: 20, columns: 20, levels: 1 },
  { name: '500x500', rows: 500, columns: 500, levels: 0, bench: true },
  { name: '5000x5000', rows: 5000, columns: 5000, levels: 0, bench: true },
]

export function assignmentInput(c: AssignmentCase): Float64Array {
  const random = createRandom(c.rows * 1000 + c.columns)
  return Float64Array.from({ length: c.rows * c.columns }, () =>
    c.levels === 0 ? random.uniform() : random.integer(c.levels),
  )
}
