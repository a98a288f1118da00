import { execFileSync } from 'node:child_process'
import * as tf from '@tensorflow/tfjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tensorAddonProblem } from '../../../src/engine/onednn/addon.js'
import { registerNativeBackend, setNativeThreads } from '../../../src/engine/onednn/engine.js'
import * as fused from '../../../src/engine/fused.js'
import { loadAddon } from '../../../src/kernels/find_addon.js'

const problem = tensorAddonProblem()

describe.skipIf(problem !== undefined)(`broken numbers and calls stay visible ${problem ?? ''}`, () => {
  beforeAll(async () => {
    registerNativeBackend()
    setNativeThreads(2)
    await tf.setBackend('native')
  })
  afterAll(() => tf.setBackend('cpu'))

  // One channel, and more than a register holds.
  test.each([1, 37].flatMap((channels) => [0, 1, 2, 3].map((tap) => ({ channels, tap }))))(
    'the maximum of a window with a NaN is NaN: $channels channels, at $tap',
    ({ channels, tap }) => {
      tf.tidy(() => {
        const taps = [4, 1, 2, 3].map((value, n) => (n === tap ? Number.NaN : value))
        const x = tf.tensor4d(
          taps.flatMap((value) => Array<number>(channels).fill(value)),
          [1, 2, 2, channels],
        )
        const pool = (of: tf.Tensor4D): tf.Tensor => tf.maxPool(of, 2, 2, 'valid')
        expect([...pool(x).dataSync()]).toEqual(Array(channels).fill(Number.NaN))
        const gradient = tf
          .grad((of) => pool(of as tf.Tensor4D))(x)
          .dataSync()
        expect([...gradient].map((dx, n) => [Math.floor(n / channels), dx])).toEqual(
          [...gradient].map((_, n) => [Math.floor(n / channels), Math.floor(n / channels) === tap ? 1 : 0]),
        )
      })
    },
  )

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('a batch with %f has no variance', (broken) => {
    const x = tf.tensor2d([1, broken, 2, 3], [4, 1])
    const { y, variance } = fused.batchNormRelu(x, tf.ones([1]), tf.zeros([1]), 1e-3, true)
    expect([...variance.dataSync()]).toEqual([Number.NaN])
    expect([...y.dataSync()]).toEqual(Array(4).fill(Number.NaN))
  })

  test('tensors whose shapes do not fit are not put together', () => {
    expect(() => tf.concat([tf.ones([4, 3]), tf.ones([2, 3])], 1)).toThrow(
      'Error in concat2D: Shape of tensors[1] (2,3) does not match the shape of the rest (4,3)',
    )
    expect(() => tf.concat([tf.ones([2, 3]), tf.ones([3])], 0)).toThrow(
      'Error in concat2D: rank of tensors[1] must be the same as the rank of the rest (2)',
    )
  })

  test.skipIf(process.platform !== 'linux')(
    'a worker thread uses no more threads than the process has set',
    () => {
      // A convolution in a worker thread, and how many threads the system counts more after it: 5 x 5 taps make oneDNN's own.
      const script = `
      const { Worker, isMainThread } = require('node:worker_threads')
      const { readdirSync } = require('node:fs')
      const addon = require(process.env.ADDON)
      if (isMainThread) {
        addon.threads(1)
        new Worker(process.env.SCRIPT, { eval: true })
      } else {
        addon.threads(8, true)
        const tasks = () => readdirSync('/proc/self/task').length
        const before = tasks()
        const meta = Int32Array.from([1, 64, 64, 8, 64, 64, 8, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2])
        const image = () => new Float32Array(64 * 64 * 8)
        addon.convForward(meta, image(), new Float32Array(25 * 64), image())
        console.log(tasks() - before)
      }`
      const addon = loadAddon('nodule_tensor.node', process.env['NODULE_TENSOR_ADDON'])
      const env = { ...process.env, ADDON: addon.path, SCRIPT: script, OMP_NUM_THREADS: '4' }
      expect(execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' })).toBe('0\n')
    },
  )
})
