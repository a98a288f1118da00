import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { figures } from '../../benchmarks/quality/figures.js'
import { leastScore } from '../../benchmarks/quality/marks.js'
import type { Outcomes } from '../../benchmarks/quality/outcomes.js'
import { judgeScan } from '../../benchmarks/quality/scans.js'
import type { KnownScan } from '../../benchmarks/quality/scans.js'
import { parseHypes } from '../../src/config/hypes.js'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import { findSeries } from '../../src/dicom/index.js'
import type { SecondStage, Session } from '../../src/inference/index.js'
import { cubeBytes, cubeSpec } from '../../src/patches/index.js'
import { diskSession } from '../inference/disk_session.js'
import { writeTinyScan } from '../inference/tiny_scan.js'

const SIZE = 128
const hypes = parseHypes({ image_width: SIZE, image_height: SIZE, grid_width: 4, grid_height: 4 })
const spec = cubeSpec(
  parsePatchHypes({ kind: 'patches', cube: { planes: 3, size: 8, pixel_mm: 1, plane_mm: 1 }, widths: [8] }),
)

const disks = diskSession(hypes)
/** A first stage that sees the scan's ball, and the same, faintly, in the other lung. */
const first: Session = {
  ...disks,
  run: async (frames, n, size) => {
    const { boxes, confidences } = await disks.run(frames, n, size)
    const slots = [...confidences.keys()]
    const ball = slots.find((slot) => {
      const width = boxes[4 * slot + 2]! - boxes[4 * slot]!
      return width > 4 && width < 40
    })
    if (ball === undefined) return { boxes: new Float32Array(8), confidences: new Float32Array(2) }
    const [x1, y1, x2, y2] = boxes.subarray(4 * ball)
    return {
      boxes: Float32Array.of(x1!, y1!, x2!, y2!, SIZE - x2!, y1!, SIZE - x1!, y2!),
      confidences: Float32Array.of(0.9, 0.15),
    }
  },
}
/** A second stage that is sure of everything. */
const second = {
  calibration: { first: 0, second: 1, size: 0, offset: 0, model: '', nodules: 1, others: 1 },
  spec,
  run: async (cubes: Uint8Array) => Promise.resolve(new Float32Array(cubes.length / cubeBytes(spec)).fill(5)),
} as unknown as SecondStage
const session: Session = { ...first, second }

const OUTCOMES: Outcomes = {
  model: { first: '', second: '', sha256: '', confidence: 0.6 },
  stacks: [],
  scans: [],
}

const folder = mkdtempSync(join(tmpdir(), 'nodule-judge-'))
let scan: KnownScan
beforeAll(async () => {
  await writeTinyScan(folder)
  const { series } = await findSeries([folder])
  scan = { series: series[0]!, findings: [] }
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('judging a model', () => {
  it('takes the boxes that detection takes behind a second stage, fainter ones of a first stage alone', async () => {
    expect(leastScore(session)).toBe(0.2)
    expect(leastScore(first)).toBe(0.02)
    const { falseMarks } = await judgeScan({ session, minScore: leastScore(session) }, scan)
    expect(falseMarks).toHaveLength(1)
  })

  it('counts the false marks that detection lists at its defaults, whatever boxes are judged', async () => {
    const judged = await judgeScan({ session, minScore: 0.02 }, scan)
    expect(judged.falseMarks.map(({ score }) => score > 0.9)).toEqual([true, true])
    expect(judged.falseMarksAtDefault).toBe(1)
    const ball = { id: 'ball', x: -65, y: 10, z: -35, diameterMm: 36, excluded: false }
    const found = await judgeScan({ session, minScore: 0.02 }, { ...scan, findings: [ball] })
    expect(found.falseMarks).toHaveLength(1)
    expect(found.falseMarksAtDefault).toBe(0)
    expect(figures({ ...OUTCOMES, scans: [judged, found] }).falseMarksAtDefault).toEqual([1, 0])
  })
})
