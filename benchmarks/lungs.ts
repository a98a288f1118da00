/** Lung extraction of a whole scan and its kernels, against their TypeScript twins and scipy. */
import { defaultThreads, requireAddon } from '../src/kernels/addon.js'
import { findParts, shrinkVolume } from '../src/kernels/index.js'
import { makePatient } from '../src/phantom/index.js'
import { segmentLungs } from '../src/volume/index.js'
import { closeMask, cropMask, extentOf, type Grid } from '../src/volume/lungs/grid.js'
import { makeRow, measureTogether, summarize } from './measure.js'
import { runPeers, withFiles } from './peers.js'
import type { Row, Subject, SubjectOptions } from './types.js'

const name = 'lungs'
const goalMs = 1000
const native = { device: 'cpu' as const }
const twin = { device: 'reference' as const }

/** A phantom, cut to 240 slices. */
function makeScan(): ReturnType<typeof makePatient>['volume'] {
  const { volume } = makePatient({ seed: 5, matrix: 512, spacing: 1.15 })
  const [nz, ny, nx] = volume.shape
  const slices = Math.min(240, nz)
  return { ...volume, data: volume.data.subarray(0, slices * ny * nx), shape: [slices, ny, nx] }
}

async function run({ seconds }: SubjectOptions): Promise<Row[]> {
  const { readBytes } = requireAddon()
  const volume = makeScan()
  const start = performance.now()
  const { mask } = segmentLungs(volume, native)
  const first = summarize([performance.now() - start])
  const plane = volume.shape[1] * volume.shape[2]
  const slices = Array.from(
    { length: volume.shape[0] },
    (_, k) => new Uint8Array(volume.data.buffer, volume.data.byteOffset + 2 * k * plane, 2 * plane),
  )
  const whole = await measureTogether(
    {
      ours: () => segmentLungs(volume, native),
      twin: () => segmentLungs(volume, twin),
      // Reads the scan and writes a new mask: what no method can do without.
      floor: () => {
        readBytes(slices)
        new Uint8Array(volume.data.length).set(mask)
      },
    },
    seconds,
  )
  const floor_ms = whole.floor.ms
  const label = `lungs of ${volume.shape[0]}x${volume.shape[1]}x${volume.shape[2]}`
  const goal = '< 1 s: >= 1x'
  return [
    makeRow(name, `${label}, first call of a process`, first, 'the goal', goalMs, { floor_ms, goal }),
    makeRow(name, label, whole.ours, 'the goal', goalMs, { floor_ms, goal }),
    makeRow(name, label, whole.ours, 'TypeScript twin', whole.twin.ms, { floor_ms }),
    ...(await benchKernels(volume, mask, seconds)),
  ]
}

/** The kernels on what the scan gives them. */
async function benchKernels(
  volume: ReturnType<typeof makeScan>,
  mask: Uint8Array,
  seconds: number,
): Promise<Row[]> {
  const factors = [2, 3, 3] as const
  const shrink = await measureTogether(
    {
      ours: () => shrinkVolume(volume, factors, native),
      twin: () => shrinkVolume(volume, factors, twin),
    },
    seconds,
  )
  const rows = [makeRow(name, 'shrinkVolume, 2x3x3', shrink.ours, 'TypeScript twin', shrink.twin.ms)]

  // The lungs on the coarse grid, cut by vessels: where at least half of a block is dark lung.
  const dark = Int16Array.from(mask, (value, n) => (value === 1 && volume.data[n]! < -400 ? 2000 : 0))
  const share = shrinkVolume({ data: dark, shape: volume.shape }, factors, native)
  const spacing = volume.geometry.spacing.map((s, axis) => s * factors[axis]!) as [number, number, number]
  const lungs: Grid = {
    data: Uint8Array.from(share.data, (value) => (value >= 1000 ? 1 : 0)),
    shape: share.shape,
    spacing,
  }
  const grid = cropMask(lungs, extentOf(lungs)!, 6)
  const radius = 9
  const timing = await measureTogether(
    {
      close: () => closeMask(grid, radius, native),
      closeTwin: () => closeMask(grid, radius, twin),
      parts: () => findParts(grid, native),
      partsTwin: () => findParts(grid, twin),
    },
    seconds,
  )
  const peers = await withFiles({ mask: grid.data }, (paths) =>
    runPeers('kernels.py', {
      threads: defaultThreads(),
      seconds,
      cases: { masks: { kind: 'masks', file: paths['mask'], shape: grid.shape, spacing, radius } },
    }),
  )
  const size = grid.shape.join('x')
  const closing = `closing by 9 mm, ${size}`
  const parts = `connected parts, ${size}`
  const peer = (label: string): number | null => peers['masks']?.[label] ?? null
  const goal = '> 1x'
  rows.push(makeRow(name, closing, timing.close, 'TypeScript twin', timing.closeTwin.ms))
  for (const scipy of ['scipy binary_closing', 'scipy distance_transform_edt'])
    rows.push(makeRow(name, closing, timing.close, scipy, peer(scipy), { goal }))
  rows.push(makeRow(name, parts, timing.parts, 'TypeScript twin', timing.partsTwin.ms))
  rows.push(makeRow(name, parts, timing.parts, 'scipy label', peer('scipy label'), { goal }))
  return rows
}

export const subject: Subject = {
  describe: 'lung extraction of 240 slices against its goal of 1 s, its TypeScript twin and scipy',
  run,
}
