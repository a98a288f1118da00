import { describe, expect, test } from 'vitest'
import { parsePatchHypes } from '../../src/config/patch_hypes.js'
import { combinedConfidence, rescoreNodules } from '../../src/inference/second.js'
import type { Nodule3d } from '../../src/nodules/index.js'
import { VIEWS, cubeBytes, cubeSpec } from '../../src/patches/index.js'
import type { Mirror } from '../../src/patches/index.js'
import { ballVolume } from './volumes.js'

const calibration = { first: 1, second: 1, size: 0, offset: 0, model: '', nodules: 1, others: 1 }
const spec = cubeSpec(
  parsePatchHypes({ kind: 'patches', cube: { planes: 3, size: 8, pixel_mm: 1, plane_mm: 1 }, widths: [8] }),
)

/** Lung that grows denser with x, so that a cube's middle tells where it was taken. */
const volume = ballVolume(1, [5, 40, 200])
volume.data.forEach((_, at) => (volume.data[at] = -1000 + 7 * (at % 200)))
const nodules = [20, 60, 100, 140, 180].flatMap((x) =>
  [0.1, 0.35, 0.9].map((confidence) => ({ confidence, centerVoxel: [2, 20, x], boxDiameterMm: 8 })),
) as unknown as Nodule3d[]

/** A second stage whose logits are -8 to 8 by the middle of a cube, and as much more as asked for in mirrored views. */
function makeStage(mirrored: number) {
  const views: number[] = []
  const run = async (cubes: Uint8Array, asked: readonly Mirror[] = VIEWS) => {
    const size = cubeBytes(spec)
    views.push((cubes.length / size) * asked.length)
    return Promise.resolve(
      Float32Array.from({ length: cubes.length / size }, (_, n) => {
        const middle = cubes[n * size + 8 * 8 + 4 * 8 + 4]!
        const more = asked.filter(({ x, y, z }) => x || y || z).length / asked.length
        return (middle - 128) / 16 + more * mirrored
      }),
    )
  }
  return { stage: { calibration, spec, run }, views }
}

describe('rescoreNodules', () => {
  test('judges all nodules by the mean of all views where no confidence is asked for', async () => {
    const { stage, views } = makeStage(0.4)
    const rescored = await rescoreNodules(nodules, volume, stage)
    expect(rescored).toHaveLength(nodules.length)
    for (const [n, nodule] of rescored.entries()) {
      const { confidence, centerVoxel } = nodules[n]!
      const gray = (centerVoxel[2] * 7 * 255) / 1400
      const logit = (gray - 128) / 16 + 0.75 * 0.4
      expect(nodule.firstConfidence).toBe(confidence)
      expect(
        Math.abs(nodule.confidence - combinedConfidence(calibration, confidence, logit, 8)),
      ).toBeLessThan(0.02)
      expect(Math.abs(nodule.secondConfidence! - 1 / (1 + Math.exp(-logit)))).toBeLessThan(0.02)
    }
    expect(views).toEqual([15, 45])
  })

  test('spends the mirrored views on what may reach the list, and gives it the same confidence', async () => {
    const { stage, views } = makeStage(0.4)
    const all = await rescoreNodules(nodules, volume, stage)
    views.length = 0
    const some = await rescoreNodules(nodules, volume, stage, 0.6)
    // A third of the nodules is below a third of it in the first stage; of the others some are hopeless by one view.
    expect(views[0]).toBe(10)
    expect(views[1]! / 3).toBeGreaterThan(0)
    expect(views[1]! / 3).toBeLessThan(8)
    const reaching = (list: Nodule3d[]) => list.filter(({ confidence }) => confidence >= 0.6)
    expect(reaching(some)).toEqual(reaching(all).filter((nodule) => nodule.firstConfidence! >= 0.2))
    expect(reaching(some).length).toBeGreaterThan(2)
  })

  test('asks for nothing where there is nothing', async () => {
    const { stage } = makeStage(0)
    expect(await rescoreNodules([], volume, stage, 0.6)).toEqual([])
  })
})
