/** Sizes of the kernels over boxes; see kernels.ts. */
import type { MatchInput } from '../../src/kernels/hungarian.js'
import type { RezoomInput } from '../../src/kernels/rezoom.js'
import type { RoiAlignInput } from '../../src/kernels/roi_align.js'
import { createRandom } from '../../src/random.js'

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

export interface RoiAlignCase {
  name: string
  shape: readonly [n: number, h: number, w: number, c: number]
  boxes: number
  bins: readonly [y: number, x: number]
  samplingRatio: number
  aligned: boolean
  layout: 'NHWC' | 'NCHW'
  /** Boxes may lie anywhere and be turned inside out; else well inside. */
  anywhere?: boolean
  bench?: boolean
}

const roiSmall = { shape: [2, 7, 11, 17], boxes: 9, bins: [3, 2], anywhere: true } as const

export const roiAlignCases: readonly RoiAlignCase[] = [
  { ...roiSmall, name: 'no boxes', boxes: 0, samplingRatio: 1, aligned: true, layout: 'NHWC' },
  { ...roiSmall, name: 'one pixel', shape: [1, 1, 1, 1], samplingRatio: 2, aligned: true, layout: 'NHWC' },
  { ...roiSmall, name: 'aligned', samplingRatio: 2, aligned: true, layout: 'NHWC' },
  { ...roiSmall, name: 'aligned', samplingRatio: 2, aligned: true, layout: 'NCHW' },
  { ...roiSmall, name: 'not aligned', samplingRatio: 3, aligned: false, layout: 'NHWC' },
  { ...roiSmall, name: 'adaptive', samplingRatio: 0, aligned: true, layout: 'NHWC' },
  { ...roiSmall, name: 'adaptive, not aligned', samplingRatio: 0, aligned: false, layout: 'NCHW' },
  {
    ...roiSmall,
    name: 'one past a block',
    shape: [1, 5, 5, 65],
    samplingRatio: 1,
    aligned: true,
    layout: 'NHWC',
  },
  ...(['NHWC', 'NCHW'] as const).map((layout) => ({
    name: '440 boxes, 32x44x256, 2x2 bins of 1 sample',
    shape: [1, 32, 44, 256] as const,
    boxes: 440,
    bins: [2, 2] as const,
    samplingRatio: 1,
    aligned: true,
    layout,
    bench: true,
  })),
]

/** Stride 8; features and gradients are normal. */
export function roiAlignInput(c: RoiAlignCase): { input: RoiAlignInput; gradient: Float32Array } {
  const random = createRandom(11 + c.boxes)
  const [n, height, width, channels] = c.shape
  const normals = (count: number): Float32Array => Float32Array.from({ length: count }, random.normal)
  const boxes = new Float32Array(c.boxes * 4)
  for (let b = 0; b < c.boxes; b++) {
    const center = [width * 8 * random.uniform(), height * 8 * random.uniform()] as const
    const size = (): number => (c.anywhere === true ? 60 * random.normal() : 4 + 40 * random.uniform())
    const [w, h] = [size(), size()]
    boxes.set([center[0] - w / 2, center[1] - h / 2, center[0] + w / 2, center[1] + h / 2], b * 4)
  }
  const { bins, samplingRatio, aligned, layout, shape } = c
  return {
    input: {
      features: normals(n * height * width * channels),
      shape,
      boxes,
      images: Int32Array.from({ length: c.boxes }, () => random.integer(Math.max(1, n))),
      bins,
      samplingRatio,
      stride: 8,
      aligned,
      layout,
    },
    gradient: normals(c.boxes * bins[0] * bins[1] * channels),
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
  { name: 'IoU on the limit', cells: 41, p: 5, t: 5, minIou: 1 / 3, ties: true },
  { name: 'ties', cells: 50, p: 5, t: 5, ties: true, minIou: 0.25 },
  { name: 'more truths than predictions', cells: 33, p: 3, t: 7, minIou: 0.25 },
  { name: 'more predictions than truths', cells: 33, p: 7, t: 3, minIou: 0.5 },
  { name: 'one past a block of cells', cells: 65, p: 5, t: 5, minIou: 0.25 },
  { name: 'six', cells: 9, p: 6, t: 6, minIou: 0.25 },
  { name: 'four, one past a vector', cells: 17, p: 4, t: 3, minIou: 0.25 },
  { name: 'three', cells: 8, p: 3, t: 2, minIou: 0.25 },
  { name: 'two', cells: 7, p: 2, t: 2, minIou: 0.25 },
  { name: 'seven', cells: 12, p: 7, t: 7, minIou: 0.25 },
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
