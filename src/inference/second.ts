import { existsSync } from 'node:fs'
import * as ort from 'onnxruntime-node'
import { invalidParameter } from '../check.js'
import { NoduleError, describeBriefly } from '../errors.js'
import type { Nodule3d } from '../nodules/index.js'
import { sha256 } from '../hash.js'
import { patchMetadata } from '../onnx/patch_metadata.js'
import type { Calibration } from '../onnx/patch_metadata.js'
import { decodeModel } from '../onnx/proto.js'
import { VIEWS, cubeBytes, cubePlanes, cubeSpec, mirrorCubes, sampleCubes } from '../patches/index.js'
import type { HuVolume } from '../volume/index.js'
import { readRegular } from '../read_files.js'
import { createSession, openSession, sessionOptions, shareModel } from './session.js'
import type { PatchSession, SecondStage } from './second_stage.js'
import type { Session, SessionOptions } from './session.js'

/** Cubes of one run of the model. */
const BATCH = 32

/**
 * Opens a second stage that `nodule export` made. Throws NoduleError: FILE (cannot be read), FORMAT (not a second stage,
 * of another version, damaged), UNAVAILABLE (device).
 */
export async function openPatchSession(path: string, options: SessionOptions = {}): Promise<PatchSession> {
  const { device, threads } = sessionOptions(options)
  const bytes = await readRegular(path, { action: 'read second stage' })
  const metadata = patchMetadata(decodeModel(bytes, path), path)
  const { session } = await createSession(bytes, path, device, threads)
  const model = shareModel(session, path)
  const spec = cubeSpec(metadata.hypes)
  const { targets } = metadata.hypes
  const column = targets.indexOf('nodule')
  if (column < 0)
    throw new NoduleError('FORMAT', 'the second stage says nothing about nodules', {
      path,
      place: 'targets',
      expected: '"nodule"',
      actual: targets.join(', '),
    })
  const size = cubeBytes(spec)
  const dims = [cubePlanes(spec), spec.fine.size, spec.fine.size]
  return {
    path,
    sha256: sha256(bytes),
    metadata,
    spec,
    run: async (cubes, views = VIEWS) => {
      if (cubes.length % size !== 0) throw invalidParameter('cubes', `a multiple of ${size} bytes`, cubes)
      const logits = new Float32Array(cubes.length / size)
      for (let start = 0; start < logits.length; start += BATCH) {
        const n = Math.min(BATCH, logits.length - start)
        const part = cubes.subarray(start * size, (start + n) * size)
        for (const view of views) {
          const input = new ort.Tensor('uint8', mirrorCubes(part, spec, view), [n, ...dims])
          let outputs: Float32Array
          try {
            outputs = (await model.run({ cubes: input }))['outputs']!.data as Float32Array
          } catch (error) {
            if (error instanceof NoduleError) throw error
            const actual = describeBriefly(error)
            throw new NoduleError('NUMERIC', 'the second stage fails', { path, actual, cause: error })
          }
          for (let row = 0; row < n; row++)
            logits[start + row]! += outputs[row * targets.length + column]! / views.length
        }
      }
      if (!logits.every(Number.isFinite))
        throw new NoduleError('NUMERIC', 'the second stage gives values that are no numbers', { path })
      return logits
    },
    release: model.release,
  }
}

/**
 * Opens a first stage, with the second stage that belongs to it.
 * @param second a file; 'none'; default: the one beside the first stage, where there is one (`secondPaths`)
 * @throws NoduleError as `openSession` and `openPatchSession`; FORMAT where the second stage is not calibrated, or is for
 *   another first stage
 */
export async function openStages(
  path: string,
  second: string | undefined,
  options: SessionOptions = {},
): Promise<Session> {
  const session = await openSession(path, options)
  const file = second ?? secondPaths(path).find((beside) => existsSync(beside)) ?? 'none'
  if (file === 'none') return session
  try {
    const stage = await openSecondStage(file, session, options)
    return {
      ...session,
      second: stage,
      release: async () => {
        await stage.release()
        await session.release()
      },
    }
  } catch (error) {
    await session.release()
    throw error
  }
}

/**
 * Where the second stage of a first one may lie: that of model.onnx is model_second.onnx. A model in int8 has that of
 * the float32 model of the same checkpoint: model_int8.onnx has model_int8_second.onnx or else model_second.onnx.
 */
function secondPaths(path: string): string[] {
  const name = path.replace(/\.onnx$/i, '')
  const names = name.endsWith('_int8') ? [name, name.slice(0, -'_int8'.length)] : [name]
  return names.map((first) => `${first}_second.onnx`)
}

async function openSecondStage(path: string, first: Session, options: SessionOptions): Promise<SecondStage> {
  const opened = await openPatchSession(path, { ...options, device: first.device, threads: first.threads })
  const { calibration } = opened.metadata
  const problem = calibration === undefined ? 'it is not calibrated' : belongs(calibration, first)
  if (calibration !== undefined && problem === undefined) return { ...opened, calibration }
  await opened.release()
  throw new NoduleError('FORMAT', `the second stage cannot be used with ${first.path}: ${problem}`, {
    path,
    place: 'metadata_props/calibration',
    expected: `first stage ${first.sha256.slice(0, 16)}...`,
    actual: calibration === undefined ? 'none' : `${calibration.model.slice(0, 16)}...`,
    remedies: [
      'fit it to this first stage (nodule mine, nodule calibrate)',
      { do: 'go without', parameter: 'second', value: 'none' },
    ],
  })
}

/** Why a second stage is not for a first one. Other frames or int8 leave a first stage what it is: its checkpoint. */
function belongs(calibration: Calibration, first: Session): string | undefined {
  const same =
    calibration.model === first.sha256 ||
    (first.metadata.checkpointSha256 !== '' && calibration.checkpoint === first.metadata.checkpointSha256)
  return same ? undefined : 'it was fitted to another one'
}

/** Confidences nearer to 0 or 1 than this are taken as this near: their logit would be without bounds. */
const LEAST = 1e-6

export function logit(confidence: number): number {
  const p = Math.min(Math.max(confidence, LEAST), 1 - LEAST)
  return Math.log(p / (1 - p))
}

/** What the size of a mark adds: ln(diameter / 8 mm), no less than of 3 mm. */
export function sizeTerm(boxDiameterMm: number): number {
  return Math.log(Math.max(boxDiameterMm, 3) / 8)
}

/** The confidence of a mark by both stages, in (0, 1); see `Calibration`. */
export function combinedConfidence(
  calibration: Pick<Calibration, 'first' | 'second' | 'size' | 'offset'>,
  confidence: number,
  secondLogit: number,
  boxDiameterMm: number,
): number {
  const { first, second, size, offset } = calibration
  return (
    1 /
    (1 +
      Math.exp(-(first * logit(confidence) + second * secondLogit + size * sizeTerm(boxDiameterMm) + offset)))
  )
}

/**
 * A mark below this share of the list's least confidence in the first stage is not looked at again: of 384 marks that
 * ended above 0.6 on unseen patients, one began below 0.2.
 */
const FIRST_SHARE = 1 / 3
/** The mean over all views lies no further above the first view than this, logits; 1.5 at most for those marks. */
const VIEW_SLACK = 2

/**
 * Judges linked nodules anew by the cubes around their centers.
 * @param least confidence of the list: what will not reach it may be left out, by the first stage's confidence or by
 *   one view of its cube instead of all; 0: all nodules are judged by all views
 */
export async function rescoreNodules(
  nodules: readonly Nodule3d[],
  volume: HuVolume,
  stage: Pick<SecondStage, 'calibration' | 'spec' | 'run'>,
  least = 0,
): Promise<Nodule3d[]> {
  const rescored: Nodule3d[] = []
  const candidates = nodules.filter(({ confidence }) => confidence >= FIRST_SHARE * least)
  const [front, ...mirrored] = VIEWS
  const size = cubeBytes(stage.spec)
  const judge = ({ confidence, boxDiameterMm }: Nodule3d, logit: number): number =>
    combinedConfidence(stage.calibration, confidence, logit, boxDiameterMm)
  // In parts: thousands of cubes at once would need gigabytes.
  for (let start = 0; start < candidates.length; start += 8 * BATCH) {
    const part = candidates.slice(start, start + 8 * BATCH)
    const cubes = sampleCubes(
      volume,
      part.map(({ centerVoxel }) => centerVoxel),
      stage.spec,
    )
    const first = await stage.run(cubes, [front!])
    const open = [...part.keys()].filter((n) => judge(part[n]!, first[n]! + VIEW_SLACK) >= least)
    const chosen = new Uint8Array(open.length * size)
    for (const [at, n] of open.entries()) chosen.set(cubes.subarray(n * size, (n + 1) * size), at * size)
    const others = await stage.run(chosen, mirrored)
    for (const [at, n] of open.entries()) {
      const nodule = part[n]!
      const mean = (first[n]! + mirrored.length * others[at]!) / VIEWS.length
      rescored.push({
        ...nodule,
        confidence: judge(nodule, mean),
        firstConfidence: nodule.confidence,
        secondConfidence: 1 / (1 + Math.exp(-mean)),
      })
    }
  }
  return rescored
}
