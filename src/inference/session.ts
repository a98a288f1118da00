import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { checkInteger, checkObject, checkText, invalidParameter } from '../check.js'
import type { Hypes } from '../config/hypes.js'
import { NoduleError, describeBriefly } from '../errors.js'
import { defaultThreads } from '../kernels/addon.js'
import { modelMetadata } from '../onnx/metadata.js'
import { sha256 } from '../hash.js'
import type { ModelMetadata } from '../onnx/metadata.js'
import { decodeModel } from '../onnx/proto.js'
import type { SecondStage } from './second_stage.js'
import type { RawFrame } from './raw_frame.js'
import { readRegular } from '../read_files.js'

export const SESSION_DEVICES = ['auto', 'cpu', 'cuda'] as const
export type SessionDevice = (typeof SESSION_DEVICES)[number]

export interface SessionOptions {
  /** Where the model runs; auto: CUDA where onnxruntime can use it, else the CPU. */
  device?: SessionDevice
  /** CPU threads of one run; default NODULE_THREADS, else the cores. */
  threads?: number
}

/** Pixels. */
export interface FrameSize {
  width: number
  height: number
}

/** An exported model, ready to run. */
export interface Session {
  path: string
  /** Of the model file. */
  sha256: string
  hypes: Hypes
  metadata: ModelMetadata
  device: 'cpu' | 'cuda'
  threads: number
  /** Frames may have any size of whole cells, not only that of the hypes. */
  anyFrame: boolean
  /**
   * Runs the model.
   * @param frames uint8 gray levels [n, data.channels, height, width]; may be longer than n frames
   * @param size of the frames; default that of the hypes, and another only where `anyFrame`
   * @returns boxes [n * cells * rnn_len * 4] as x1, y1, x2, y2 in frame pixels, confidences [n * cells * rnn_len]
   * @throws NoduleError (NUMERIC) where the model gives no numbers; (FORMAT) where it gives too few or many
   */
  run: (frames: Uint8Array, n: number, size?: FrameSize) => Promise<RawFrame>
  /** Judges the marks anew, where the model has a second stage (`openStages`). */
  second?: SecondStage
  /** Frees the model's memory, for all who share the session; called again it does nothing. */
  release: () => Promise<void>
}

/** Throws `invalidParameter` for what is no session, such as the promise of one that nobody awaited. */
export function checkSession(session: Session): void {
  const expected = 'session that openSession or openStages gives, awaited'
  if (typeof checkObject('session', session, expected).run !== 'function')
    throw invalidParameter('session', expected, session)
}

/**
 * Opens a model that `nodule export` made.
 * Throws NoduleError: FILE (cannot be read), FORMAT (not ONNX, not ours, damaged), UNAVAILABLE (device).
 */
export async function openSession(path: string, options: SessionOptions = {}): Promise<Session> {
  checkText('path', path)
  const { device, threads } = sessionOptions(options)
  const bytes = await readRegular(path, { action: 'read model' })
  const metadata = modelMetadata(decodeModel(bytes, path), path)
  const { hypes } = metadata
  const opened = await createSession(bytes, path, device, threads)
  const { session } = opened
  const model = shareModel(session, path)
  const { image_height: height, image_width: width, rnn_len: rnnLen, region_size: cell } = hypes
  const { channels } = hypes.data
  const anyFrame = checkInterface(session, path, hypes)

  const run = async (
    frames: Uint8Array,
    n: number,
    size: FrameSize = { width, height },
  ): Promise<RawFrame> => {
    checkInteger('n', n, 1, 65536)
    for (const [side, ours] of [
      [size.width, width],
      [size.height, height],
    ] as const)
      if (side !== ours && !(anyFrame && side > 0 && side % cell === 0))
        throw invalidParameter('size', anyFrame ? `multiples of ${cell} px` : `${width} x ${height}`, size)
    const frameBytes = channels * size.height * size.width
    const boxesPerFrame = (size.height / cell) * (size.width / cell) * rnnLen
    if (frames.length < n * frameBytes) throw invalidParameter('frames', `${n * frameBytes} bytes`, frames)
    const dims = [n, channels, size.height, size.width]
    const input = new ort.Tensor('uint8', frames.subarray(0, n * frameBytes), dims)
    let results: ort.InferenceSession.ReturnType
    try {
      results = await model.run({ frames: input })
    } catch (error) {
      if (error instanceof NoduleError) throw error
      const actual = describeBriefly(error)
      throw new NoduleError('NUMERIC', 'the model fails', { path, actual, cause: error })
    }
    const boxes = results['boxes']!.data as Float32Array
    const confidences = results['confidences']!.data as Float32Array
    if (boxes.length !== n * boxesPerFrame * 4 || confidences.length !== n * boxesPerFrame) {
      throw new NoduleError('FORMAT', 'the model gives outputs of another size than its hypes say', {
        path,
        expected: `${n * boxesPerFrame} boxes`,
        actual: `${boxes.length / 4} boxes, ${confidences.length} confidences`,
      })
    }
    // A model with NaN in its weights would otherwise find nothing, in silence.
    if (!confidences.every(Number.isFinite) || !boxes.every(Number.isFinite))
      throw new NoduleError('NUMERIC', 'the model gives values that are no numbers', { path })
    return { boxes, confidences }
  }
  return {
    path,
    sha256: sha256(bytes),
    hypes,
    metadata,
    device: opened.device,
    threads,
    anyFrame,
    run,
    release: model.release,
  }
}

// Errors reach the caller as exceptions; onnxruntime would print them to stderr as well.
ort.env.logLevel = 'fatal'

/** The options with their defaults. Throws NoduleError (INVALID_PARAMETER). */
export function sessionOptions(options: SessionOptions): Required<SessionOptions> {
  const device = checkObject('options', options).device ?? 'auto'
  if (!SESSION_DEVICES.includes(device))
    throw invalidParameter('device', `one of ${SESSION_DEVICES.join(', ')}`, device)
  return { device, threads: checkInteger('threads', options.threads ?? defaultThreads(), 1, 1024) }
}

/**
 * Downloads onnxruntime's CUDA libraries. Not `npm rebuild`: npm 11 leaves out scripts that package.json does not allow,
 * silently; nor `=cuda12`: the script then takes the empty files of scripts/preinstall.mjs for the libraries.
 */
export const CUDA_COMMAND = 'node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install'

const CUDA_REMEDIES = [
  { do: 'run on the CPU', parameter: 'device', value: 'cpu' },
  `install the CUDA libraries of onnxruntime (${CUDA_COMMAND}), CUDA 12 and cuDNN 9; ` +
    '`nodule doctor` shows what is there',
]

/** Opens an ONNX model in onnxruntime. Throws NoduleError (FORMAT, UNAVAILABLE). */
export async function createSession(
  bytes: Uint8Array,
  path: string,
  device: SessionDevice,
  threads: number,
): Promise<{ session: ort.InferenceSession; device: 'cpu' | 'cuda' }> {
  const options: ort.InferenceSession.SessionOptions = {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 4,
  }
  if (device === 'cuda' || (device === 'auto' && hasCudaProvider())) {
    try {
      if (!hasCudaProvider()) throw new Error('its CUDA libraries are not installed')
      const session = await ort.InferenceSession.create(bytes, { ...options, executionProviders: ['cuda'] })
      return { session, device: 'cuda' }
    } catch (error) {
      if (device === 'cuda') {
        throw new NoduleError('UNAVAILABLE', `onnxruntime cannot use CUDA (${describeBriefly(error)})`, {
          remedies: CUDA_REMEDIES,
          cause: error,
        })
      }
    }
  }
  try {
    return { session: await ort.InferenceSession.create(bytes, options), device: 'cpu' }
  } catch (error) {
    throw new NoduleError('FORMAT', 'onnxruntime refuses the model', {
      path,
      actual: describeBriefly(error),
      cause: error,
    })
  }
}

/** onnxruntime's session for several users: each may release it, and who uses it afterwards hears why that fails. */
export function shareModel(
  session: ort.InferenceSession,
  path: string,
): {
  run: (inputs: ort.InferenceSession.FeedsType) => Promise<ort.InferenceSession.ReturnType>
  release: () => Promise<void>
} {
  let released: Promise<void> | undefined
  const gone = (cause?: unknown): NoduleError =>
    new NoduleError('INVALID_PARAMETER', 'the session was released', {
      path,
      parameter: 'session',
      remedies: ['release it when all work with it has ended'],
      cause,
    })
  return {
    run: async (inputs) => {
      if (released !== undefined) throw gone()
      try {
        return await session.run(inputs)
      } catch (error) {
        // Released before its turn came.
        throw released === undefined ? error : gone(error)
      }
    },
    release: async () => (released ??= session.release()),
  }
}

/**
 * Whether onnxruntime's CUDA library lies beside its addon: it is downloaded only on request, and scripts/preinstall.mjs
 * leaves an empty file in its place.
 */
export function hasCudaProvider(): boolean {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node')
  const folder = join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch)
  const names = ['libonnxruntime_providers_cuda.so', 'onnxruntime_providers_cuda.dll']
  return names.some((name) => (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0) > 0)
}

/**
 * The inputs and outputs that `run` relies on.
 * @returns whether the frames may have any size
 * @throws NoduleError (FORMAT)
 */
function checkInterface(session: ort.InferenceSession, path: string, hypes: Hypes): boolean {
  const { image_height: height, image_width: width } = hypes
  const { channels } = hypes.data
  const describe = (list: readonly ort.InferenceSession.ValueMetadata[]): string =>
    list.map((v) => (v.isTensor ? `${v.name} ${v.type} [${v.shape.join(',')}]` : v.name)).join('; ')
  const actual = `${describe(session.inputMetadata)} -> ${session.outputNames.join(', ')}`
  const [input, ...others] = session.inputMetadata
  const dims = input?.isTensor === true ? input.shape.slice(1) : []
  const anyFrame = dims.length === 3 && typeof dims[1] === 'string' && typeof dims[2] === 'string'
  const size = anyFrame ? `${channels},${dims[1]},${dims[2]}` : `${channels},${height},${width}`
  const fits =
    others.length === 0 &&
    input?.name === 'frames' &&
    input.isTensor &&
    input.type === 'uint8' &&
    dims.join(',') === size &&
    ['boxes', 'confidences'].every((name) => session.outputNames.includes(name))
  if (!fits) {
    throw new NoduleError('FORMAT', 'the model has other inputs or outputs than its format promises', {
      path,
      expected: `frames uint8 [N,${size}] -> boxes, confidences`,
      actual,
    })
  }
  return anyFrame
}
