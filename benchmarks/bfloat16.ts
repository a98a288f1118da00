/** Training in bfloat16 (opt-in) against float32: the curves of the loss, and the time of a step. */
import { join } from 'node:path'
import { readHypes } from '../src/config/hypes.js'
import type { Hypes } from '../src/config/hypes.js'
import { startEngine } from '../src/engine/start.js'
import { requireTensorAddon } from '../src/engine/onednn/addon.js'
import { createDetector } from '../src/model/detector.js'
import { createRandom } from '../src/random.js'
import { createOptimizer } from '../src/training/optimizer.js'
import { trainStep } from '../src/training/step.js'
import type { Examples } from '../src/training/step.js'
import { PACKAGE_ROOT } from '../src/version.js'
import { makeRow, summarize } from './measure.js'
import type { Timing } from './measure.js'
import type { Row, Subject } from './types.js'

const STEPS = 300
/** The loss is compared as the mean of so many steps. */
const WINDOW = 50

/** Bright discs on noise: something that can be learned, of which no two batches are alike. */
function makeBatch(hypes: Hypes, seed: number): Examples {
  const { batch_size: n, image_width: width, image_height: height } = hypes
  const random = createRandom(seed)
  const frames = new Float32Array(n * height * width * 3).map(() => 40 + 40 * random.uniform())
  const boxes = Array.from({ length: n }, (_, image) =>
    [0, 1].map(() => {
      const radius = 5 + random.integer(20)
      const [x, y] = [width, height].map((size) => radius + random.integer(size - 2 * radius)) as [
        number,
        number,
      ]
      for (let dy = -radius; dy < radius; dy++)
        for (let dx = -radius; dx < radius; dx++) {
          if (dx * dx + dy * dy >= radius * radius) continue
          const pixel = 3 * ((image * height + y + dy) * width + x + dx)
          frames.fill(150 + 40 * random.uniform(), pixel, pixel + 3)
        }
      return { x1: x - radius, y1: y - radius, x2: x + radius, y2: y + radius }
    }),
  )
  return { frames, boxes }
}

/** Trains from the same weights on the same batches. */
function train(hypes: Hypes, bfloat16: boolean): { losses: number[]; timing: Timing } {
  requireTensorAddon().bfloat16(bfloat16)
  const detector = createDetector(hypes, 1)
  const optimizer = createOptimizer(hypes, detector.weights)
  const losses: number[] = []
  const times: number[] = []
  for (let step = 0; step < STEPS; step++) {
    const data = makeBatch(hypes, 1 + step)
    const start = performance.now()
    losses.push(trainStep(detector, optimizer, data, { step, learningRate: hypes.solver.learning_rate }).loss)
    times.push(performance.now() - start)
  }
  optimizer.dispose()
  detector.dispose()
  requireTensorAddon().bfloat16(false)
  return { losses, timing: summarize(times.slice(WINDOW)) }
}

function windows(losses: readonly number[]): string {
  const means: string[] = []
  for (let start = 0; start < losses.length; start += WINDOW) {
    const part = losses.slice(start, start + WINDOW)
    means.push((part.reduce((sum, loss) => sum + loss, 0) / part.length).toFixed(3))
  }
  return means.join(' ')
}

async function run(): Promise<Row[]> {
  await startEngine('native')
  if (!requireTensorAddon().hasBfloat16)
    return [makeRow('bfloat16', 'this CPU has no AVX512-BF16', summarize([]), 'float32', null)]
  return ['tiny', 'lstm_rezoom_lung'].map((name) => {
    const hypes = { ...readHypes(join(PACKAGE_ROOT, 'hypes', `${name}.json`)), batch_size: 2 }
    const exact = train(hypes, false)
    const near = train(hypes, true)
    const curves = `bfloat16 ${windows(near.losses)}; float32 ${windows(exact.losses)}`
    const title = `${name}, batch 2, loss of steps 1-${STEPS} by ${WINDOW}: ${curves}`
    return makeRow('bfloat16', title, near.timing, 'float32', exact.timing.ms)
  })
}

export const subject: Subject = {
  describe: 'training in bfloat16 against float32: curves of the loss, time of a step',
  run,
}
