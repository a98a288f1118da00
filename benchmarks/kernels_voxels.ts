/** Kernels over voxels: hu and frames. */
import { renderPlane } from '../src/dataset/frames.js'
import { defaultThreads, requireAddon } from '../src/kernels/addon.js'
import { huConvertSync, renderFramesSync } from '../src/kernels/index.js'
import { framesCases, framesInput, huCases, huInput } from './cases/kernels.js'
import { makeRow, measureTogether } from './measure.js'
import { runPeers, withFiles } from './peers.js'
import type { Row, SubjectOptions } from './types.js'

const name = 'kernels'
const twin = 'TypeScript twin'

export async function benchHu({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const c of huCases.filter((one) => one.bench === true)) {
    const batch = huInput(c)
    const count = c.slices * c.pixels
    for (const output of ['int16', 'float32'] as const) {
      const out = output === 'int16' ? new Int16Array(count) : new Float32Array(count)
      // The floor: copying as many bytes as are read and written (float32: 2 read, 4 written: a copy of 3).
      const from = new Uint8Array(output === 'int16' ? count * 2 : count * 3)
      const to = new Uint8Array(from.length)
      from.fill(1) // pages that were never written are all the same one
      const timing = await measureTogether(
        {
          ours: () => huConvertSync({ ...batch, out }, { device: 'cpu' }),
          memcpy: () => to.set(from),
          twin: () => huConvertSync({ ...batch, out }, { device: 'reference' }),
        },
        seconds,
      )
      const label = `hu ${c.name} -> ${output}`
      const floor_ms = timing.memcpy.ms
      rows.push(
        makeRow(name, label, timing.ours, twin, timing.twin.ms, { floor_ms, goal: '>= 8x' }),
        makeRow(name, label, timing.ours, 'memcpy of the same bytes', floor_ms, {
          floor_ms,
          goal: '>= 0.85x',
        }),
      )
    }
  }
  return rows
}

export async function benchFrames({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  const { readBytes } = requireAddon()
  for (const c of framesCases.filter((one) => one.bench === true)) {
    const input = framesInput(c)
    const { slices, slope = [], intercept = [], padding, window } = input
    const bytes = slices.map((slice) => new Uint8Array(slice.buffer, slice.byteOffset, slice.byteLength))
    const out = new Uint8Array(c.slices * 3 * c.width * c.height)
    const planes = new Uint8Array(c.slices * c.width * c.height)
    const hu = new Int16Array(c.slices * c.rows * c.columns)
    const [originX, originY] = c.origin
    const mapping = { originX, originY, scale: c.scale, frameWidth: c.width, frameHeight: c.height }
    // The same work by the TypeScript of the data set, step by step.
    const inTypeScript = (): void => {
      huConvertSync({ slices, slope, intercept, padding, out: hu }, { device: 'reference' })
      const volume = { data: hu, shape: [c.slices, c.rows, c.columns] as [number, number, number] }
      const rendered = slices.map((_, k) => renderPlane(volume, k, mapping, window))
      const size = 3 * c.width * c.height
      for (let k = 0; k < c.slices; k++) {
        const three = [Math.max(k - 1, 0), k, Math.min(k + 1, c.slices - 1)]
        for (const [channel, slice] of three.entries())
          out.set(rendered[slice]!, k * size + channel * c.width * c.height)
      }
    }
    const timing = await measureTogether(
      {
        frames: () => renderFramesSync({ ...input, out }, { device: 'cpu' }),
        planes: () =>
          renderFramesSync({ ...input, sources: undefined, channels: 1, out: planes }, { device: 'cpu' }),
        read: () => readBytes(bytes),
        twin: inTypeScript,
      },
      seconds,
      { minRuns: 3 },
    )
    const floor_ms = timing.read.ms
    const read = 'reading the pixels once'
    const goal = '<= 1.5x the time: >= 0.67x'
    const label = `frames ${c.name}`
    const three = `${label}, uint8 frames of 3`
    const volume = new Int16Array(c.slices * c.rows * c.columns)
    for (const [k, slice] of slices.entries()) volume.set(slice, k * slice.length)
    const peers = await withFiles({ volume }, (paths) =>
      runPeers('kernels.py', {
        threads: defaultThreads(),
        seconds,
        cases: {
          frames: {
            kind: 'frames',
            file: paths['volume'],
            slices: c.slices,
            rows: c.rows,
            columns: c.columns,
            origin: c.origin,
            scale: c.scale,
            width: c.width,
            height: c.height,
            window: [window.low, window.high],
            padding: [padding?.low, padding?.high],
          },
        },
      }),
    )
    rows.push(
      makeRow(name, three, timing.frames, twin, timing.twin.ms, { floor_ms, goal: '>= 10x' }),
      makeRow(name, three, timing.frames, read, floor_ms, { floor_ms, goal }),
      ...['numpy + OpenCV, crop, area', 'numpy + OpenCV, warp, not antialiased'].map((peer) =>
        makeRow(name, three, timing.frames, peer, peers['frames']?.[peer] ?? null, {
          floor_ms,
          goal: '> 1x',
        }),
      ),
      makeRow(name, `${label}, uint8 planes`, timing.planes, read, floor_ms, { floor_ms, goal }),
    )
  }
  return rows
}
