/** Kernels over boxes: rezoom, hungarian, linearSumAssignment. */
import { defaultThreads, setThreads } from '../src/kernels/addon.js'
import {
  hungarianMatchSync,
  linearSumAssignment,
  rezoomForwardSync,
  rezoomGradientSync,
  roiAlignForwardSync,
  roiAlignGradientSync,
} from '../src/kernels/index.js'
import { matchCost } from '../src/kernels/reference/hungarian.js'
import {
  assignmentCases,
  assignmentInput,
  matchCases,
  matchInput,
  rezoomCases,
  rezoomInput,
  roiAlignCases,
  roiAlignInput,
} from './cases/kernels.js'
import { makeRow, measureTogether } from './measure.js'
import { tfjsRezoom } from './kernels_tfjs.js'
import { peerPackage, runPeers, withFiles } from './peers.js'
import type { Row, SubjectOptions } from './types.js'

const name = 'kernels'
const twin = 'TypeScript twin'

export async function benchRezoom({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const c of rezoomCases.filter((one) => one.bench === true)) {
    const { input, gradient } = rezoomInput(c)
    const output = new Float32Array(gradient.length)
    const gradients = {
      features: new Float32Array(input.features.length),
      boxes: new Float32Array(input.boxes.length),
    }
    const both = (device: 'cpu' | 'reference'): void => {
      rezoomForwardSync(input, { device, out: output })
      rezoomGradientSync(input, gradient, { device, out: gradients })
    }
    // The floor: copying what is read and written. Forward reads 4 corners and writes 1 value a sample; the gradient
    // reads 1 + 4 and adds to 4 (read and written), and clears the feature gradient.
    const from = new Float32Array((gradient.length * (5 + 5 + 8) + input.features.length) / 2)
    const to = new Float32Array(from.length)
    from.fill(1)
    const tfjs = await tfjsRezoom(input, gradient)
    const timing = await measureTogether(
      {
        ours: () => both('cpu'),
        twin: () => both('reference'),
        copy: () => to.set(from),
        tfjs: tfjs.work,
      },
      seconds,
    )
    const label = `rezoom fwd+grad ${c.name}`
    const floor_ms = timing.copy.ms
    const peerMs = await torchvision(c, [c.offsetsY.length, c.offsetsX.length], 1, seconds)
    rows.push(
      makeRow(name, label, timing.ours, twin, timing.twin.ms, { floor_ms, goal: '>= 15x' }),
      makeRow(name, label, timing.ours, `tfjs operations, engine ${tfjs.engine}`, timing.tfjs.ms, {
        floor_ms,
        goal: '> 1x',
      }),
      makeRow(name, label, timing.ours, 'torchvision roi_align', peerMs, { floor_ms, goal: '> 1x' }),
    )
  }
  return rows
}

/** Equal work by torchvision: bins of one sample are rezoom's offsets of a quarter. It has no gradient for boxes. */
async function torchvision(
  c: { shape: readonly number[]; boxes: number },
  bins: readonly number[],
  samplingRatio: number,
  seconds: number,
): Promise<number | null> {
  const one = { kind: 'roi_align', shape: c.shape, boxes: c.boxes, stride: 8, bins, samplingRatio }
  const times = await runPeers('kernels.py', { threads: defaultThreads(), seconds, cases: { one } })
  return times['one']?.['torchvision roi_align'] ?? null
}

export async function benchRoiAlign({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const c of roiAlignCases.filter((one) => one.bench === true)) {
    const { input, gradient } = roiAlignInput(c)
    const output = new Float32Array(gradient.length)
    const gradientFeatures = new Float32Array(input.features.length)
    const both = (device: 'cpu' | 'reference'): void => {
      roiAlignForwardSync(input, { device, out: output })
      roiAlignGradientSync(input, gradient, { device, out: gradientFeatures })
    }
    const timing = await measureTogether({ ours: () => both('cpu'), twin: () => both('reference') }, seconds)
    const label = `roi_align fwd+grad ${c.name}, ${c.layout}`
    rows.push(makeRow(name, label, timing.ours, twin, timing.twin.ms))
    if (c.layout === 'NCHW') {
      const peerMs = await torchvision(c, c.bins, c.samplingRatio, seconds)
      rows.push(makeRow(name, label, timing.ours, 'torchvision roi_align', peerMs, { goal: '> 1x' }))
    }
  }
  return rows
}

/** munkres-js where it is installed: the plain assignment of matrices that are there already, or that it has to make. */
function munkresWork(matrices: () => number[][][]): (() => void) | undefined {
  const munkres = peerPackage('munkres-js') as ((matrix: number[][]) => unknown) | undefined
  if (munkres === undefined) return undefined
  return () => {
    for (const matrix of matrices()) munkres(matrix)
  }
}

export async function benchHungarian({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  setThreads(1)
  for (const c of matchCases.filter((one) => one.bench === true)) {
    const input = matchInput(c)
    const box = (boxes: Float32Array, n: number): Float32Array => boxes.subarray(n * 4, n * 4 + 4)
    const costs = (): number[][][] =>
      Array.from({ length: c.cells }, (_, cell) =>
        Array.from({ length: c.p }, (_, i) =>
          Array.from({ length: c.t }, (_, j) =>
            matchCost(box(input.predictions, cell * c.p + i), box(input.truths, cell * c.t + j), i, c.minIou),
          ),
        ),
      )
    const ready = costs()
    const munkres = munkresWork(() => ready)
    const munkresCost = munkresWork(costs)
    const timing = await measureTogether(
      {
        ours: () => hungarianMatchSync(input, { device: 'cpu' }),
        twin: () => hungarianMatchSync(input, { device: 'reference' }),
        munkres: munkres ?? (() => undefined),
      },
      seconds,
    )
    // On its own: the garbage that it makes would disturb the others.
    const withCost = await measureTogether({ munkres: munkresCost ?? (() => undefined) }, seconds / 2)
    const { predictions, truths } = input
    const times = await withFiles({ predictions, truths }, (paths) =>
      runPeers('kernels.py', { threads: 1, seconds, cases: { cells: { kind: 'cells', ...c, ...paths } } }),
    )
    const label = `hungarian ${c.name}, 1 thread`
    const row = (peer: string, ms: number | null, goal = ''): Row =>
      makeRow(name, label, timing.ours, peer, ms, { goal })
    const peer = (key: string, goal?: string): Row => row(key, times['cells']?.[key] ?? null, goal)
    rows.push(
      row(twin, timing.twin.ms),
      row('1 us a cell', c.cells / 1000, '>= 1x'),
      peer('lapx', '>= 5x'),
      peer('lapx, batch'),
      peer('scipy', '>= 10x'),
      peer('scipy, cost by numpy'),
      row('munkres-js', munkres === undefined ? null : timing.munkres.ms, '>= 50x'),
      row('munkres-js, cost by JavaScript', munkres === undefined ? null : withCost.munkres.ms),
    )
  }
  for (const c of assignmentCases.filter((one) => one.bench === true)) {
    const cost = assignmentInput(c)
    const large = c.rows > 1000
    const ours = (): unknown => linearSumAssignment(cost, c.rows, c.columns, { device: 'cpu' })
    const timing = await measureTogether(
      {
        ours,
        twin: large
          ? () => undefined
          : () => linearSumAssignment(cost, c.rows, c.columns, { device: 'reference' }),
      },
      seconds,
      { minRuns: 3 },
    )
    const times = await withFiles({ cost }, ({ cost: file }) =>
      runPeers('kernels.py', {
        threads: 1,
        seconds,
        cases: { one: { kind: 'assignment', file, rows: c.rows, columns: c.columns } },
      }),
    )
    const label = `linearSumAssignment ${c.name}`
    if (!large) rows.push(makeRow(name, label, timing.ours, twin, timing.twin.ms))
    for (const [peer, goal] of [
      ['scipy', '> 1x'],
      ['lapx', '>= 1x'],
    ] as const)
      rows.push(makeRow(name, label, timing.ours, peer, times['one']?.[peer] ?? null, { goal }))
  }
  setThreads(defaultThreads())
  return rows
}
