/** One whole training step: forward, matching, loss, backward, clipping, optimizer. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { readHypes } from '../src/config/hypes.js'
import type { Hypes } from '../src/config/hypes.js'
import { probeEngines, startEngine } from '../src/engine/start.js'
import type { EngineName } from '../src/engine/types.js'
import { startProfile } from '../src/engine/profile.js'
import { NoduleError } from '../src/errors.js'
import { createDetector } from '../src/model/detector.js'
import { graphShapes } from '../src/model/graph.js'
import { decoderChannels } from '../src/model/weights.js'
import { createRandom } from '../src/random.js'
import { buildTargets } from '../src/targets/targets.js'
import { createOptimizer } from '../src/training/optimizer.js'
import { trainStep } from '../src/training/step.js'
import type { Examples } from '../src/training/step.js'
import { PACKAGE_ROOT } from '../src/version.js'
import { isWanted, makeRow, measureTogether } from './measure.js'
import type { Work } from './measure.js'
import { peersFolder, scriptPath, withFiles } from './peers.js'
import { productRate, stepOperations } from './train_step_floor.js'
import type { Row, Subject, SubjectOptions } from './types.js'

const name = 'train-step'

interface StepCase {
  hypes: string
  batch: number
  goal: string
}

const CASES: StepCase[] = [
  { hypes: 'tiny', batch: 1, goal: '5 x wasm' },
  { hypes: 'lstm_rezoom_lung', batch: 1, goal: '<= 300 ms, 6 x wasm, not slower than PyTorch' },
  { hypes: 'lstm_rezoom_lung', batch: 4, goal: '<= 680 ms' },
  { hypes: 'lstm_resnet_rezoom_lung', batch: 1, goal: 'not slower than PyTorch' },
]

const EAGER = 'PyTorch eager'
const COMPILED = 'PyTorch compiled'
const TENSORFLOW = 'TensorFlow (tfjs-node)'
const PEERS = ['wasm', TENSORFLOW, EAGER, COMPILED]

/** Whether it was installed: nodule engine install tensorflow. */
async function hasTensorflow(): Promise<boolean> {
  return (await probeEngines()).some(
    ({ name: engine, reason }) => engine === 'tensorflow' && reason === undefined,
  )
}

function examples(hypes: Hypes, batch: number): Examples {
  const random = createRandom(7)
  const frames = new Float32Array(batch * hypes.image_height * hypes.image_width * 3).map(() =>
    random.integer(256),
  )
  const boxes = Array.from({ length: batch }, () =>
    [0, 1].map(() => {
      const [x1, y1] = [random.integer(300), random.integer(200)]
      return { x1, y1, x2: x1 + 10 + random.integer(30), y2: y1 + 10 + random.integer(30) }
    }),
  )
  return { frames, boxes }
}

/** A model and its optimizer in one engine; each call of the work is a step. */
async function ourStep(
  engine: EngineName,
  hypes: Hypes,
  data: Examples,
): Promise<Work & { dispose: () => void }> {
  await startEngine(engine)
  const backend = tf.getBackend()
  const detector = createDetector(hypes, 1)
  const optimizer = createOptimizer(hypes, detector.weights)
  let step = 0
  const work = async (): Promise<void> => {
    await tf.setBackend(backend)
    trainStep(detector, optimizer, data, { step: step++, learningRate: hypes.solver.learning_rate })
  }
  return Object.assign(work, {
    dispose: () => {
      optimizer.dispose()
      detector.dispose()
    },
  })
}

interface Torch {
  ask: (command: 'loss' | 'step') => Promise<{ loss?: number; ms?: number }>
  stop: () => void
}

interface TorchRequest {
  threads: number
  /** torch.compile. */
  compile: boolean
  [key: string]: unknown
}

/** PyTorch with the same weights and data, in a process of its own; undefined without NODULE_PEERS. */
function startTorch(request: TorchRequest): Torch | undefined {
  const folder = peersFolder()
  if (folder === undefined) return undefined
  const child = spawn(join(folder, 'bin', 'python'), [scriptPath('train_step.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // Like our own engine: a spinning thread must not keep others off a busy core.
    env: { GOMP_SPINCOUNT: '3000', ...process.env, OMP_NUM_THREADS: String(request.threads) },
  })
  const lines = createInterface({ input: child.stdout })
  const closed = once(child, 'close')
  child.stdin.write(`${JSON.stringify(request)}\n`)
  return {
    ask: async (command) => {
      const answer = Promise.race([once(lines, 'line'), closed])
      child.stdin.write(`${command}\n`)
      const [line] = (await answer) as [unknown]
      if (typeof line !== 'string')
        throw new NoduleError('UNAVAILABLE', 'the PyTorch peer failed', { actual: String(line) })
      return JSON.parse(line) as { loss?: number; ms?: number }
    },
    stop: () => child.stdin.end(),
  }
}

async function benchCase(c: StepCase, { seconds, peers }: SubjectOptions): Promise<Row[]> {
  const own = readHypes(join(PACKAGE_ROOT, 'hypes', `${c.hypes}.json`))
  // One optimizer for all: the peer has RMSProp.
  const hypes: Hypes = { ...own, batch_size: c.batch, solver: { ...own.solver, opt: 'RMS' } }
  const data = examples(hypes, c.batch)
  const threads = availableParallelism()
  await startEngine('native')
  const detector = createDetector(hypes, 1)
  const order = [...detector.weights]
  const values = order.map(([, variable]) => variable.dataSync() as Float32Array)
  const weights = new Float32Array(values.reduce((sum, array) => sum + array.length, 0))
  values.reduce((offset, array) => (weights.set(array, offset), offset + array.length), 0)
  const targets = buildTargets(data.boxes, hypes)
  const files = { weights, frames: data.frames, truths: targets.boxes, counts: targets.counts }
  return withFiles(files, async (paths) => {
    const request = {
      ...paths,
      threads,
      hypes,
      graph: detector.graph,
      channels: decoderChannels(hypes, detector.graph),
      stride: graphShapes(detector.graph, hypes.image_height, hypes.image_width).get(detector.graph.early)!
        .stride,
      batch: c.batch,
      index: order.map(([weight, { shape, trainable }]) => ({ name: weight, shape, trainable })),
    }
    const eager = isWanted(EAGER, peers) ? startTorch({ ...request, compile: false }) : undefined
    const compiled = isWanted(COMPILED, peers) ? startTorch({ ...request, compile: true }) : undefined
    await checkSameLoss(detector, data, eager ?? compiled)
    const { convolutions, products } = stepOperations(detector)
    detector.dispose()

    const native = await ourStep('native', hypes, data)
    const works: Record<string, Work> = { native }
    const wasm = isWanted('wasm', peers) ? await ourStep('wasm', hypes, data) : undefined
    if (wasm !== undefined) works['wasm'] = wasm
    const tensorflow =
      isWanted(TENSORFLOW, peers) && (await hasTensorflow())
        ? await ourStep('tensorflow', hypes, data)
        : undefined
    if (tensorflow !== undefined) works[TENSORFLOW] = tensorflow
    if (eager !== undefined) works[EAGER] = () => eager.ask('step')
    if (compiled !== undefined) works[COMPILED] = () => compiled.ask('step')
    const timing = await measureTogether(works, 4 * seconds, { minRuns: 5 })
    const shares = await kernelShares(native)
    const floor_ms = (c.batch * (convolutions + products)) / (await productRate())
    eager?.stop()
    compiled?.stop()
    native.dispose()
    wasm?.dispose()
    tensorflow?.dispose()
    const title = `${c.hypes}, batch ${c.batch}, ${threads} threads, ${shares}`
    const ours = timing['native']!
    return PEERS.filter((peer) => isWanted(peer, peers)).map((peer) =>
      makeRow(name, title, ours, peer, timing[peer]?.ms ?? null, { goal: c.goal, floor_ms }),
    )
  })
}

/** Both must compute the same function, else their times say nothing. */
async function checkSameLoss(
  detector: ReturnType<typeof createDetector>,
  data: Examples,
  torch: Torch | undefined,
): Promise<void> {
  if (torch === undefined) return
  const { loss } = await torch.ask('loss')
  const plain = { ...detector.hypes, dropout: 0 }
  const undropped = createDetector(plain, 1)
  const optimizer = createOptimizer(plain, undropped.weights)
  const ours = trainStep(undropped, optimizer, data, { step: 0, learningRate: 0 }).loss
  optimizer.dispose()
  undropped.dispose()
  if (!(Math.abs(ours - loss!) <= 1e-3 * Math.abs(ours)))
    throw new NoduleError('NUMERIC', 'the PyTorch peer has another loss', {
      expected: String(ours),
      actual: String(loss),
    })
}

/** As many steps give shares that repeat within a point. */
const SHARED_STEPS = 40

/** Shares of the native engine's step that go into convolutions and into the decoder's products, forward and backward. */
async function kernelShares(step: Work): Promise<string> {
  await step()
  const stop = startProfile()
  for (let i = 0; i < SHARED_STEPS; i++) await step()
  const { kernels, ms } = stop()
  const share = (pattern: RegExp): string => {
    const sum = kernels.reduce((total, kernel) => total + (pattern.test(kernel.name) ? kernel.ms : 0), 0)
    return `${((100 * sum) / ms).toFixed(1)} %`
  }
  return `convolutions ${share(/^Conv2D/)}, products ${share(/^(NoduleLstm|NoduleSlot|BatchMatMul)/)}`
}

async function* run(options: SubjectOptions): AsyncGenerator<Row[]> {
  for (const c of CASES)
    if (isWanted(`${c.hypes}, batch ${c.batch}`, options.cases)) yield await benchCase(c, options)
}

export const subject: Subject = {
  describe: 'a training step of the native engine against the wasm engine and PyTorch (eager, compiled)',
  run,
}
