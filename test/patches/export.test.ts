import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { command } from '../../src/commands/export.js'
import { parseHypes } from '../../src/config/hypes.js'
import { NoduleError } from '../../src/errors.js'
import {
  DETECT_DEFAULTS,
  combinedConfidence,
  defaultConfidences,
  detectVolume,
  openPatchSession,
  openStages,
} from '../../src/inference/index.js'
import type { PatchSession, SecondStage, Session } from '../../src/inference/index.js'
import { calibrate, fitLogistic } from '../../src/mining/index.js'
import type { CalibrateResult } from '../../src/mining/index.js'
import { EXPORT_TOLERANCE, exportPatches } from '../../src/onnx/index.js'
import { decodeModel, encodeModel } from '../../src/onnx/proto.js'
import { sampleCubes } from '../../src/patches/index.js'
import { trainPatches } from '../../src/training/train_patches.js'
import { createRandom } from '../../src/random.js'
import { diskSession } from '../inference/disk_session.js'
import { smallModel } from '../inference/small_model.js'
import { temporaryFolder, writeHypes, writeSmallCubes } from './small_cubes.js'
import { volumeOf } from './volumes.js'

const root = temporaryFolder()
const exported = join(root, 'model_second.onnx')
let checkpoint: string
let cubes: string
let second: PatchSession
let fitted: CalibrateResult

beforeAll(async () => {
  const hypes = writeHypes(root)
  cubes = await writeSmallCubes(join(root, 'train'), 40, 1)
  const run = { hypes, train: cubes, output: join(root, 'run'), engine: 'wasm', steps: 60 } as const
  ;({ checkpoint } = await trainPatches(run))
}, 60_000)
afterAll(async () => {
  await second?.release()
  rmSync(root, { recursive: true })
})

async function refused(work: Promise<unknown>): Promise<NoduleError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(NoduleError)
  return error as NoduleError
}

describe('the exported second stage', () => {
  it.each([true, false])('equals tfjs, batched or not (batch norm folded: %s)', async (foldBatchNorm) => {
    const result = await exportPatches(checkpoint, exported, { engine: 'wasm', foldBatchNorm })
    const { difference, scale, cubes: compared } = result.verification
    expect(difference).toBeLessThanOrEqual(EXPORT_TOLERANCE * scale)
    expect(compared).toBe(3)
    expect(result.step).toBe(60)
  })

  it('has no key of a detector to set', async () => {
    const flags = { checkpoint, output: join(root, 'set.onnx'), set: ['data.window_low_hu=0'] }
    const error = await refused(Promise.resolve(command.handler(flags as never)))
    expect(error.message).toContain('--set is for detectors; this is a second stage')
  })

  it('tells balls from rods in onnxruntime', async () => {
    second = await openPatchSession(exported, { device: 'cpu', threads: 1 })
    const shapes = [true, false].map((ball) =>
      volumeOf(
        [15, 32, 32],
        Array.from({ length: 15 }, (_, k) => 2 * k),
        [1, 1],
        (k, j, i) => (Math.hypot(j - 16, i - 16, ball ? 2 * (k - 7) : 0) < 3.5 ? 0 : -850),
      ),
    )
    const [ball, rod] = await Promise.all(
      shapes.map(async (volume) => (await second.run(sampleCubes(volume, [[7, 16, 16]], second.spec)))[0]!),
    )
    expect(ball).toBeGreaterThan(rod! + 1)
  })

  it('is refused where it is another model, of another version, damaged or missing', async () => {
    const detector = join(root, 'detector.onnx')
    writeFileSync(detector, encodeModel(smallModel()))
    expect((await refused(openPatchSession(detector))).message).toContain('a detector, not a second stage')
    const bytes = readFileSync(exported)
    const change = (name: string, edit: (value: string) => string): string => {
      const model = decodeModel(bytes, exported)
      const path = join(root, 'changed.onnx')
      const props = model.metadata_props.map(({ key, value }) => ({
        key,
        value: key === name ? edit(value) : value,
      }))
      writeFileSync(path, encodeModel({ ...model, metadata_props: props }))
      return path
    }
    const newer = await refused(openPatchSession(change('format', () => 'nodule-patches/2')))
    expect(newer.message).toContain('a second stage of another version of nodule')
    expect(newer.message).toContain('expected "nodule-patches/1" but received "nodule-patches/2"')
    const damaged = await refused(openPatchSession(change('hypes', () => '{')))
    expect(damaged.message).toContain('metadata_props/hypes')
    expect((await refused(openPatchSession(join(root, 'missing.onnx')))).code).toBe('FILE')
  })
})

describe('calibration', () => {
  it('finds the weights that marks were drawn by', () => {
    const random = createRandom(4)
    const examples = Array.from({ length: 20_000 }, () => {
      const features = [2 * random.normal(), 1.5 * random.normal() - 1]
      const p = 1 / (1 + Math.exp(-(0.7 * features[0]! + 1.6 * features[1]! - 0.5)))
      return { features, positive: random.uniform() < p }
    })
    const [a, b, c] = fitLogistic(examples) as [number, number, number]
    expect(a).toBeCloseTo(0.7, 1)
    expect(b).toBeCloseTo(1.6, 1)
    expect(c).toBeCloseTo(-0.5, 1)
    // One of the weights given.
    const given = examples.map(({ features: [x, y], positive }) => ({
      ...{ features: [x!], positive, given: 1.6 * y! },
    }))
    const [alone, offset] = fitLogistic(given) as [number, number]
    expect(alone).toBeCloseTo(a, 1)
    expect(offset).toBeCloseTo(c, 1)
    // Marks that can be told apart without error do not make the weights endless.
    const apart = fitLogistic([-2, -1, 1, 2].map((x) => ({ features: [x], positive: x > 0 })))
    expect(apart[0]).toBeGreaterThan(1)
    expect(apart[0]).toBeLessThan(50)
  })

  it('looks first whether the result can be written', async () => {
    const error = await refused(calibrate({ second: 'none.onnx', cubes: ['none'], output: root }))
    expect(error.message).toBe(`${root}: cannot write: is a folder: expected the name of a file`)
  })

  it('is fitted on the marks and written into the second stage', async () => {
    const marks = await writeSmallCubes(join(root, 'marks'), 60, 3, (n, ball) => ({
      reason: 'mark',
      score: ball ? 0.3 + (n % 7) / 20 : 0.2 + (n % 5) / 20,
    }))
    fitted = await calibrate({ second: exported, cubes: [marks] })
    expect(fitted.calibration).toMatchObject({ model: 'first', nodules: 30, others: 30 })
    expect(fitted.auc.both).toBeGreaterThan(0.95)
    expect(fitted.auc.both).toBeGreaterThanOrEqual(fitted.auc.first)
    expect(fitted.bins.reduce((sum, bin) => sum + bin.marks, 0)).toBe(60)
    const reopened = await openPatchSession(exported)
    expect(reopened.metadata.calibration).toEqual(fitted.calibration)
    await reopened.release()

    const sized = await calibrate({
      ...{ second: exported, cubes: [marks], size: 1.25 },
      output: join(root, 'sized.onnx'),
    })
    expect(sized.calibration.size).toBe(1.25)
    expect(sized.auc.both).toBeGreaterThan(0.9)
    expect((await refused(calibrate({ second: exported, cubes: [marks], size: 99 }))).message).toMatch(
      /for size but received 99/,
    )
    const error = await refused(calibrate({ second: exported, cubes: [cubes] }))
    expect(error.message).toContain('too few marks')
    expect(error.message).toContain('received 0 and 20')
  })
})

describe('detecting with a second stage', () => {
  const volume = volumeOf(
    [20, 128, 128],
    Array.from({ length: 20 }, (_, k) => 2 * k),
    [1, 1],
    (k, j, i) => {
      const ball = Math.hypot(j - 40, i - 40, 2 * (k - 10)) < 6
      const rod = Math.hypot(j - 90, i - 80) < 4
      return ball ? 100 : rod ? 300 : -850
    },
  )
  const first = diskSession(
    parseHypes({
      ...{ image_width: 128, image_height: 128, grid_width: 4, grid_height: 4 },
      data: { mm_per_pixel: 1, tile_overlap_mm: 20 },
    }),
  )

  it('changes confidences as the formula says, and ranks anew', async () => {
    const parameters = { ...DETECT_DEFAULTS, region: 'all' as const }
    const alone = await detectVolume(volume, first, { parameters })
    expect(alone.nodules.map(({ centerVoxel }) => Math.round(centerVoxel[2]))).toEqual([40, 80])
    // Against what it learnt, so that the order turns about.
    const calibration = { ...fitted.calibration, first: 0.5, second: -2, size: 0.5, offset: -0.25 }
    const stage: SecondStage = { ...second, calibration }
    const session: Session = { ...first, second: stage }
    const { nodules, slices } = await detectVolume(volume, session, { parameters })
    expect(nodules.map(({ centerVoxel }) => Math.round(centerVoxel[2]))).toEqual([80, 40])
    for (const nodule of nodules) {
      const before = alone.nodules.find(({ centerVoxel }) => centerVoxel[2] === nodule.centerVoxel[2])!
      const [logit] = await second.run(sampleCubes(volume, [nodule.centerVoxel], second.spec))
      expect(nodule.firstConfidence).toBe(before.confidence)
      expect(nodule.secondConfidence).toBeCloseTo(1 / (1 + Math.exp(-logit!)), 6)
      const sum =
        0.5 * Math.log(before.confidence / (1 - before.confidence)) -
        2 * logit! +
        0.5 * Math.log(Math.max(before.boxDiameterMm, 3) / 8) -
        0.25
      expect(nodule.confidence).toBeCloseTo(1 / (1 + Math.exp(-sum)), 6)
      expect(nodule.confidence).toBe(
        combinedConfidence(calibration, before.confidence, logit!, before.boxDiameterMm),
      )
    }
    // The boxes of the slices name the nodules by their new numbers.
    const named = slices.flatMap(({ boxes }) => boxes).filter(({ nodule }) => nodule === 1)
    expect(named.every(({ x1, x2 }) => Math.abs((x1 + x2) / 2 - 80.5) < 2)).toBe(true)
  })

  it('has a cut of its own for calibrated confidences', () => {
    expect(defaultConfidences({})).toEqual({ minScore: 0.1, minConfidence: 0 })
    const stage: SecondStage = { ...second, calibration: fitted.calibration }
    expect(defaultConfidences({ second: stage })).toEqual({ minScore: 0.2, minConfidence: 0.6 })
  })

  it('takes the file beside the first stage, if it was fitted to that', async () => {
    const write = (path: string, props: Record<string, string>): void => {
      const changed = smallModel()
      for (const prop of changed.metadata_props) prop.value = props[prop.key] ?? prop.value
      writeFileSync(path, encodeModel(changed))
    }
    const model = join(root, 'model.onnx')
    write(model, { checkpoint_sha256: 'a'.repeat(64) })
    const error = await refused(openStages(model, undefined))
    expect(error.message).toContain('the second stage cannot be used with')
    expect(error.message).toContain('it was fitted to another one')
    expect(error.message).toContain('go without (second none)')
    expect((await refused(openStages(model, join(root, 'none.onnx')))).code).toBe('FILE')

    const alone = await openStages(model, 'none')
    expect(alone.second).toBeUndefined()
    await alone.release()
    await calibrate({ second: exported, cubes: [join(root, 'marks')], model })
    const both = await openStages(model, undefined)
    expect(both.second!.calibration.model).toBe(both.sha256)
    await both.release()
    // A model in int8 takes that of the float32 model, if they are of one checkpoint.
    const int8 = join(root, 'model_int8.onnx')
    write(int8, { precision: 'int8', checkpoint_sha256: 'a'.repeat(64) })
    const named = await openStages(int8, undefined)
    expect(named).toMatchObject({ metadata: { precision: 'int8' }, second: { path: exported } })
    expect(named.sha256).not.toBe(named.second!.calibration.model)
    await named.release()
    write(int8, { precision: 'int8', checkpoint_sha256: 'f'.repeat(64) })
    expect((await refused(openStages(int8, undefined))).message).toContain('it was fitted to another one')

    await exportPatches(checkpoint, exported, { engine: 'wasm' })
    expect((await refused(openStages(model, undefined))).message).toContain('it is not calibrated')
  })
})
